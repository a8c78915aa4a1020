/* SPDX-License-Identifier: MIT */

/*
 * uring.c - the servers of net.h on io_uring(7) itself, with liburing
 *
 * One system call hands over what is to be done next and takes what has been
 * done, for all connections at once.
 *
 * echo, http   One request accepts all connections, and one for each of them
 *              receives all that comes, into buffers that the kernel takes
 *              from a ring; an echo is sent from the buffer that it came in.
 *              Sockets have no descriptors, but places in a table of the ring.
 *
 * sink, proxy  A connection has a large buffer of its own, and one request at
 *              a time: receive, send, receive.  If the large buffers came round
 *              in turn, each would have left the caches before it is used.
 *
 * Linux before 6.1 does all of it in the latter way.
 */

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "net.h"

enum {
	ENTRIES = 4096,		/* requests that can be handed over at once */
	COMPLETIONS = 32768,
	SOCKETS = 16384,	/* in the table of the ring */
	BUFFERS = 4096,		/* shared ones; a power of two */
	SHARE = 64		/* of which a connection may have so many */
};

/* What a request was for: the lowest bits of its user data, the others of
 * which are the address of its connection. */
enum kind { ACCEPT, CONNECT, RECEIVE, SEND, OTHER, KINDS = 8 };

struct connection {
	int fd;				/* or its place in the table */
	unsigned state;			/* of net_requests */
	bool ended;			/* nothing more is to be received */

	/* With shared buffers: what is to be sent, one after the other. */
	bool sending;
	bool receiving;			/* that request is under way */
	bool starving;			/* it waits for a buffer */
	unsigned owed;			/* responses */
	unsigned held;			/* buffers to be echoed */
	int first, last;		/* of these, or -1 */
	struct connection *next_starved;

	/* With a buffer of its own. */
	struct connection *other;	/* where it is sent to */
	char *data;
};

static struct net_options options;
static struct io_uring ring;
static bool modern, shared;
static int listener;

static struct io_uring_buf_ring *unused;
static char buffers[BUFFERS][NET_SMALL];
static int sizes[BUFFERS], next[BUFFERS];	/* of those to be echoed */
static struct connection *starved;

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	errno = -rc;
	net_die(what);
}

/* --- Requests ------------------------------------------------------------ */

static struct io_uring_sqe *new_request(void)
{
	struct io_uring_sqe *request;

	while ((request = io_uring_get_sqe(&ring)) == NULL)
		io_uring_submit(&ring);

	return request;
}

/* After it has been filled in, for that clears all else. */
static void label(struct io_uring_sqe *request, struct connection *connection,
		enum kind kind)
{
	io_uring_sqe_set_data64(request, (uintptr_t)connection | kind);
	if (connection != NULL && shared)
		request->flags |= IOSQE_FIXED_FILE;
}

static void request_accept(void)
{
	struct io_uring_sqe *request = new_request();

	if (shared)
		io_uring_prep_multishot_accept_direct(request, listener, NULL,
				NULL, 0);
	else if (modern)
		io_uring_prep_multishot_accept(request, listener, NULL, NULL,
				SOCK_CLOEXEC);
	else
		io_uring_prep_accept(request, listener, NULL, NULL,
				SOCK_CLOEXEC);
	label(request, NULL, ACCEPT);
}

static void request_receive(struct connection *connection)
{
	struct io_uring_sqe *request = new_request();

	if (shared)
		io_uring_prep_recv_multishot(request, connection->fd, NULL, 0,
				0);
	else
		io_uring_prep_recv(request, connection->fd, connection->data,
				net_buffer_size(options.mode), 0);
	label(request, connection, RECEIVE);
	if (shared)
		request->flags |= IOSQE_BUFFER_SELECT;
	connection->receiving = true;
}

static void request_pause(struct connection *connection)
{
	struct io_uring_sqe *request = new_request();

	io_uring_prep_cancel64(request, (uintptr_t)connection | RECEIVE, 0);
	label(request, NULL, OTHER);
}

/* Send on FD all of DATA, for CONNECTION. */
static void request_send(struct connection *connection, int fd,
		const char *data, size_t size)
{
	struct io_uring_sqe *request = new_request();

	io_uring_prep_send(request, fd, data, size, MSG_NOSIGNAL | MSG_WAITALL);
	label(request, connection, SEND);
}

