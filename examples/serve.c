/* SPDX-License-Identifier: CC0-1.0 */

#include "serve.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct serving {
	const struct service *service;
	int signals;
};

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

static int listen_on(struct co_tcp_server *server,
		const struct service *service)
{
	struct sockaddr_storage address;
	socklen_t size;
	int rc = co_tcp_address(service->address, service->port, &address,
			&size);

	if (rc != 0)
		return rc;
	return co_tcp_server_listen(server, (struct sockaddr *)&address, size,
			0, service->handler);
}

/* The first task of the loop. */
static int serve(void *arg)
{
	struct serving *serving = arg;
	struct co_tcp_server server;
	int rc = co_tcp_server_init(&server, co_loop_current());

	if (rc != 0)
		return rc;
	server.user = serving->service->user;
	rc = listen_on(&server, serving->service);
	if (rc == 0)
		rc = print_address(&server);
	if (rc == 0)
		rc = co_wait_fd(serving->signals, CO_READABLE);
	co_tcp_server_deinit(&server);
	return rc < 0 ? rc : 0;
}

int serve_until_signal(const struct service *service)
{
	struct serving serving = { service, serve_open_signals() };
	int rc = serving.signals;

	serve_raise_descriptors();
	if (rc >= 0) {
		rc = co_run(serve, &serving);
		close(serving.signals);
	}
	if (rc != 0)
		fprintf(stderr, "%s: can't serve at %s port %u: %s\n",
				service->name, service->address,
				service->port, strerror(-rc));
	return rc != 0;
}

int serve_parse_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || port > 65535)
		return -EINVAL;
	return (int)port;
}

int serve_open_signals(void)
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

size_t serve_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 256;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			limit.rlim_cur = before;
	}
	return (size_t)limit.rlim_cur;
}
