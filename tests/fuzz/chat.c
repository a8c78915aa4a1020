/* SPDX-License-Identifier: MIT */

/*
 * chat.c - fuzz target: the lines of examples/chat_line.c
 *
 * However the bytes of a connection are cut into pieces, the same lines come
 * out, namely those that lie between its newlines; each means what the bytes of
 * it say; and the first line that is too long is the last.
 */

#include "fuzz.h"

#include "../../examples/chat_line.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* --- What should come out, from all bytes at once ------------------------ */

/* The next line of REST, whose end is left out: 1, 0 or -EMSGSIZE. */
static int next_line(struct fuzz_bytes *rest, struct fuzz_bytes *ret_line)
{
	const uint8_t *end = rest->left == 0 ? NULL
			: memchr(rest->next, '\n', rest->left);
	size_t size = end != NULL ? (size_t)(end - rest->next) : rest->left;
	size_t limit = CHAT_LINE_MAX + (size > 0
			&& rest->next[size - 1] == '\r');

	if (end == NULL)
		return size < CHAT_LINE_MAX + 2 ? 0 : -EMSGSIZE;
	if (size > limit)
		return -EMSGSIZE;
	*ret_line = (struct fuzz_bytes){ rest->next, size };
	rest->next += size + 1;
	rest->left -= size + 1;

	return 1;
}

/* Whether LINE begins with WORD, which a space or the end follows. */
static bool begins_with(struct fuzz_bytes line, const char *word)
{
	size_t size = strlen(word);

	return line.left >= size && memcmp(line.next, word, size) == 0
			&& (line.left == size || line.next[size] == ' ');
}

static enum chat_verb verb_of(struct fuzz_bytes line)
{
	if (line.left == 0)
		return CHAT_NOTHING;
	if (line.next[0] != '/')
		return CHAT_SAY;
	return begins_with(line, "/me") ? CHAT_ME
			: begins_with(line, "/nick") ? CHAT_NICK
			: begins_with(line, "/who") ? CHAT_WHO
			: begins_with(line, "/quit") ? CHAT_QUIT
			: CHAT_UNKNOWN;
}

static bool is_shown(uint8_t c)
{
	return c >= ' ' && c != 0x7f;
}

/* The end of TEXT is the end of LINE, with nothing in it that might control a
 * terminal, and it begins where the verb ends. */
static void check_text(struct fuzz_bytes line, const char *text)
{
	size_t size = strlen(text), skipped;

	FUZZ_CHECK(size <= line.left);
	skipped = line.left - size;
	for (size_t i = 0; i < size; i++) {
		uint8_t from = line.next[skipped + i], to = (uint8_t)text[i];

		FUZZ_CHECK(is_shown(to));
		FUZZ_EQUAL(to, is_shown(from) ? from
				: from == '\t' ? ' ' : '?');
	}
	if (line.left > 0 && line.next[0] == '/') {
		FUZZ_CHECK(size == 0 || line.next[skipped] != ' ');
		while (skipped > 0 && line.next[skipped - 1] == ' ')
			skipped--;
		FUZZ_CHECK(memchr(line.next, ' ', skipped) == NULL);
	} else {
		FUZZ_EQUAL(skipped, 0);
	}
}

static void check_line(struct fuzz_bytes line, const struct chat_line *got)
{
	while (line.left > 0 && (line.next[line.left - 1] == '\r'
			|| line.next[line.left - 1] == ' '))
		line.left--;
	FUZZ_EQUAL(got->verb, verb_of(line));
	check_text(line, got->text);
}

static void check_nick(const char *text)
{
	bool good = text[0] != '\0' && strlen(text) <= CHAT_NICK_MAX;

	for (const char *c = text; *c != '\0'; c++)
		good = good && ((*c >= 'a' && *c <= 'z')
				|| (*c >= 'A' && *c <= 'Z')
				|| (*c >= '0' && *c <= '9')
				|| *c == '-' || *c == '_');
	FUZZ_EQUAL(chat_is_nick(text), good);
}

/* --- What comes out of the pieces ---------------------------------------- */

/* All lines that are in INPUT by now; EXPECTED goes on by so many.  False after
 * one that is too long. */
static bool take_lines(struct chat_input *input, struct fuzz_bytes *expected)
{
	struct chat_line line;
	struct fuzz_bytes bytes;
	int rc;

	while ((rc = chat_input_line(input, &line)) == 1) {
		FUZZ_EQUAL(next_line(expected, &bytes), 1);
		check_line(bytes, &line);
		check_nick(line.text);
	}
	if (rc == 0)
		return true;
	FUZZ_EQUAL(rc, -EMSGSIZE);
	FUZZ_EQUAL(next_line(expected, &bytes), -EMSGSIZE);

	return false;
}

/* The first bytes say how long the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes bytes = { data, size };
	size_t pieces[2] = { 1u + fuzz_take(&bytes), 1u + fuzz_take(&bytes) };
	struct fuzz_bytes expected = bytes, line;
	struct chat_input input = { 0 };

	for (unsigned i = 0; bytes.left > 0; i++) {
		size_t room, n = pieces[i % 2];
		char *to = chat_input_room(&input, &room);

		FUZZ_CHECK(room > 0 && room <= sizeof input.bytes);
		n = n < room ? n : room;
		n = n < bytes.left ? n : bytes.left;
		memcpy(to, bytes.next, n);
		bytes.next += n;
		bytes.left -= n;
		chat_input_add(&input, n);
		if (!take_lines(&input, &expected))
			return 0;
	}
	/* Nothing that is complete was held back. */
	FUZZ_EQUAL(next_line(&expected, &line), 0);

	return 0;
}
