/* SPDX-License-Identifier: CC0-1.0 */
#ifndef CHAT_LINE_H
#define CHAT_LINE_H

/*
 * Lines from the bytes of a connection, and what they mean.  No input or
 * output happens here, so it can be tested and fuzzed by itself.
 */

#include <stddef.h>

#define CHAT_LINE_MAX 400	/* bytes of a line, without its end */
#define CHAT_NICK_MAX 16

/* What has come so far.  Begin with zeros. */
struct chat_input {
	size_t used;
	char bytes[CHAT_LINE_MAX + 2];
};

enum chat_verb {
	CHAT_NOTHING,		/* an empty line */
	CHAT_SAY,		/* anything without a slash before it */
	CHAT_ME,		/* /me waves */
	CHAT_NICK,		/* /nick ada */
	CHAT_WHO,		/* /who */
	CHAT_QUIT,		/* /quit */
	CHAT_UNKNOWN,
};

struct chat_line {
	enum chat_verb verb;
	char text[CHAT_LINE_MAX + 1];	/* what follows the verb */
};

/* Where to put the bytes that come, and how many fit: never 0. */
char *chat_input_room(struct chat_input *input, size_t *ret_size);

/* N bytes were put there. */
void chat_input_add(struct chat_input *input, size_t n);

/* Take the next line.  1: there was one, 0: it needs more bytes, -EMSGSIZE: it
 * is longer than a line may be. */
int chat_input_line(struct chat_input *input, struct chat_line *ret_line);

/* 1 if TEXT can be a nick name: letters, digits, "-" and "_". */
int chat_is_nick(const char *text);

#endif
