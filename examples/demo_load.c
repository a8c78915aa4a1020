/* SPDX-License-Identifier: CC0-1.0 */

#define _GNU_SOURCE 1
#include "demo_load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Who gets no answer for so long reports an error. */
#define PATIENCE (20 * CO_SECOND)

#define HEAD_MAX 1024

/* What came and isn't used up yet; it lives in the frame of the client. */
struct reader {
	struct co_io *io;
	size_t used;
	char bytes[4096];
};

static unsigned bucket_of(unsigned long long value)
{
	unsigned shift = 0;

	while (value >= 64) {
		value >>= 1;
		shift++;
	}
	return (unsigned)value + shift * 32;
}

/* The largest value that falls into BUCKET. */
static double bucket_end(unsigned bucket)
{
	unsigned shift = bucket < 64 ? 0 : bucket / 32 - 1;
	unsigned long long value = bucket - shift * 32;

	return (double)(((value + 1) << shift) - 1);
}

/* Counters need no order among each other: they are read for good when the
 * tasks have been joined. */
static void add(atomic_ullong *counter, unsigned long long n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void raise_to(atomic_ullong *slowest, unsigned long long value)
{
	unsigned long long old = atomic_load_explicit(slowest,
			memory_order_relaxed);

	while (old < value && !atomic_compare_exchange_weak_explicit(slowest,
			&old, value, memory_order_relaxed,
			memory_order_relaxed))
		;
}

static void count(struct load_client *client, co_time latency, size_t bytes)
{
	struct load_shard *shard =
		&client->load->shards[client->number % LOAD_SHARDS];

	add(&shard->latencies[bucket_of((unsigned long long)latency)], 1);
	add(&shard->bytes, bytes);
	raise_to(&shard->slowest, (unsigned long long)latency);
}

/* Count an error, and keep the first one for the summary.  It doesn't wait for
 * the lock: who holds it is writing down an earlier one.  Returns RC. */
__attribute__((format(printf, 3, 4)))
static int fail(struct load_client *client, int rc, const char *format, ...)
{
	struct load_failure *failure;
	va_list args;

	add(&client->load->errors, 1);
	failure = co_locked_try_acquire(&client->load->failure);
	if (failure == NULL)
		return rc;
	if (failure->text[0] == '\0') {
		va_start(args, format);
		vsnprintf(failure->text, sizeof(failure->text), format, args);
		va_end(args);
	}
	co_locked_release(&client->load->failure);
	return rc;
}

static int read_more(struct reader *reader)
{
	ssize_t n = co_io_read(reader->io, reader->bytes + reader->used,
			sizeof(reader->bytes) - reader->used);

	if (n <= 0)
		return n < 0 ? (int)n : -ENODATA;
	reader->used += (size_t)n;
	return 0;
}

static void use_up(struct reader *reader, size_t n)
{
	reader->used -= n;
	memmove(reader->bytes, reader->bytes + n, reader->used);
}

/* Read the head of a response.  It has to be a 200 that says how long its body
 * is. */
static int read_head(struct reader *reader, int *ret_status,
		unsigned long long *ret_size)
{
	const char *end, *field;
	int rc;

	while ((end = memmem(reader->bytes, reader->used, "\r\n\r\n", 4)) ==
			NULL) {
		rc = reader->used < HEAD_MAX ? read_more(reader) : -EMSGSIZE;
		if (rc != 0)
			return rc;
	}
	reader->bytes[end - reader->bytes + 3] = '\0';
	field = strcasestr(reader->bytes, "\r\nContent-Length:");
	if (sscanf(reader->bytes, "HTTP/1.1 %3d ", ret_status) != 1 ||
			field == NULL || sscanf(field + 17, " %llu",
				ret_size) != 1)
		return -EBADMSG;
	use_up(reader, (size_t)(end - reader->bytes) + 4);
	return 0;
}

/* -EILSEQ: the body isn't what is in the file. */
static int check_body(struct reader *reader, const struct load_file *file)
{
	size_t done = 0;

	while (done < file->size) {
		size_t n = file->size - done;
		int rc = reader->used > 0 ? 0 : read_more(reader);

		if (rc != 0)
			return rc;
		if (n > reader->used)
			n = reader->used;
		if (memcmp(reader->bytes, file->bytes + done, n) != 0)
			return -EILSEQ;
		use_up(reader, n);
		done += n;
	}
	return 0;
}

static int send_request(struct co_io *io, const struct load_file *file)
{
	char request[256];
	int n = snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\n"
			"Host: localhost\r\n\r\n", file->name);

	return co_io_write_full(io, request, (size_t)n, NULL);
}

