/* SPDX-License-Identifier: CC0-1.0 */
#ifndef HTTP_OPEN_H
#define HTTP_OPEN_H

/* Open PATH, which is relative to the directory ROOT, for reading.  Whatever
 * links and dots there are in it, nothing outside of ROOT is opened.  Returns
 * a file descriptor, or a negative errno value. */
int http_open_beneath(int root, const char *path);

/* The same without the help of the system: links aren't followed at all. */
int http_open_by_parts(int root, const char *path);

#endif
