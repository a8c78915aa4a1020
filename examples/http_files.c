/* SPDX-License-Identifier: CC0-1.0 */

#include "http_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "http_listing.h"
#include "http_open.h"
#include "http_parse.h"

/* How long a client may take to send a request, or to take the next piece of
 * an answer. */
#define PATIENCE (30 * CO_SECOND)

/* How long a connection that ends with an error is listened to. */
#define LINGER (2 * CO_SECOND)

#define PIECE_MAX ((size_t)64 * 1024)	/* of a file, read at once */
#define URL_MAX (3 * HTTP_PATH_MAX + 1)
#define HEAD_MAX (URL_MAX + 512)	/* of a response */
#define DATE_MAX 32

struct response {
	int status;
	const char *type;		/* NULL: no body */
	unsigned long long size;	/* of the body */
	const char *modified;		/* NULL: unknown */
	const char *location;		/* NULL: none */
};

/* One connection. */
struct session {
	int root;
	struct co_io *io;
	struct http_request request;
	bool keep_alive;	/* wait for another request */
	size_t used;		/* bytes of INPUT that came */
	char input[HTTP_HEAD_MAX];
};

static const char *reason_of(int status)
{
	switch (status) {
	case 200: return "OK";
	case 301: return "Moved Permanently";
	case 304: return "Not Modified";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	default: return "Internal Server Error";
	}
}

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".htm", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".txt", "text/plain; charset=utf-8" },
		{ ".md", "text/plain; charset=utf-8" },
		{ ".c", "text/plain; charset=utf-8" },
		{ ".h", "text/plain; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".pdf", "application/pdf" },
		{ ".wasm", "application/wasm" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".jpg", "image/jpeg" },
		{ ".jpeg", "image/jpeg" },
		{ ".gif", "image/gif" },
		{ ".webp", "image/webp" },
		{ ".ico", "image/x-icon" },
		{ ".woff2", "font/woff2" },
		{ ".mp4", "video/mp4" },
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static int status_of(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
	case -EXDEV:
	case -ENAMETOOLONG:
	case -ENXIO:
		return 404;
	case -EACCES:
	case -EPERM:
		return 403;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return 503;
	default:
		return 500;
	}
}

