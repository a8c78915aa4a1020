/* SPDX-License-Identifier: CC0-1.0 */

/*
 * hello.c - two tasks and a channel
 *
 *	cc hello.c -o hello $(pkg-config --cflags --libs coloop)
 */

#include <coloop.h>
#include <stdio.h>
#include <string.h>

static const char hello[] = "hello, world";

static int greet(void *words)
{
	return co_channel_put(words, hello);
}

/* The first task.  When it and all others have ended, co_run() returns what
 * this one returned. */
static int start(void *unused)
{
	struct co_channel *words;
	struct co_task *greeter;
	char heard[sizeof(hello)];
	int rc = co_channel_create(NULL, sizeof(hello), 0, &words);

	(void)unused;
	if (rc != 0)
		return rc;
	rc = co_spawn(NULL, greet, words, &greeter);
	if (rc == 0) {
		rc = co_channel_get(words, heard);
		co_join(greeter, NULL);
	}
	if (rc == 0)
		puts(heard);
	co_channel_destroy(words);
	return rc;
}

int main(void)
{
	int rc = co_run(start, NULL);

	if (rc != 0)
		fprintf(stderr, "hello: %s\n", strerror(-rc));
	return rc != 0;
}
