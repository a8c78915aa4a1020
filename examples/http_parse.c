/* SPDX-License-Identifier: CC0-1.0 */

#include "http_parse.h"

#include <string.h>
#include <strings.h>

/* Bytes of the input; never ended by a NUL. */
struct span {
	const char *start;
	size_t size;
};

/* What the header fields said, as far as it matters. */
struct fields {
	unsigned hosts;
	bool close, keep_alive;
};

static bool span_is(struct span span, const char *word)
{
	return span.size == strlen(word) &&
		strncasecmp(span.start, word, span.size) == 0;
}

static struct span skip(struct span span, size_t n)
{
	return (struct span){ span.start + n, span.size - n };
}

/* Cut SPAN at the first SEPARATOR: true, and what is before it, without it, if
 * there is one. */
static bool cut(struct span *span, char separator, struct span *ret_before)
{
	const char *found = span->size == 0 ? NULL :
		memchr(span->start, separator, span->size);

	if (found == NULL)
		return false;
	ret_before->start = span->start;
	ret_before->size = (size_t)(found - span->start);
	*span = skip(*span, ret_before->size + 1);
	return true;
}

/* The next line, without its end, if it is complete. */
static bool cut_line(struct span *rest, struct span *ret_line)
{
	if (!cut(rest, '\n', ret_line))
		return false;
	if (ret_line->size > 0 && ret_line->start[ret_line->size - 1] == '\r')
		ret_line->size--;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
	while (span.size > 0 && is_blank(span.start[0]))
		span = skip(span, 1);
	while (span.size > 0 && is_blank(span.start[span.size - 1]))
		span.size--;
	return span;
}

/* The characters of methods and of names of fields (RFC 9110, 5.6.2). */
static bool is_token(struct span span)
{
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < span.size; i++)
		if (memchr(allowed, span.start[i], sizeof(allowed) - 1) ==
				NULL)
			return false;
	return span.size > 0;
}

