/* SPDX-License-Identifier: CC0-1.0 */

/*
 * chat_server.c - everybody hears what everybody says
 *
 *	chat_server [PORT [ADDRESS]]
 *	nc 127.0.0.1 6667		(to take part)
 *
 *	cc chat_server.c chat_line.c serve.c -o chat_server \
 *		$(pkg-config --cflags --libs coloop)
 *
 * The first line that a client sends is its nick name; then "/me TEXT",
 * "/nick NAME", "/who", "/quit", and anything else is said to all.
 *
 * A client has two tasks: the handler reads what it says, and a writer sends
 * it what the channel of the client brings.  Speaking means to put the line
 * into the channel of each client without waiting.  A client that reads so
 * slowly that its channel is full is dropped; nobody waits for it.  So that
 * nobody can flood the others out, each may say a line every few milliseconds.
 */

#include <coloop.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "chat_line.h"
#include "serve.h"

#define BACKLOG 32			/* lines that a client may lag */
#define SEND_BUFFER 16384		/* bytes that the system may hold too */
#define PACE (5 * CO_MILLISECOND)	/* between two lines of a client */
#define FAREWELL (1 * CO_SECOND)	/* to send what is left at the end */

struct message {
	size_t size;
	char text[CHAT_LINE_MAX + CHAT_NICK_MAX + 32];
};

struct client {
	struct client *next;		/* in the room */
	struct co_io *io;
	struct co_channel *messages;	/* for this client */
	char nick[CHAT_NICK_MAX + 1];	/* the room's lock */
	struct chat_input input;
};

struct room {
	struct client *clients;
};

/* The clients that have a nick name, and that name of each. */
static CO_LOCKED(struct room) the_room = CO_LOCKED_INIT({ NULL });

/* Never waits.  The shutdown ends the tasks of a client that is too slow. */
static void deliver(struct client *client, const struct message *message)
{
	if (co_channel_try_put(client->messages, message) == -EAGAIN)
		co_io_shutdown(client->io, SHUT_RDWR);
}

__attribute__((format(printf, 2, 0)))
static void format_message(struct message *message, const char *format,
		va_list args)
{
	int n = vsnprintf(message->text, sizeof(message->text) - 1, format,
			args);

	message->size = (size_t)n;
	if (message->size > sizeof(message->text) - 2)
		message->size = sizeof(message->text) - 2;
	message->text[message->size++] = '\n';
}

__attribute__((format(printf, 2, 3)))
static void tell(struct client *client, const char *format, ...)
{
	struct message message;
	va_list args;

	va_start(args, format);
	format_message(&message, format, args);
	va_end(args);
	deliver(client, &message);
}

__attribute__((format(printf, 2, 3)))
static void tell_all(struct room *room, const char *format, ...)
{
	struct message message;
	va_list args;

	va_start(args, format);
	format_message(&message, format, args);
	va_end(args);
	for (struct client *c = room->clients; c != NULL; c = c->next)
		deliver(c, &message);
}

static bool is_taken(const struct room *room, const char *nick)
{
	for (struct client *c = room->clients; c != NULL; c = c->next)
		if (strcmp(c->nick, nick) == 0)
			return true;
	return false;
}

/* The caller holds the room. */
static bool choose_nick(struct room *room, struct client *client,
		const char *nick)
{
	if (!chat_is_nick(nick))
		tell(client, "* a nick name has up to %d letters, digits, "
				"- and _", CHAT_NICK_MAX);
	else if (is_taken(room, nick))
		tell(client, "* %s is taken", nick);
	else {
		strcpy(client->nick, nick);
		return true;
	}
	return false;
}

static void enter(struct room *room, struct client *client, const char *nick)
{
	if (!choose_nick(room, client, nick))
		return;
	client->next = room->clients;
	room->clients = client;
	tell_all(room, "* %s is here", client->nick);
}

static void leave(struct room *room, struct client *client)
{
	struct client **link = &room->clients;

	while (*link != NULL && *link != client)
		link = &(*link)->next;
	if (*link == NULL)
		return;
	*link = client->next;
	tell_all(room, "* %s has left", client->nick);
}

static void rename_client(struct room *room, struct client *client,
		const char *nick)
{
	char old[sizeof(client->nick)];

	strcpy(old, client->nick);
	if (choose_nick(room, client, nick))
		tell_all(room, "* %s is now %s", old, client->nick);
}