static void format_date(time_t when, char date[DATE_MAX])
{
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(date, DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Append "NAME: VALUE" to HEAD, which has room for it. */
static size_t put_field(char *head, size_t used, const char *name,
		const char *value)
{
	if (value == NULL)
		return used;
	return used + (size_t)snprintf(head + used, HEAD_MAX - used,
			"%s: %s\r\n", name, value);
}

/* Returns the length. */
static size_t format_head(const struct session *session,
		const struct response *response, char head[HEAD_MAX])
{
	char date[DATE_MAX], size[24];
	size_t used = (size_t)snprintf(head, HEAD_MAX, "HTTP/1.1 %d %s\r\n",
			response->status, reason_of(response->status));

	format_date(time(NULL), date);
	snprintf(size, sizeof(size), "%llu", response->size);
	used = put_field(head, used, "Date", date);
	used = put_field(head, used, "Content-Type", response->type);
	used = put_field(head, used, "Content-Length",
			response->status == 304 ? NULL : size);
	used = put_field(head, used, "Last-Modified", response->modified);
	used = put_field(head, used, "Location", response->location);
	used = put_field(head, used, "Allow",
			response->status == 405 ? "GET, HEAD" : NULL);
	used = put_field(head, used, "Connection",
			session->keep_alive ? "keep-alive" : "close");
	return used + (size_t)snprintf(head + used, HEAD_MAX - used, "\r\n");
}

/* Write two pieces as one, so that small answers are one packet. */
static int write_both(struct co_io *io, const char *first, size_t first_size,
		const char *second, size_t second_size)
{
	struct iovec parts[2] = {
		{ (void *)first, first_size },
		{ (void *)second, second_size },
	};
	size_t done;
	ssize_t n;
	int rc = -ETIMEDOUT;

	CO_WITH_DEADLINE(co_after(PATIENCE)) {
		n = co_io_writev(io, parts, second_size > 0 ? 2 : 1);
		if (n < 0)
			return (int)n;
		done = (size_t)n;
		rc = 0;
		if (done < first_size) {
			rc = co_io_write_full(io, first + done,
					first_size - done, NULL);
			done = first_size;
		}
		done -= first_size;
		if (rc == 0 && done < second_size)
			rc = co_io_write_full(io, second + done,
					second_size - done, NULL);
	}
	return rc;
}

/* Answer with BODY, which has response->size bytes. */
static int send_text(struct session *session, const struct response *response,
		const char *body)
{
	char head[HEAD_MAX];
	size_t size = format_head(session, response, head);

	return write_both(session->io, head, size, body,
			session->request.head_only ? 0 : response->size);
}

/* A short page for everything that isn't a file. */
static int send_status(struct session *session, int status,
		const char *location)
{
	struct response response = { status, "text/plain; charset=utf-8", 0,
		NULL, location };
	char text[64];

	response.size = (unsigned long long)snprintf(text, sizeof(text),
			"%d %s\n", status, reason_of(status));
	return send_text(session, &response, text);
}

/* Send SIZE bytes of FILE after the head, which goes out with the first of
 * them.  A file that got shorter meanwhile can't be told of any more: the
 * connection ends too early, and that is how the client learns it. */
static int send_pieces(struct session *session, int file,
		unsigned long long size, const char *head, size_t head_size,
		char *piece)
{
	int rc = 0;

	while (rc == 0 && size > 0) {
		size_t want = size < PIECE_MAX ? (size_t)size : PIECE_MAX;
		ssize_t n = read(file, piece, want);

		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		rc = write_both(session->io, head, head_size, piece,
				(size_t)n);
		head_size = 0;
		size -= (unsigned long long)n;
	}
	return rc;
}

static int send_body(struct session *session, int file,
		const struct response *response)
{
	char head[HEAD_MAX];
	char *piece = malloc(response->size < PIECE_MAX ?
			(size_t)response->size : PIECE_MAX);
	int rc;

	if (piece == NULL)
		return send_status(session, 503, NULL);
	rc = send_pieces(session, file, response->size, head,
			format_head(session, response, head), piece);
	free(piece);
	return rc;
}

static int send_file(struct session *session, int file, const char *path,
		const struct stat *status)
{
	char modified[DATE_MAX];
	struct response response = { 200, type_of(path),
		(unsigned long long)status->st_size, modified, NULL };

	format_date(status->st_mtime, modified);
	if (strcmp(session->request.if_modified_since, modified) == 0) {
		response = (struct response){ 304, NULL, 0, modified, NULL };
		return send_text(session, &response, "");
	}
	if (response.size == 0 || session->request.head_only)
		return send_text(session, &response, "");
	return send_body(session, file, &response);
}

static int send_listing(struct session *session, int directory)
{
	struct response response = { 200, "text/html; charset=utf-8", 0, NULL,
		NULL };
	char *html;
	size_t size;
	int rc = http_listing(directory, session->request.path, &html, &size);

	if (rc != 0)
		return send_status(session, status_of(rc), NULL);
	response.size = size;
	rc = send_text(session, &response, html);
	free(html);
	return rc;
}

/* Relative links in a page are meant from the directory's URL, so that has to
 * end in a slash. */
static int send_to_slash(struct session *session)
{
	char url[URL_MAX + 1];

	http_encode_path(session->request.path, url, sizeof(url) - 1);
	strcat(url, "/");
	return send_status(session, 301, url);
}

static int send_directory(struct session *session, int directory)
{
	const char *path = session->request.path;
	struct stat status;
	int file, rc;

	if (path[strlen(path) - 1] != '/')
		return send_to_slash(session);
	file = http_open_beneath(directory, "index.html");
	if (file < 0)
		return send_listing(session, directory);
	if (fstat(file, &status) == 0 && S_ISREG(status.st_mode))
		rc = send_file(session, file, "index.html", &status);
	else
		rc = send_listing(session, directory);
	close(file);
	return rc;
}

static int answer(struct session *session)
{
	const char *path = session->request.path + 1;
	struct stat status;
	int file = http_open_beneath(session->root, *path ? path : ".");
	int rc;

	if (file < 0)
		return send_status(session, status_of(file), NULL);
	if (fstat(file, &status) != 0)
		rc = send_status(session, status_of(-errno), NULL);
	else if (S_ISDIR(status.st_mode))
		rc = send_directory(session, file);
	else if (S_ISREG(status.st_mode))
		rc = send_file(session, file, path, &status);
	else
		rc = send_status(session, 404, NULL);
	close(file);
	return rc;
}

/* Get a whole head into the input.  Returns its length, 0: the client is
 * done, or a negative number: what http_parse() or reading said.  The two don't
 * mix: errno values are below 200. */
static int read_head(struct session *session)
{
	ssize_t n;
	int length;

	for (;;) {
		length = http_parse(session->input, session->used,
				&session->request);
		if (length != 0)
			return length;
		n = co_io_read(session->io, session->input + session->used,
				sizeof(session->input) - session->used);
		if (n <= 0)
			return (int)n;
		session->used += (size_t)n;
	}
}

/* Closing a socket with unread bytes makes the system reset the connection,
 * and the client might never see the answer.  So let it finish first. */
static void linger(struct session *session)
{
	co_io_shutdown(session->io, SHUT_WR);
	CO_WITH_DEADLINE(co_after(LINGER))
		while (co_io_read(session->io, session->input,
					sizeof(session->input)) > 0)
			;
}

static void refuse(struct session *session, int status)
{
	session->request.head_only = false;
	session->keep_alive = false;
	if (send_status(session, status, NULL) == 0)
		linger(session);
}

/* One request and its answer.  0: there may be another. */
static int serve_request(struct session *session)
{
	int length = -ETIMEDOUT;
	int rc;

	CO_WITH_DEADLINE(co_after(PATIENCE))
		length = read_head(session);
	if (length == -ETIMEDOUT && session->used > 0)
		length = -408;
	if (length <= -200)
		refuse(session, -length);
	if (length <= 0)
		return -ECONNABORTED;
	session->keep_alive = session->request.keep_alive;
	rc = answer(session);
	session->used -= (size_t)length;
	memmove(session->input, session->input + length, session->used);
	return session->keep_alive ? rc : -ECONNABORTED;
}

int http_open_root(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

void http_serve(int root, struct co_io *connection)
{
	struct session session;

	session.root = root;
	session.io = connection;
	session.used = 0;
	while (serve_request(&session) == 0)
		;
}
