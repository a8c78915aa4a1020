/* SPDX-License-Identifier: MIT */

/*
 * http.c - fuzz target: the parser of examples/http_parse.c, and http_open.c
 *
 * As long as the parser says that it needs more bytes, more may come; what it
 * has said once, it says whatever follows.  What it takes for a request is one,
 * and ends where it says; and the path in it leads nowhere but into the
 * directory.  Any path that may be asked for comes through encoding, parsing
 * and decoding as it was.
 */

#define _FILE_OFFSET_BITS 64	/* or a file may have too large a number */

#include "fuzz.h"

#include "../../examples/http_open.h"
#include "../../examples/http_parse.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- A directory, and what lies around it -------------------------------- */

/* The folder "outer" has a file, and the root in it a file, a folder with a
 * file, and links that lead out and in. */
static struct {
	char outer[40];
	int root;		/* 0: there is no directory yet */
	ino_t inside[5];
} tree;

static const char *const names[] = { "root/folder/in/b", "root/folder/in",
	"root/folder", "root/up", "root/down", "root/far", "root/a", "root",
	"secret" };

static const char *path_of(const char *name)
{
	static char path[100];

	snprintf(path, sizeof path, "%s/%s", tree.outer, name);

	return path;
}

static void remove_tree(void)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		remove(path_of(names[i]));
	rmdir(tree.outer);
}

static void make_file(const char *name)
{
	FILE *file = fopen(path_of(name), "w");

	FUZZ_CHECK(file != NULL && fputs(name, file) >= 0);
	fclose(file);
}

static void make_folder(const char *name)
{
	FUZZ_EQUAL(mkdir(path_of(name), 0700), 0);
}

static void make_link(const char *name, const char *to)
{
	FUZZ_EQUAL(symlink(to, path_of(name)), 0);
}

static ino_t number_of(const char *name)
{
	struct stat status;

	FUZZ_EQUAL(stat(path_of(name), &status), 0);

	return status.st_ino;
}

