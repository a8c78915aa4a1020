/* SPDX-License-Identifier: CC0-1.0 */
#ifndef SERVE_H
#define SERVE_H

/*
 * What the larger example servers have in common: echo_server.c shows the same
 * steps one by one.
 */

#include <coloop.h>

struct service {
	const char *name;		/* of the program, for messages */
	const char *address;		/* numeric, as 127.0.0.1 or ::1 */
	unsigned port;			/* 0: the system chooses */
	co_tcp_handler *handler;
	void *user;			/* for co_tcp_server.user */
};

/* Serve until SIGINT or SIGTERM comes.  "listening on ADDRESS:PORT" is the
 * first line of stdout.  Returns what main() should return: 0, or 1 after a
 * message to stderr. */
int serve_until_signal(const struct service *service);

/* The port number in TEXT, or -EINVAL. */
int serve_parse_port(const char *text);

/* Block SIGINT and SIGTERM, and return a file descriptor that is readable when
 * one has come, or a negative errno value.  To be called before threads are
 * started. */
int serve_open_signals(void);

/* Allow the process as many file descriptors as the system lets it have.
 * Returns that number. */
size_t serve_raise_descriptors(void);

#endif
