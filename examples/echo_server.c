/* SPDX-License-Identifier: CC0-1.0 */

/*
 * echo_server.c - send everybody's bytes back to them
 *
 *	echo_server [ADDRESS] [PORT]
 *
 *	cc echo_server.c -o echo_server $(pkg-config --cflags --libs coloop)
 *
 * Port 0 lets the system choose.  SIGINT or SIGTERM ends the program: it stops
 * listening, cancels the connections that are left, and waits for them.
 */

#include <coloop.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct program {
	struct sockaddr_storage address;
	socklen_t address_size;
	int signals;		/* readable when the program shall end */
};

/* One task for each connection.  It reads as if it were the only one: while it
 * waits for bytes, the thread runs other tasks.  A client that is silent, or
 * doesn't read, keeps its connection: a server for strangers sets deadlines, as
 * http_server does. */
static void echo(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	char buffer[8192];
	ssize_t n;

	(void)server;
	(void)peer;
	for (;;) {
		n = co_io_read(connection, buffer, sizeof(buffer));
		if (n <= 0)
			return;		/* the end, or an error */
		if (co_io_write_full(connection, buffer, (size_t)n, NULL) != 0)
			return;
	}
}

/* Tests and scripts read the port from this line, so it must not linger in a
 * buffer. */
static int print_address(struct co_tcp_server *server)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];
	int rc = co_tcp_server_address(server, (struct sockaddr *)&address,
			&size);

	if (rc != 0)
		return rc;
	if (getnameinfo((struct sockaddr *)&address, size, host, sizeof(host),
			port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return -EINVAL;
	printf(address.ss_family == AF_INET6 ? "listening on [%s]:%s\n"
			: "listening on %s:%s\n", host, port);
	fflush(stdout);
	return 0;
}

/* The first task: serve until a signal comes. */
static int serve(void *arg)
{
	struct program *program = arg;
	struct co_tcp_server server;
	int rc = co_tcp_server_init(&server, co_loop_current());

	if (rc != 0)
		return rc;
	rc = co_tcp_server_listen(&server,
			(struct sockaddr *)&program->address,
			program->address_size, 0, echo);
	if (rc == 0)
		rc = print_address(&server);
	if (rc == 0)
		rc = co_wait_fd(program->signals, CO_READABLE);
	co_tcp_server_deinit(&server);
	return rc < 0 ? rc : 0;
}

/* The signals are blocked before any thread is started, since threads inherit
 * what is blocked; so they arrive in the file descriptor only. */
static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : -errno;
}

static int parse_arguments(int argc, char **argv, struct program *program)
{
	const char *host = argc > 1 ? argv[1] : "127.0.0.1";
	const char *port = argc > 2 ? argv[2] : "7777";
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (argc > 3 || end == port || *end != '\0' || number > 65535)
		return -EINVAL;
	return co_tcp_address(host, (unsigned)number, &program->address,
			&program->address_size);
}

int main(int argc, char **argv)
{
	struct program program;
	int rc;

	if (parse_arguments(argc, argv, &program) != 0) {
		fprintf(stderr, "usage: echo_server [ADDRESS] [PORT]\n");
		return 2;
	}
	program.signals = open_signals();
	rc = program.signals < 0 ? program.signals : co_run(serve, &program);
	if (rc != 0)
		fprintf(stderr, "echo_server: %s\n", strerror(-rc));
	return rc != 0;
}
