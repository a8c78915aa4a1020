/* SPDX-License-Identifier: CC0-1.0 */

#define _GNU_SOURCE 1
#include "http_listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "http_parse.h"

/* Names are written by whoever can make files: none may become markup. */
static void put_escaped(FILE *page, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", page);
			break;
		case '>':
			fputs("&gt;", page);
			break;
		case '&':
			fputs("&amp;", page);
			break;
		default:
			fputc(*text, page);
		}
	}
}

/* "./" keeps a name with a colon from being taken for another scheme. */
static void put_entry(FILE *page, int directory, const struct dirent *entry)
{
	char link[3 * NAME_MAX + 1];
	struct stat status;
	const char *slash = "";

	if (fstatat(directory, entry->d_name, &status,
			AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISDIR(status.st_mode))
		slash = "/";
	http_encode_path(entry->d_name, link, sizeof(link));
	fprintf(page, "<li><a href=\"./%s%s\">", link, slash);
	put_escaped(page, entry->d_name);
	fprintf(page, "%s</a></li>\n", slash);
}

static void put_page(FILE *page, int directory, const char *path,
		struct dirent **entries, int n)
{
	fputs("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>", page);
	put_escaped(page, path);
	fputs("</title>\n<h1>", page);
	put_escaped(page, path);
	fputs("</h1>\n<ul>\n", page);
	if (path[0] != '\0' && path[1] != '\0')
		fputs("<li><a href=\"../\">../</a></li>\n", page);
	for (int i = 0; i < n; i++)
		put_entry(page, directory, entries[i]);
	fputs("</ul>\n", page);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int http_listing(int directory, const char *path, char **ret_html,
		size_t *ret_size)
{
	struct dirent **entries;
	char *html;
	size_t size;
	FILE *page;
	int n = scandirat(directory, ".", &entries, is_visible, alphasort);
	int rc = 0;

	if (n < 0)
		return -errno;
	page = open_memstream(&html, &size);
	if (page != NULL)
		put_page(page, directory, path, entries, n);
	if (page == NULL || fclose(page) != 0)
		rc = -ENOMEM;
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	if (rc == 0) {
		*ret_html = html;
		*ret_size = size;
	}
	return rc;
}
