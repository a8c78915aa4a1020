/* SPDX-License-Identifier: MIT */

/* address.c - socket addresses from text */

#include "fd.h"

#include <coloop/tcp.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static int parse_ipv4(const char *text, unsigned port,
		struct sockaddr_storage *ret_address)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		return -EINVAL;
	memset(ret_address, 0, sizeof *ret_address);
	memcpy(ret_address, &address, sizeof address);

	return 0;
}

/* An address, and perhaps %interface after it. */
static int parse_ipv6(const char *text, unsigned port,
		struct sockaddr_storage *ret_address)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	size_t length = strcspn(text, "%");
	char host[INET6_ADDRSTRLEN];

	if (length >= sizeof host)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1)
		return -EINVAL;
	if (text[length] == '%') {
		address.sin6_scope_id = if_nametoindex(text + length + 1);
		if (address.sin6_scope_id == 0)
			return -EINVAL;
	}
	memset(ret_address, 0, sizeof *ret_address);
	memcpy(ret_address, &address, sizeof address);

	return 0;
}

bool co__tcp_is_address(const struct sockaddr *address, socklen_t size)
{
	return size >= (socklen_t)sizeof(struct sockaddr)
		&& (address->sa_family == AF_INET
			|| address->sa_family == AF_INET6);
}

int co_tcp_address(const char *text, unsigned port,
		struct sockaddr_storage *ret_address, socklen_t *ret_size)
{
	if (text == NULL || ret_address == NULL || ret_size == NULL
			|| port > 65535)
		return -EINVAL;
	if (parse_ipv4(text, port, ret_address) == 0) {
		*ret_size = sizeof(struct sockaddr_in);
		return 0;
	}
	if (parse_ipv6(text, port, ret_address) < 0)
		return -EINVAL;
	*ret_size = sizeof(struct sockaddr_in6);

	return 0;
}
