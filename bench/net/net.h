/* SPDX-License-Identifier: MIT */
#ifndef BENCH_NET_H
#define BENCH_NET_H

/*
 * net.h - what the servers to be compared have in common
 *
 * A server is started as
 *
 *	PROGRAM PORT MODE [TARGET_PORT]
 *
 * and listens on all addresses of IPv4.  MODE is
 *
 *	echo	write back what was read
 *	http	one fixed response for each empty line
 *	sink	read and throw away
 *	proxy	pass on to TARGET_PORT of 127.0.0.1, in both directions
 *
 * All use one thread, buffers of the same sizes, and TCP_NODELAY.  Exit status
 * 3: the program doesn't know MODE; 77: it can't work here.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum net_mode { NET_ECHO, NET_HTTP, NET_SINK, NET_PROXY };

enum { NET_NO_SUCH_MODE = 3, NET_NOT_HERE = 77 };	/* exit statuses */

#define NET_SMALL 2048		/* bytes of a buffer for echo and http */
#define NET_LARGE 65536		/* for sink and proxy */

#define NET_RESPONSE "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" \
			"Content-Length: 5\r\n\r\nhello"
#define NET_RESPONSE_SIZE (sizeof(NET_RESPONSE) - 1)
#define NET_PIPELINE 32u	/* responses that one write can have */

struct net_options {
	unsigned short port;
	enum net_mode mode;
	unsigned short target;
};

static char net_responses[NET_PIPELINE * NET_RESPONSE_SIZE];

/* How many requests end in DATA.  *STATE, 0 at first, tells how much of an
 * empty line the bytes before it were. */
static inline unsigned net_requests(unsigned *state, const char *data,
		size_t size)
{
	static const char end[4] = { '\r', '\n', '\r', '\n' };
	unsigned found = 0;

	for (size_t i = 0; i < size; i++) {
		if (data[i] == end[*state])
			++*state;
		else
			*state = data[i] == '\r';
		if (*state == sizeof end) {
			*state = 0;
			found++;
		}
	}

	return found;
}

/* The size of the answer to DATA in MODE, and in *RET_ANSWER the answer. */
static inline size_t net_answer(enum net_mode mode, unsigned *state,
		const char *data, size_t size, const char **ret_answer)
{
	unsigned found;

	*ret_answer = data;
	if (mode == NET_ECHO)
		return size;
	if (mode == NET_SINK)
		return 0;
	*ret_answer = net_responses;
	found = net_requests(state, data, size);
	if (found > NET_PIPELINE)
		found = NET_PIPELINE;

	return found * NET_RESPONSE_SIZE;
}

static inline size_t net_buffer_size(enum net_mode mode)
{
	return mode == NET_ECHO || mode == NET_HTTP ? NET_SMALL : NET_LARGE;
}

static inline struct sockaddr_in net_address(unsigned address,
		unsigned short port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons(port);
	to.sin_addr.s_addr = htonl(address);

	return to;
}

static inline void net_die(const char *what)
{
	perror(what);
	exit(2);
}

/* A listening, non-blocking socket.  What it accepts has its TCP_NODELAY. */
static inline int net_listen(unsigned short port)
{
	struct sockaddr_in address = net_address(INADDR_ANY, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0
			|| listen(fd, 4096) < 0)
		net_die("listen");

	return fd;
}

static inline void net_raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static inline enum net_mode net_mode(const char *name)
{
	static const char *const names[] = { "echo", "http", "sink", "proxy" };

	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum net_mode)i;
	fprintf(stderr, "no such mode: %s\n", name);
	exit(NET_NO_SUCH_MODE);
}

static inline struct net_options net_begin(int argc, char **argv)
{
	struct net_options options = { 0, NET_ECHO, 0 };

	if (argc < 3) {
		fprintf(stderr, "usage: %s PORT MODE [TARGET_PORT]\n",
				argv[0]);
		exit(2);
	}
	options.port = (unsigned short)atoi(argv[1]);
	options.mode = net_mode(argv[2]);
	options.target = (unsigned short)(argc > 3 ? atoi(argv[3]) : 0);
	signal(SIGPIPE, SIG_IGN);
	net_raise_limit();
	for (unsigned i = 0; i < NET_PIPELINE; i++)
		memcpy(net_responses + i * NET_RESPONSE_SIZE, NET_RESPONSE,
				NET_RESPONSE_SIZE);

	return options;
}

#endif