static bool has_control(struct span span)
{
	for (size_t i = 0; i < span.size; i++) {
		unsigned char c = (unsigned char)span.start[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at the beginning of TARGET, decoded, or -1.  It takes *RET_LENGTH
 * bytes of it. */
static int decode_byte(struct span target, size_t *ret_length)
{
	int high, low;

	*ret_length = 1;
	if (target.start[0] != '%')
		return (unsigned char)target.start[0];
	if (target.size < 3)
		return -1;
	high = hex_digit(target.start[1]);
	low = hex_digit(target.start[2]);
	*ret_length = 3;
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* To be asked of the decoded path, or "%2e%2e" would slip through. */
static bool climbs(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/..")) != NULL; at++)
		if (at[3] == '/' || at[3] == '\0')
			return true;
	return false;
}

/* Runs of slashes become one, lest a redirection to "//name/" send the browser
 * to another server. */
static int decode_path(struct span target, char *path)
{
	size_t used = 0, length;

	for (; target.size > 0; target = skip(target, length)) {
		int c = decode_byte(target, &length);

		if (target.start[0] == '?' || target.start[0] == '#')
			break;
		if (c <= 0)
			return 400;
		if (c == '/' && used > 0 && path[used - 1] == '/')
			continue;
		if (used == HTTP_PATH_MAX - 1)
			return 414;
		path[used++] = (char)c;
	}
	path[used] = '\0';
	return path[0] != '/' || climbs(path) ? 400 : 0;
}

/* Proxies send "http://host/path": drop all before the path. */
static int parse_target(struct span target, struct http_request *request)
{
	const char *slash;

	if (target.size > 7 && strncasecmp(target.start, "http://", 7) == 0) {
		target = skip(target, 7);
		slash = memchr(target.start, '/', target.size);
		if (slash == NULL)
			target = (struct span){ "/", 1 };
		else
			target = skip(target, (size_t)(slash - target.start));
	}
	return decode_path(target, request->path);
}

static int parse_method(struct span method, struct http_request *request)
{
	if (!is_token(method))
		return 400;
	request->head_only = method.size == 4 &&
		memcmp(method.start, "HEAD", 4) == 0;
	if (request->head_only)
		return 0;
	return method.size == 3 && memcmp(method.start, "GET", 3) == 0 ? 0 :
		405;
}

static int parse_version(struct span version, bool *ret_is_1_0)
{
	const char *digits = version.start + 5;

	if (version.size != 8 || memcmp(version.start, "HTTP/", 5) != 0 ||
			digits[0] < '0' || digits[0] > '9' ||
			digits[1] != '.' || digits[2] < '0' || digits[2] > '9')
		return 400;
	*ret_is_1_0 = digits[2] == '0';
	return digits[0] == '1' ? 0 : 505;
}

static int parse_request_line(struct span line, struct http_request *request,
		bool *ret_is_1_0)
{
	struct span method, target;
	int status;

	if (has_control(line) || !cut(&line, ' ', &method) ||
			!cut(&line, ' ', &target))
		return 400;
	status = parse_version(line, ret_is_1_0);
	if (status == 0)
		status = parse_method(method, request);
	if (status == 0)
		status = parse_target(target, request);
	return status;
}

static void parse_connection(struct span value, struct fields *fields)
{
	struct span word;

	while (cut(&value, ',', &word)) {
		fields->close |= span_is(trim(word), "close");
		fields->keep_alive |= span_is(trim(word), "keep-alive");
	}
	fields->close |= span_is(trim(value), "close");
	fields->keep_alive |= span_is(trim(value), "keep-alive");
}

/* Requests with a body are refused as a whole: who doesn't know where a body
 * ends would take its bytes for the next request. */
static int parse_length(struct span value)
{
	if (value.size == 0)
		return 400;
	for (size_t i = 0; i < value.size; i++)
		if (value.start[i] < '0' || value.start[i] > '9')
			return 400;
	for (size_t i = 0; i < value.size; i++)
		if (value.start[i] != '0')
			return 413;
	return 0;
}

static int parse_field(struct span line, struct http_request *request,
		struct fields *fields)
{
	struct span name, value;

	if (has_control(line) || !cut(&line, ':', &name) || !is_token(name))
		return 400;
	value = trim(line);
	if (span_is(name, "host"))
		return ++fields->hosts > 1 ? 400 : 0;
	if (span_is(name, "content-length"))
		return parse_length(value);
	if (span_is(name, "transfer-encoding"))
		return 413;
	if (span_is(name, "connection"))
		parse_connection(value, fields);
	if (span_is(name, "if-modified-since") &&
			value.size < sizeof(request->if_modified_since)) {
		memcpy(request->if_modified_since, value.start, value.size);
		request->if_modified_since[value.size] = '\0';
	}
	return 0;
}

/* The fields, up to and with the empty line.  1: they are complete, 0: not
 * yet, or a negative status. */
static int parse_fields(struct span *rest, struct http_request *request,
		struct fields *fields)
{
	struct span line;
	int status;

	while (cut_line(rest, &line)) {
		if (line.size == 0)
			return 1;
		status = parse_field(line, request, fields);
		if (status != 0)
			return -status;
	}
	return 0;
}

/* More bytes are needed; but there is a limit to that. */
static int incomplete(size_t size, int status)
{
	return size < HTTP_HEAD_MAX ? 0 : -status;
}

int http_parse(const char *data, size_t size,
		struct http_request *ret_request)
{
	struct span rest = { data, size < HTTP_HEAD_MAX ? size :
		HTTP_HEAD_MAX };
	struct http_request request = { .head_only = false };
	struct fields fields = { 0, false, false };
	struct span line;
	bool is_1_0;
	int rc;

	do {
		if (!cut_line(&rest, &line))
			return incomplete(size, 414);
	} while (line.size == 0);
	rc = parse_request_line(line, &request, &is_1_0);
	if (rc != 0)
		return -rc;
	rc = parse_fields(&rest, &request, &fields);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return incomplete(size, 431);
	if (!is_1_0 && fields.hosts == 0)
		return -400;
	request.keep_alive = !fields.close && (!is_1_0 || fields.keep_alive);
	*ret_request = request;
	return (int)(rest.start - data);
}

void http_encode_path(const char *path, char *ret_text, size_t size)
{
	static const char plain[] = "/-._~0123456789"
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char hex[] = "0123456789ABCDEF";
	size_t used = 0;

	for (; *path != '\0' && used + 4 <= size; path++) {
		unsigned char c = (unsigned char)*path;

		if (strchr(plain, c) != NULL) {
			ret_text[used++] = (char)c;
			continue;
		}
		ret_text[used++] = '%';
		ret_text[used++] = hex[c / 16];
		ret_text[used++] = hex[c % 16];
	}
	if (size > 0)
		ret_text[used] = '\0';
}