/* No request of CONNECTION is under way. */
static void drop(struct connection *connection)
{
	struct io_uring_sqe *request = new_request();

	if (shared)
		io_uring_prep_close_direct(request, (unsigned)connection->fd);
	else
		io_uring_prep_close(request, connection->fd);
	label(request, NULL, OTHER);
	free(connection->data);
	free(connection);
}

/* --- Shared buffers ------------------------------------------------------ */

static void give_back(int buffer)
{
	struct connection *connection = starved;

	io_uring_buf_ring_add(unused, buffers[buffer], NET_SMALL,
			(unsigned short)buffer, BUFFERS - 1, 0);
	io_uring_buf_ring_advance(unused, 1);
	if (connection == NULL)
		return;
	starved = connection->next_starved;
	connection->starving = false;
	request_receive(connection);
}

/* One at a time, for else what doesn't fit would be overtaken. */
static void send_next(struct connection *connection)
{
	const char *data = net_responses;
	size_t size;

	if (connection->sending)
		return;
	if (connection->first >= 0) {
		data = buffers[connection->first];
		size = (size_t)sizes[connection->first];
	} else if (connection->owed > 0) {
		unsigned count = connection->owed < NET_PIPELINE
				? connection->owed : NET_PIPELINE;

		connection->owed -= count;
		size = count * NET_RESPONSE_SIZE;
	} else {
		if (connection->ended)
			drop(connection);
		return;
	}
	connection->sending = true;
	request_send(connection, connection->fd, data, size);
}

/* If its peer reads late it must not have all the buffers: let it pause. */
static void echo(struct connection *connection, int buffer, int size)
{
	sizes[buffer] = size;
	next[buffer] = -1;
	if (connection->first >= 0)
		next[connection->last] = buffer;
	else
		connection->first = buffer;
	connection->last = buffer;
	if (++connection->held == SHARE)
		request_pause(connection);
}

/* Receive, if that has come to an end which is not that of the stream. */
static void go_on(struct connection *connection)
{
	if (!connection->receiving && !connection->ended
			&& !connection->starving && connection->held < SHARE)
		request_receive(connection);
}

static void received_shared(struct connection *connection, int result,
		unsigned flags)
{
	int buffer = (int)(flags >> IORING_CQE_BUFFER_SHIFT);

	connection->receiving = flags & IORING_CQE_F_MORE;
	if (result == -ENOBUFS) {
		connection->starving = true;
		connection->next_starved = starved;
		starved = connection;
	} else if (result <= 0 && result != -ECANCELED) {
		connection->ended = true;
	} else if (result > 0 && options.mode == NET_ECHO) {
		echo(connection, buffer, result);
	} else if (result > 0) {
		connection->owed += net_requests(&connection->state,
				buffers[buffer], (size_t)result);
		give_back(buffer);
	}
	go_on(connection);
	send_next(connection);
}

/* If that has failed, its peer is gone, and receiving will end, too. */
static void sent_shared(struct connection *connection, int result)
{
	connection->sending = false;
	if (result < 0)
		connection->owed = 0;
	while (connection->first >= 0) {
		int buffer = connection->first;

		connection->first = next[buffer];
		connection->held--;
		give_back(buffer);
		if (result >= 0)
			break;
	}
	go_on(connection);
	send_next(connection);
}

static void share_buffers(void)
{
	struct io_uring_buf_reg which = { .ring_entries = BUFFERS };

	if (posix_memalign((void **)&unused, 4096, BUFFERS
			* sizeof(struct io_uring_buf)) != 0)
		net_die("posix_memalign");
	which.ring_addr = (uintptr_t)unused;
	check(io_uring_register_files_sparse(&ring, SOCKETS), "sockets");
	check(io_uring_register_buf_ring(&ring, &which, 0), "buffers");
	io_uring_buf_ring_init(unused);
	for (int i = 0; i < BUFFERS; i++)
		give_back(i);
}

/* --- A buffer of one's own ----------------------------------------------- */

/* The stream of CONNECTION has ended, or nobody wants the rest of it. */
static void end(struct connection *connection)
{
	struct connection *other = connection->other;

	connection->ended = true;
	if (!other->ended) {
		shutdown(other->fd, SHUT_WR);
		return;
	}
	if (other != connection)
		drop(other);
	drop(connection);
}

