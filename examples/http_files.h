/* SPDX-License-Identifier: CC0-1.0 */
#ifndef HTTP_FILES_H
#define HTTP_FILES_H

/*
 * Serves the files beneath a directory by HTTP.
 */

#include <coloop.h>

/* Open the directory to serve.  Returns a file descriptor, or a negative errno
 * value. */
int http_open_root(const char *directory);

/* Answer the requests on CONNECTION with what is beneath ROOT, until the
 * client has no more, or is silent for too long. */
void http_serve(int root, struct co_io *connection);

#endif
