/* SPDX-License-Identifier: CC0-1.0 */

#define _GNU_SOURCE 1
#include "demo_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t)1 << 20)

/* What demo_files_make() writes. */
static const struct {
	const char *name;
	size_t size;
} samples[] = {
	{ "note.txt", 600 },
	{ "page.html", 6000 },
	{ "picture.png", 40000 },
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* Letters without a pattern: a piece in the wrong place is noticed. */
static void fill(char *bytes, size_t size)
{
	uint32_t state = 2463534242u;

	for (size_t i = 0; i < size; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		bytes[i] = i % 72 == 71 ? '\n' : (char)('a' + state % 26);
	}
}

static int write_file(const char *directory, const char *name, size_t size)
{
	char path[320];
	char *bytes = malloc(size);
	FILE *file;
	int rc = 0;

	if (bytes == NULL)
		return -ENOMEM;
	fill(bytes, size);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (file == NULL || fwrite(bytes, 1, size, file) != size)
		rc = -errno;
	if (file != NULL && fclose(file) != 0 && rc == 0)
		rc = -errno;
	free(bytes);
	return rc;
}

static int make_directory(struct demo_files *files)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(files->directory, sizeof(files->directory),
			"%s/coloop-demo.XXXXXX", tmp != NULL ? tmp : "/tmp");

	if (n >= (int)sizeof(files->directory))
		return -ENAMETOOLONG;
	if (mkdtemp(files->directory) == NULL)
		return -errno;
	files->made = 1;
	return 0;
}

/* Names that need no encoding in a URL. */
static int is_plain(const struct dirent *entry)
{
	static const char allowed[] = "-_.0123456789"
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' &&
		size < sizeof(((struct load_file *)0)->name) &&
		strspn(entry->d_name, allowed) == size;
}

static int read_bytes(int fd, size_t size, char **ret_bytes)
{
	char *bytes = malloc(size > 0 ? size : 1);
	ssize_t n;

	if (bytes == NULL)
		return -ENOMEM;
	n = read(fd, bytes, size);
	if (n != (ssize_t)size) {
		free(bytes);
		return n < 0 ? -errno : -EIO;
	}
	*ret_bytes = bytes;
	return 0;
}

/* Add the file NAME of DIRECTORY, unless it is something else or too large. */
static int read_file(struct demo_files *files, int directory, const char *name)
{
	struct load_file *file = &files->files[files->n];
	struct stat status;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc = 0;

	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
			(size_t)status.st_size <= FILE_SIZE_MAX) {
		file->size = (size_t)status.st_size;
		rc = read_bytes(fd, file->size, &file->bytes);
		if (rc == 0) {
			strcpy(file->name, name);
			files->n++;
		}
	}
	close(fd);
	return rc;
}

static int read_entries(struct demo_files *files, int directory)
{
	struct dirent **entries;
	int n = scandirat(directory, ".", &entries, is_plain, alphasort);
	int rc = n < 0 ? -errno : 0;

	for (int i = 0; i < n; i++) {
		if (rc == 0 && files->n < DEMO_FILES_MAX)
			rc = read_file(files, directory, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return rc;
}

static int read_directory(struct demo_files *files)
{
	int fd = open(files->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = read_entries(files, fd);
	close(fd);
	return rc == 0 && files->n == 0 ? -ENOENT : rc;
}

int demo_files_make(struct demo_files *files)
{
	int rc = make_directory(files);

	for (size_t i = 0; rc == 0 && i < N_SAMPLES; i++)
		rc = write_file(files->directory, samples[i].name,
				samples[i].size);
	return rc != 0 ? rc : read_directory(files);
}

int demo_files_read(struct demo_files *files, const char *directory)
{
	if (strlen(directory) >= sizeof(files->directory))
		return -ENAMETOOLONG;
	strcpy(files->directory, directory);
	return read_directory(files);
}

void demo_files_free(struct demo_files *files)
{
	char path[320];

	for (size_t i = 0; i < files->n; i++)
		free(files->files[i].bytes);
	if (!files->made)
		return;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		snprintf(path, sizeof(path), "%s/%s", files->directory,
				samples[i].name);
		unlink(path);
	}
	rmdir(files->directory);
}