static void received(struct connection *connection, int result)
{
	const char *data = connection->data;
	size_t size = (size_t)result;

	if (result <= 0) {
		end(connection);
		return;
	}
	if (options.mode != NET_PROXY)
		size = net_answer(options.mode, &connection->state,
				connection->data, size, &data);
	if (size > 0)
		request_send(connection, connection->other->fd, data, size);
	else
		request_receive(connection);
}

static void sent(struct connection *connection, int result)
{
	if (result < 0)
		end(connection);
	else
		request_receive(connection);
}

/* --- Connections --------------------------------------------------------- */

static struct connection *new_connection(int fd)
{
	struct connection *connection = calloc(1, sizeof *connection);

	if (connection == NULL)
		net_die("calloc");
	connection->fd = fd;
	connection->first = -1;
	connection->other = connection;
	if (!shared)
		connection->data = malloc(net_buffer_size(options.mode));
	if (!shared && connection->data == NULL)
		net_die("malloc");

	return connection;
}

/* The other half of a proxy's connection. */
static void dial_for(struct connection *client)
{
	static struct sockaddr_in to;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct connection *target = new_connection(fd);
	struct io_uring_sqe *request = new_request();

	check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on),
			"socket");
	client->other = target;
	target->other = client;
	to = net_address(INADDR_LOOPBACK, options.target);
	io_uring_prep_connect(request, fd, (struct sockaddr *)&to, sizeof to);
	label(request, target, CONNECT);
}

static void connected(struct connection *target, int result)
{
	if (result < 0) {
		drop(target->other);
		drop(target);
		return;
	}
	request_receive(target);
	request_receive(target->other);
}

static void accepted(int result, unsigned flags)
{
	struct connection *connection;

	if (result != -ECONNABORTED)
		check(result, "accept");
	if (!(flags & IORING_CQE_F_MORE))
		request_accept();
	if (result < 0)
		return;
	connection = new_connection(result);
	if (options.mode == NET_PROXY)
		dial_for(connection);
	else
		request_receive(connection);
}

static void complete(const struct io_uring_cqe *completion)
{
	uintptr_t label = (uintptr_t)completion->user_data;
	struct connection *connection = (struct connection *)
			(label & ~(uintptr_t)(KINDS - 1));
	int result = completion->res;

	switch ((enum kind)(label % KINDS)) {
	case ACCEPT:
		accepted(result, completion->flags);
		break;
	case CONNECT:
		connected(connection, result);
		break;
	case RECEIVE:
		if (shared)
			received_shared(connection, result, completion->flags);
		else
			received(connection, result);
		break;
	case SEND:
		if (shared)
			sent_shared(connection, result);
		else
			sent(connection, result);
		break;
	default:
		break;
	}
}

/* The newest of what is used here came with Linux 6.1: the flag that defers
 * all work to the call that waits for it. */
static void make_ring(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER
				| IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = COMPLETIONS,
	};
	int rc = io_uring_queue_init_params(ENTRIES, &ring, &params);

	modern = rc == 0;
	if (rc == -EINVAL) {
		memset(&params, 0, sizeof params);
		params.flags = IORING_SETUP_CQSIZE;
		params.cq_entries = COMPLETIONS;
		rc = io_uring_queue_init_params(ENTRIES, &ring, &params);
	}
	if (rc == -EPERM || rc == -ENOSYS)
		exit(NET_NOT_HERE);
	check(rc, "io_uring");
	io_uring_register_ring_fd(&ring);
	shared = modern && net_buffer_size(options.mode) == NET_SMALL;
	if (shared)
		share_buffers();
}

int main(int argc, char **argv)
{
	options = net_begin(argc, argv);
	make_ring();
	listener = net_listen(options.port);
	request_accept();
	for (;;) {
		int rc = io_uring_submit_and_wait(&ring, 1);
		struct io_uring_cqe *completion;
		unsigned head, count = 0;

		if (rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
			check(rc, "io_uring_enter");
		io_uring_for_each_cqe(&ring, head, completion) {
			complete(completion);
			count++;
		}
		io_uring_cq_advance(&ring, count);
	}
}