static int exchange(struct load_client *client, struct reader *reader,
		const struct load_file *file)
{
	unsigned long long size = 0;
	int status = 0;
	int rc = send_request(reader->io, file);

	if (rc != 0)
		return fail(client, rc, "sending a request for %s: %s",
				file->name, strerror(-rc));
	rc = read_head(reader, &status, &size);
	if (rc != 0)
		return fail(client, rc, "waiting for %s: %s", file->name,
				strerror(-rc));
	if (status != 200 || size != file->size)
		return fail(client, -EPROTO, "%s: status %d and %llu bytes "
				"instead of 200 and %zu", file->name, status,
				size, file->size);
	rc = check_body(reader, file);
	if (rc == -EILSEQ)
		return fail(client, rc, "%s: the content is wrong",
				file->name);
	if (rc != 0)
		return fail(client, rc, "reading %s: %s", file->name,
				strerror(-rc));
	return 0;
}

/* Ask until it is time to stop.  Clients begin with different files. */
static int exchange_all(struct load_client *client, struct co_io *io)
{
	struct load *load = client->load;
	struct reader reader = { .io = io, .used = 0 };
	size_t next = client->number;
	int rc = 0;

	while (rc == 0 && !atomic_load_explicit(&load->stop,
			memory_order_relaxed)) {
		const struct load_file *file =
			&load->files[next++ % load->n_files];
		co_time start = co_now();

		rc = -ETIMEDOUT;
		CO_WITH_DEADLINE(co_after(PATIENCE))
			rc = exchange(client, &reader, file);
		if (rc == 0)
			count(client, co_now() - start, file->size);
	}
	return rc;
}

int load_client(void *arg)
{
	struct load_client *client = arg;
	struct load *load = client->load;
	struct co_io *io;
	int rc = -ETIMEDOUT;

	CO_WITH_DEADLINE(co_after(PATIENCE))
		rc = co_tcp_connect((struct sockaddr *)&load->server,
				load->server_size, &io);
	if (rc != 0)
		return fail(client, rc, "connecting: %s", strerror(-rc));
	atomic_fetch_add(&load->connected, 1);
	rc = co_channel_get(load->start, NULL);
	if (rc == -EPIPE)
		rc = exchange_all(client, io);
	co_io_close(io);
	return rc;
}

static void sum_shard(const struct load_shard *shard,
		struct load_totals *totals)
{
	unsigned long long slowest = atomic_load_explicit(&shard->slowest,
			memory_order_relaxed);

	for (size_t i = 0; i < LOAD_BUCKETS; i++) {
		unsigned long long n = atomic_load_explicit(
				&shard->latencies[i], memory_order_relaxed);

		totals->latencies[i] += n;
		totals->requests += n;
	}
	totals->bytes += atomic_load_explicit(&shard->bytes,
			memory_order_relaxed);
	if (slowest > totals->slowest)
		totals->slowest = slowest;
}

void load_sum(const struct load *load, struct load_totals *ret_totals)
{
	memset(ret_totals, 0, sizeof(*ret_totals));
	for (size_t i = 0; i < LOAD_SHARDS; i++)
		sum_shard(&load->shards[i], ret_totals);
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

double load_percentile(const struct load_totals *totals, double part)
{
	unsigned long long seen = 0;
	double wanted = part * (double)totals->requests;

	for (unsigned i = 0; i < LOAD_BUCKETS; i++) {
		seen += totals->latencies[i];
		if (seen > 0 && (double)seen >= wanted)
			return smaller(bucket_end(i),
					(double)totals->slowest);
	}
	return 0;
}
