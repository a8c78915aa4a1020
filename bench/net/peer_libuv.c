/* SPDX-License-Identifier: MIT */

/* peer_libuv.c - the servers of net.h, but for the proxy, on libuv */

#include <uv.h>

#include "net.h"

struct connection {
	uv_tcp_t tcp;
	unsigned state;
};

struct rest {
	uv_write_t request;
	char data[];
};

static struct net_options options;
static char buffer[NET_LARGE];

static void forget(uv_handle_t *handle)
{
	free(handle);
}

/* One buffer serves all: it is used before anything else is read. */
static void lend(uv_handle_t *handle, size_t size, uv_buf_t *ret_part)
{
	(void)handle;
	(void)size;
	*ret_part = uv_buf_init(buffer,
			(unsigned)net_buffer_size(options.mode));
}

static void wrote_rest(uv_write_t *request, int status)
{
	(void)status;
	free(request);
}

static void put(uv_stream_t *stream, const char *data, size_t size)
{
	uv_buf_t part = uv_buf_init((char *)data, (unsigned)size);
	int done = uv_try_write(stream, &part, 1);
	struct rest *rest;

	if (done == (int)size || (done < 0 && done != UV_EAGAIN))
		return;
	if (done < 0)
		done = 0;
	size -= (size_t)done;
	rest = malloc(sizeof *rest + size);
	memcpy(rest->data, data + done, size);
	part = uv_buf_init(rest->data, (unsigned)size);
	uv_write(&rest->request, stream, &part, 1, wrote_rest);
}

static void did_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *part)
{
	struct connection *connection = (struct connection *)stream;
	const char *data;
	size_t size;

	if (n < 0) {
		uv_close((uv_handle_t *)stream, forget);
		return;
	}
	size = net_answer(options.mode, &connection->state, part->base,
			(size_t)n, &data);
	if (size > 0)
		put(stream, data, size);
}

static void came(uv_stream_t *listener, int status)
{
	struct connection *connection = calloc(1, sizeof *connection);
	uv_stream_t *stream = (uv_stream_t *)&connection->tcp;

	(void)status;
	uv_tcp_init(listener->loop, &connection->tcp);
	if (uv_accept(listener, stream) == 0)
		uv_read_start(stream, lend, did_read);
	else
		uv_close((uv_handle_t *)stream, forget);
}

int main(int argc, char **argv)
{
	uv_tcp_t listener;

	options = net_begin(argc, argv);
	if (options.mode == NET_PROXY)
		return NET_NO_SUCH_MODE;
	uv_tcp_init(uv_default_loop(), &listener);
	uv_tcp_open(&listener, net_listen(options.port));
	uv_listen((uv_stream_t *)&listener, 4096, came);

	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
