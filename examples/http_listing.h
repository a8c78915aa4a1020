/* SPDX-License-Identifier: CC0-1.0 */
#ifndef HTTP_LISTING_H
#define HTTP_LISTING_H

#include <stddef.h>

/* Make a page of the names in the open DIRECTORY, which is shown as PATH.
 * *RET_HTML is to be freed.  0 or a negative errno value. */
int http_listing(int directory, const char *path, char **ret_html,
		size_t *ret_size);

#endif
