/* SPDX-License-Identifier: CC0-1.0 */
#ifndef DEMO_LOAD_H
#define DEMO_LOAD_H

/*
 * The clients of the demonstration: each asks for one file after the other
 * over one connection, and compares every byte that comes.
 */

#include <coloop.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A file as the server should send it. */
struct load_file {
	char name[64];
	size_t size;
	char *bytes;
};

/* Latencies, in buckets whose width is at most 1/32 of their value. */
#define LOAD_BUCKETS (60 * 32)

/* Counters are spread, so that threads seldom write to the same one. */
#define LOAD_SHARDS 16

struct load_shard {
	atomic_ullong latencies[LOAD_BUCKETS];
	atomic_ullong bytes;
	atomic_ullong slowest;		/* nanoseconds */
};

struct load {
	struct sockaddr_storage server;
	socklen_t server_size;
	const struct load_file *files;
	size_t n_files;
	struct co_channel *start;	/* closed when all are connected */
	atomic_bool stop;
	atomic_size_t connected;	/* clients that have a connection */
	atomic_ullong errors;
	CO_LOCKED(struct load_failure {
		char text[160];		/* of the first error, or "" */
	}) failure;
	struct load_shard shards[LOAD_SHARDS];
};

struct load_client {
	struct load *load;
	size_t number;
	struct co_task *task;
};

/* The task of a client; ARG is its struct load_client.  It goes on until
 * load->stop, and returns 0, or a negative errno value after counting an
 * error. */
int load_client(void *arg);

/* The sum of all shards. */
struct load_totals {
	unsigned long long requests, bytes, slowest;
	unsigned long long latencies[LOAD_BUCKETS];
};

void load_sum(const struct load *load, struct load_totals *ret_totals);

/* The latency, in nanoseconds, that the share PART (0 to 1) of the requests
 * didn't exceed. */
double load_percentile(const struct load_totals *totals, double part);

#endif
