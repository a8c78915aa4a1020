/* SPDX-License-Identifier: CC0-1.0 */

#define _GNU_SOURCE 1
#include "http_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A FIFO must not make the thread wait for a writer: hence O_NONBLOCK. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = OPEN_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;
	int tries = 8;

	/* -EAGAIN: something was renamed while the path was walked. */
	do {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && --tries > 0);
	return fd >= 0 ? (int)fd : -errno;
}

/* Open one component.  A path that goes on after it, if only by a slash, needs
 * it to be a directory. */
static int open_part(int directory, const char *path, size_t length)
{
	char part[NAME_MAX + 1];
	int flags = OPEN_FLAGS | O_NOFOLLOW;
	int fd;

	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(part, path, length);
	part[length] = '\0';
	if (strcmp(part, "..") == 0)
		return -EXDEV;
	if (path[length] == '/')
		flags |= O_DIRECTORY;
	fd = openat(directory, part, flags);
	return fd >= 0 ? fd : -errno;
}

int http_open_by_parts(int root, const char *path)
{
	int directory = root;
	int fd = root;

	while (*path != '\0') {
		size_t length = strcspn(path, "/");

		fd = open_part(directory, path, length);
		if (directory != root)
			close(directory);
		if (fd < 0)
			return fd;
		directory = fd;
		path += length;
		path += strspn(path, "/");
	}
	return fd != root ? fd : -ENOENT;
}

int http_open_beneath(int root, const char *path)
{
	int fd = open_beneath(root, path);

	/* Linux has openat2(2) since 5.6; some sandboxes don't know it. */
	if (fd == -ENOSYS || fd == -EPERM)
		fd = http_open_by_parts(root, path);
	return fd;
}
