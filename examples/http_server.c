/* SPDX-License-Identifier: CC0-1.0 */

/*
 * http_server.c - serve the files of a directory to browsers
 *
 *	http_server DIRECTORY [PORT [ADDRESS]]
 *
 *	cc http_server.c http_files.c http_listing.c http_open.c http_parse.c \
 *		serve.c -o http_server $(pkg-config --cflags --libs coloop)
 *
 * It knows GET and HEAD of HTTP/1.0 and 1.1.  Each connection has a task of
 * its own, whose code, in http_files.c, reads from top to bottom.
 */

#include <stdio.h>
#include <string.h>

#include "http_files.h"
#include "serve.h"

static void handle(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	const int *root = server->user;

	(void)peer;
	http_serve(*root, connection);
}

int main(int argc, char **argv)
{
	int root;
	struct service service = { "http_server", "127.0.0.1", 8080, handle,
		&root };
	int port = argc > 2 ? serve_parse_port(argv[2]) : 8080;

	if (argc < 2 || argc > 4 || port < 0) {
		fprintf(stderr, "usage: http_server DIRECTORY "
				"[PORT [ADDRESS]]\n");
		return 2;
	}
	root = http_open_root(argv[1]);
	if (root < 0) {
		fprintf(stderr, "http_server: %s: %s\n", argv[1],
				strerror(-root));
		return 1;
	}
	service.port = (unsigned)port;
	if (argc > 3)
		service.address = argv[3];
	return serve_until_signal(&service);
}