static void make_tree(void)
{
	static const char *const inside[] = { "root", "root/a", "root/folder",
		"root/folder/in", "root/folder/in/b" };

	if (tree.root != 0)
		return;
	strcpy(tree.outer, "/tmp/coloop-fuzz-XXXXXX");
	FUZZ_CHECK(mkdtemp(tree.outer) != NULL);
	atexit(remove_tree);
	make_file("secret");
	make_folder("root");
	make_file("root/a");
	make_folder("root/folder");
	make_folder("root/folder/in");
	make_file("root/folder/in/b");
	make_link("root/up", "..");
	make_link("root/far", "/");
	make_link("root/down", "folder/in");
	for (size_t i = 0; i < 5; i++)
		tree.inside[i] = number_of(inside[i]);
	tree.root = open(path_of("root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(tree.root > 0);
}

/* FILE is what was opened, or why nothing was. */
static void check_file(int file, const char *path)
{
	struct stat status;
	bool inside = false;

	if (file < 0)
		return;
	FUZZ_EQUAL(fstat(file, &status), 0);
	for (size_t i = 0; i < 5; i++)
		inside = inside || status.st_ino == tree.inside[i];
	if (!inside)
		FUZZ_FAIL("\"%s\" leads out of the directory", path);
	if (file != tree.root)
		close(file);
}

/* PATH is relative to the directory, and no part of it has been looked at. */
static void check_opening(const char *path)
{
	make_tree();
	check_file(http_open_beneath(tree.root, path), path);
	check_file(http_open_by_parts(tree.root, path), path);
}

/* --- What is true of any request ----------------------------------------- */

/* No part of PATH, which begins with a slash, is "..", and none is empty but
 * the last. */
static bool is_sound(const char *path)
{
	if (path[0] != '/' || strlen(path) >= HTTP_PATH_MAX)
		return false;
	while (*path != '\0') {
		size_t size = strcspn(path + 1, "/");

		if (size == 2 && memcmp(path + 1, "..", 2) == 0)
			return false;
		if (size == 0 && path[1] != '\0')
			return false;
		path += 1 + size;
	}

	return true;
}

static bool are_same(const struct http_request *a,
		const struct http_request *b)
{
	return a->head_only == b->head_only && a->keep_alive == b->keep_alive
			&& strcmp(a->path, b->path) == 0
			&& strcmp(a->if_modified_since, b->if_modified_since)
			== 0;
}

/* DATA, of SIZE bytes, is the head of REQUEST: at its end, and nowhere before
 * but at its beginning, is a line of nothing. */
static void check_head(const uint8_t *data, size_t size,
		const struct http_request *request)
{
	size_t line = 0;
	bool begun = false;

	FUZZ_CHECK(size <= HTTP_HEAD_MAX && data[size - 1] == '\n');
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n' && begun && i + 1 < size)
			FUZZ_CHECK(line > 0);
		if (data[i] == '\n' && line > 0)
			begun = true;
		if (data[i] == '\n')
			line = 0;
		else if (data[i] != '\r' || data[i + 1] != '\n')
			line++;
		if (i + 1 == size)
			FUZZ_CHECK(begun && line == 0);
	}
	FUZZ_CHECK(data[size - 2] == '\n' || data[size - 3] == '\n');
	FUZZ_CHECK(is_sound(request->path));
	FUZZ_CHECK(memchr(request->if_modified_since, '\0',
			sizeof request->if_modified_since) != NULL);
}

static bool is_refusal(int rc)
{
	return rc == -400 || rc == -405 || rc == -413 || rc == -414
			|| rc == -431 || rc == -505;
}

/* The parser as it is called by who has SIZE bytes by now: they lie in memory
 * of just that size. */
static int parse(const uint8_t *data, size_t size,
		struct http_request *ret_request)
{
	char *copy = malloc(size + (size == 0));
	int rc;

	FUZZ_CHECK(copy != NULL);
	memcpy(copy, data, size);
	rc = http_parse(copy, size, ret_request);
	free(copy);

	return rc;
}

/* With the first N bytes of SIZE, of which WHOLE came, and REQUEST if it is
 * one: the same, or more bytes are needed. */
static void check_part(const uint8_t *data, size_t n, int whole,
		const struct http_request *request)
{
	struct http_request part;
	int rc = parse(data, n, &part);

	if (rc == 0) {
		FUZZ_CHECK(whole < 0 || n < (size_t)whole || whole == 0);
		FUZZ_CHECK(n < HTTP_HEAD_MAX);
		return;
	}
	FUZZ_EQUAL(rc, whole);
	FUZZ_CHECK(rc < 0 || are_same(&part, request));
}

/* Pieces of a size that STEP says, then the same with the end cut off. */
static void check_bytes(const uint8_t *data, size_t size, size_t step)
{
	struct http_request request;
	int whole = parse(data, size, &request);

	FUZZ_CHECK(whole >= 0 ? (size_t)whole <= size : is_refusal(whole));
	for (size_t n = 0; n < size; n += step)
		check_part(data, n, whole, &request);
	if (whole <= 0)
		return;
	check_part(data, (size_t)whole, whole, &request);
	check_part(data, (size_t)whole - 1, whole, &request);
	check_head(data, (size_t)whole, &request);
	check_opening(request.path + 1);
}

/* --- What is true of any path -------------------------------------------- */

/* PATH as a request for it has it: a run of slashes is one. */
static void squeeze(const char *path, char *ret_path)
{
	for (; *path != '\0'; path++)
		if (path[0] != '/' || path[1] != '/')
			*ret_path++ = *path;
	*ret_path = '\0';
}

static void check_path(const char *path)
{
	char encoded[3 * HTTP_PATH_MAX + 1], squeezed[HTTP_PATH_MAX + 1];
	char text[sizeof encoded + 20];
	struct http_request request;
	int rc, size;

	http_encode_path(path, encoded, sizeof encoded);
	FUZZ_CHECK(strlen(encoded) <= 3 * strlen(path));
	squeeze(path, squeezed);
	size = snprintf(text, sizeof text, "HEAD %s HTTP/1.0\n\n", encoded);
	rc = parse((const uint8_t *)text, (size_t)size, &request);
	if (!is_sound(squeezed)) {
		FUZZ_EQUAL(rc, strlen(squeezed) >= HTTP_PATH_MAX ? -414
				: -400);
		return;
	}
	FUZZ_EQUAL(rc, size);
	FUZZ_CHECK(request.head_only && !request.keep_alive);
	if (strcmp(request.path, squeezed) != 0)
		FUZZ_FAIL("\"%s\" became \"%s\"", squeezed, request.path);
}

/* ------------------------------------------------------------------------- */

/* The first byte says what the others are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes bytes = { data, size };
	uint8_t first = fuzz_take(&bytes);
	char path[HTTP_PATH_MAX + 1];
	size_t length;

	check_bytes(bytes.next, bytes.left, 1u + first / 2);
	if (first % 2 == 0)
		return 0;
	length = bytes.left < HTTP_PATH_MAX ? bytes.left : HTTP_PATH_MAX;
	memcpy(path, bytes.next, length);
	path[length] = '\0';
	check_path(path);
	check_opening(path);

	return 0;
}