/* Not more lines than there is room for beside others: who lags by BACKLOG is
 * thrown out. */
static void list_clients(struct room *room, struct client *client)
{
	struct client *c = room->clients;

	for (int left = BACKLOG / 2; c != NULL && left > 0; c = c->next, left--)
		tell(client, "* %s", c->nick);
	if (c != NULL)
		tell(client, "* and others");
}

/* False: the client wants to go. */
static bool obey(struct room *room, struct client *client,
		const struct chat_line *line)
{
	if (line->verb == CHAT_QUIT)
		return false;
	if (line->verb == CHAT_NOTHING)
		return true;
	if (client->nick[0] == '\0')
		enter(room, client, line->text);
	else if (line->verb == CHAT_SAY)
		tell_all(room, "%s: %s", client->nick, line->text);
	else if (line->verb == CHAT_ME)
		tell_all(room, "* %s %s", client->nick, line->text);
	else if (line->verb == CHAT_NICK)
		rename_client(room, client, line->text);
	else if (line->verb == CHAT_WHO)
		list_clients(room, client);
	else
		tell(client, "* /me TEXT, /nick NAME, /who, /quit");
	return true;
}

/* 0, or why the client is to go. */
static int obey_lines(struct client *client)
{
	struct chat_line line;
	struct room *room;
	bool stays;
	int rc;

	while ((rc = chat_input_line(&client->input, &line)) > 0) {
		room = co_locked_acquire(&the_room);
		if (room == NULL)
			return -ECANCELED;
		stays = obey(room, client, &line);
		co_locked_release(&the_room);
		if (!stays)
			return -ECONNABORTED;
		if (co_sleep(PACE) != 0)
			return -ECANCELED;
	}
	if (rc == -EMSGSIZE)
		tell(client, "* that line is too long");
	return rc;
}

static void listen_to(struct client *client)
{
	size_t size;
	ssize_t n;

	tell(client, "* your nick name?");
	do {
		char *room = chat_input_room(&client->input, &size);

		n = co_io_read(client->io, room, size);
		if (n <= 0)
			return;
		chat_input_add(&client->input, (size_t)n);
	} while (obey_lines(client) == 0);
}

static int write_messages(void *arg)
{
	struct client *client = arg;
	struct message message;
	int rc;

	while ((rc = co_channel_get(client->messages, &message)) == 0) {
		rc = co_io_write_full(client->io, message.text, message.size,
				NULL);
		if (rc != 0)
			break;
	}
	return rc;
}

/* The writer sends what is left, but not for ever. */
static void end_writer(struct client *client, struct co_task *writer)
{
	int rc = -ETIMEDOUT;

	co_channel_close(client->messages);
	CO_WITH_DEADLINE(co_after(FAREWELL))
		rc = co_join(writer, NULL);
	if (rc == 0)
		return;
	co_cancel(writer);
	co_join(writer, NULL);
}

/* What comes after the mask has to happen, even if the server is ending and
 * has cancelled this task: others hold pointers to the client. */
static void serve_client(struct client *client)
{
	struct co_task *writer;
	struct room *room;

	if (co_spawn(NULL, write_messages, client, &writer) != 0)
		return;
	listen_to(client);
	co_cancel_mask(1);
	room = co_locked_acquire(&the_room);
	if (room != NULL) {
		leave(room, client);
		co_locked_release(&the_room);
	}
	end_writer(client, writer);
}

static void handle(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct client client = { .io = connection };
	int size = SEND_BUFFER;

	(void)server;
	(void)peer;
	setsockopt(co_io_fd(connection), SOL_SOCKET, SO_SNDBUF, &size,
			sizeof(size));
	if (co_channel_create(NULL, sizeof(struct message), BACKLOG,
			&client.messages) != 0)
		return;
	serve_client(&client);
	co_channel_destroy(client.messages);
}

int main(int argc, char **argv)
{
	struct service service = { "chat_server", "127.0.0.1", 6667, handle,
		NULL };
	int port = argc > 1 ? serve_parse_port(argv[1]) : 6667;

	if (argc > 3 || port < 0) {
		fprintf(stderr, "usage: chat_server [PORT [ADDRESS]]\n");
		return 2;
	}
	service.port = (unsigned)port;
	if (argc > 2)
		service.address = argv[2];
	return serve_until_signal(&service);
}
