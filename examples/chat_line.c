/* SPDX-License-Identifier: CC0-1.0 */

#include "chat_line.h"

#include <errno.h>
#include <string.h>

/* Control characters of one user could do harm to the terminals of others.
 * Bytes from 0x80 on are part of UTF-8 and stay as they are. */
static void copy_text(char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)from[i];

		if (c == '\t')
			c = ' ';
		to[i] = (char)(c < ' ' || c == 0x7f ? '?' : c);
	}
	to[size] = '\0';
}

static enum chat_verb verb_of(const char *word, size_t size)
{
	static const struct {
		const char *name;
		enum chat_verb verb;
	} verbs[] = {
		{ "/me", CHAT_ME },
		{ "/nick", CHAT_NICK },
		{ "/who", CHAT_WHO },
		{ "/quit", CHAT_QUIT },
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strlen(verbs[i].name) == size &&
				memcmp(verbs[i].name, word, size) == 0)
			return verbs[i].verb;
	return CHAT_UNKNOWN;
}

static void parse(const char *bytes, size_t size, struct chat_line *ret_line)
{
	size_t verb_size = 0;

	while (size > 0 && (bytes[size - 1] == '\r' || bytes[size - 1] == ' '))
		size--;
	ret_line->verb = size > 0 ? CHAT_SAY : CHAT_NOTHING;
	if (size > 0 && bytes[0] == '/') {
		while (verb_size < size && bytes[verb_size] != ' ')
			verb_size++;
		ret_line->verb = verb_of(bytes, verb_size);
		while (verb_size < size && bytes[verb_size] == ' ')
			verb_size++;
	}
	copy_text(ret_line->text, bytes + verb_size, size - verb_size);
}

char *chat_input_room(struct chat_input *input, size_t *ret_size)
{
	/* A full buffer without a line in it was refused by the last call of
	 * chat_input_line(); whoever goes on nevertheless loses it. */
	if (input->used == sizeof(input->bytes))
		input->used = 0;
	*ret_size = sizeof(input->bytes) - input->used;
	return input->bytes + input->used;
}

void chat_input_add(struct chat_input *input, size_t n)
{
	input->used += n;
}

int chat_input_line(struct chat_input *input, struct chat_line *ret_line)
{
	char *newline = memchr(input->bytes, '\n', input->used);
	size_t size;

	if (newline == NULL)
		return input->used < sizeof(input->bytes) ? 0 : -EMSGSIZE;
	size = (size_t)(newline - input->bytes);
	if (size > CHAT_LINE_MAX && newline[-1] != '\r')
		return -EMSGSIZE;
	parse(input->bytes, size, ret_line);
	input->used -= size + 1;
	memmove(input->bytes, newline + 1, input->used);
	return 1;
}

int chat_is_nick(const char *text)
{
	static const char allowed[] = "-_0123456789"
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t size = strlen(text);

	return size > 0 && size <= CHAT_NICK_MAX &&
		strspn(text, allowed) == size;
}
