/* SPDX-License-Identifier: CC0-1.0 */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

/*
 * The head of an HTTP request, from the bytes that came.  No input or output
 * happens here, so the parser can be tested and fuzzed by itself.
 */

#include <stdbool.h>
#include <stddef.h>

/* The longest head of a request, and the longest path, in bytes. */
#define HTTP_HEAD_MAX 8192u
#define HTTP_PATH_MAX 1024u

struct http_request {
	bool head_only;		/* the method is HEAD, else GET */
	bool keep_alive;	/* the client may send another request */
	char path[HTTP_PATH_MAX];	/* decoded.  It begins with a slash,
					 * and no component of it is ".." or
					 * empty */
	char if_modified_since[32];	/* as it was sent, or "" */
};

/* Parse the request at the beginning of DATA.  Returns the number of bytes its
 * head takes, 0 if more are needed to tell, or the negative status with which
 * to refuse it: -400, -405 (neither GET nor HEAD), -413 (it has a body), -414,
 * -431 or -505. */
int http_parse(const char *data, size_t size,
		struct http_request *ret_request);

/* Write PATH into RET_TEXT as it stands in a URL: anything that might be
 * special becomes %XX.  SIZE should be 3 * strlen(PATH) + 1; what doesn't fit
 * is left out. */
void http_encode_path(const char *path, char *ret_text, size_t size);

#endif
