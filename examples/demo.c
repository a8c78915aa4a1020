/* SPDX-License-Identifier: CC0-1.0 */

/*
 * demo.c - a web server and a thousand clients of it in one process
 *
 *	demo [--clients N] [--seconds N] [--threads N] [DIRECTORY]
 *
 *	cc demo.c demo_files.c demo_load.c http_files.c http_listing.c \
 *		http_open.c http_parse.c serve.c -o demo \
 *		$(pkg-config --cflags --libs coloop)
 *
 * All of them are tasks of one loop.  The clients compare every byte that the
 * server sends, and the program fails if one was wrong.  Without DIRECTORY a
 * few files are made for the purpose.  Ctrl-C ends it early.
 */

#include <coloop.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo_files.h"
#include "demo_load.h"
#include "http_files.h"
#include "serve.h"

#define MIB (1024.0 * 1024.0)

/* File descriptors that the process needs besides two for each client. */
#define OTHER_DESCRIPTORS 64

struct demo {
	size_t clients;
	unsigned seconds, threads;
	int signals, root;
	struct demo_files files;
	struct co_tcp_server server;
	struct load_client *all;
	co_time elapsed;
	size_t resident_before, resident;	/* bytes */
	struct co_loop_stats stats;		/* while all are at work */
};

/* Too large for a stack. */
static struct demo demo;
static struct load load;
static struct load_totals totals;

static void handle(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	(void)server;
	(void)peer;
	http_serve(demo.root, connection);
}

static size_t resident_memory(void)
{
	unsigned long total, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static int start_server(void)
{
	struct sockaddr *address = (struct sockaddr *)&load.server;
	int rc = co_tcp_address("127.0.0.1", 0, &load.server,
			&load.server_size);

	if (rc == 0)
		rc = co_tcp_server_listen(&demo.server, address,
				load.server_size, 0, handle);
	if (rc == 0)
		rc = co_tcp_server_address(&demo.server, address,
				&load.server_size);
	return rc;
}

/* Wait until the server has accepted all but LATE of the connections.  They
 * wait in a queue of the system; what doesn't fit there is sent again after a
 * second or more, so it is better not to hurry. */
static void wait_for_server(size_t started, size_t late)
{
	while (started > co_tcp_server_connections(&demo.server) + late &&
			atomic_load(&load.errors) == 0)
		if (co_sleep(CO_MILLISECOND) != 0)
			return;
}

/* Returns how many could be started. */
static size_t start_clients(void)
{
	for (size_t i = 0; i < demo.clients; i++) {
		struct load_client *client = &demo.all[i];
		int rc;

		client->load = &load;
		client->number = i;
		rc = co_spawn(NULL, load_client, client, &client->task);
		if (rc != 0) {
			fprintf(stderr, "demo: can't start client %zu: %s\n",
					i + 1, strerror(-rc));
			atomic_fetch_add(&load.errors, 1);
			return i;
		}
		wait_for_server(i + 1, 500);
	}
	return demo.clients;
}

/* On a terminal, one line that is written over and over. */
static void show_progress(co_time since)
{
	double seconds = (double)(co_now() - since) / CO_SECOND;

	if (!isatty(STDOUT_FILENO))
		return;
	load_sum(&load, &totals);
	printf("\r%4.1f s  %zu clients  %llu requests  %.0f/s  "
			"p99 %.1f ms\033[K", seconds,
			atomic_load(&load.connected), totals.requests,
			(double)totals.requests / seconds,
			load_percentile(&totals, 0.99) / CO_MILLISECOND);
	fflush(stdout);
}

static void clear_progress(void)
{
	if (isatty(STDOUT_FILENO))
		printf("\r\033[K");
}

/* Wait for the end of the time, a signal or an error. */
static int watch(co_time start)
{
	co_time end = start + demo.seconds * CO_SECOND;
	int rc = -ETIMEDOUT;

	while (rc == -ETIMEDOUT && co_now() < end &&
			atomic_load(&load.errors) == 0) {
		co_time next = co_after(CO_SECOND / 4);

		CO_WITH_DEADLINE(next < end ? next : end)
			rc = co_wait_fd(demo.signals, CO_READABLE);
		show_progress(start);
	}
	clear_progress();
	return rc == -ETIMEDOUT || rc > 0 ? 0 : rc;
}

/* Closing the channel wakes all clients at once. */
static int drive_clients(void)
{
	co_time start;
	size_t started;
	int rc;

	demo.resident_before = resident_memory();
	started = start_clients();
	wait_for_server(started, 0);
	start = co_now();
	co_channel_close(load.start);
	rc = watch(start);
	demo.resident = resident_memory();
	demo.stats.size = sizeof(demo.stats);
	co_loop_stats(co_loop_current(), &demo.stats);
	atomic_store(&load.stop, true);
	for (size_t i = 0; i < started; i++)
		co_join(demo.all[i].task, NULL);
	demo.elapsed = co_now() - start;
	return rc;
}

/* The first task. */
static int run_demo(void *unused)
{
	int rc = co_tcp_server_init(&demo.server, co_loop_current());

	(void)unused;
	if (rc != 0)
		return rc;
	rc = co_channel_create(NULL, 0, 0, &load.start);
	if (rc == 0)
		rc = start_server();
	if (rc == 0)
		rc = drive_clients();
	co_tcp_server_deinit(&demo.server);
	co_channel_destroy(load.start);
	return rc;
}

static void print_latency(const char *name, double nanoseconds)
{
	printf("  %s %.2f ms", name, nanoseconds / CO_MILLISECOND);
}

static void print_memory(void)
{
	double more = demo.resident > demo.resident_before ?
		(double)(demo.resident - demo.resident_before) : 0;

	printf("memory      %.1f KiB a task, %.1f KiB a client "
			"(%.1f MiB more resident memory)\n",
			more / 1024 / (double)(demo.stats.tasks > 0 ?
				demo.stats.tasks : 1),
			more / 1024 / (double)demo.clients, more / MIB);
	printf("stacks      %llu, %.0f MiB of address space\n",
			(unsigned long long)demo.stats.stacks,
			(double)demo.stats.stack_bytes / MIB);
}

static void print_summary(const char *backend)
{
	double seconds = (double)demo.elapsed / CO_SECOND;

	load_sum(&load, &totals);
	printf("clients     %zu, each with one connection and one request at "
			"a time\n", atomic_load(&load.connected));
	printf("tasks       %llu on %u threads, %s\n",
			(unsigned long long)demo.stats.tasks,
			demo.stats.threads, backend);
	printf("requests    %llu in %.2f s, every byte compared\n",
			totals.requests, seconds);
	printf("throughput  %.0f requests/s, %.1f MiB/s\n",
			(double)totals.requests / seconds,
			(double)totals.bytes / MIB / seconds);
	printf("latency   ");
	print_latency("p50", load_percentile(&totals, 0.50));
	print_latency("p90", load_percentile(&totals, 0.90));
	print_latency("p99", load_percentile(&totals, 0.99));
	print_latency("p99.9", load_percentile(&totals, 0.999));
	print_latency("max", (double)totals.slowest);
	printf("\n");
	print_memory();
	printf("errors      %llu\n", (unsigned long long)load.errors);
}

/* The loop is made by hand, since its number of threads can be chosen. */
static int run_loop(void)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_task *first;
	struct co_loop *loop;
	int result = 0;
	int rc;

	options.threads = demo.threads;
	rc = co_loop_create(&options, &loop);
	if (rc != 0)
		return rc;
	rc = co_spawn(loop, run_demo, NULL, &first);
	if (rc == 0)
		rc = co_loop_run(loop);
	if (rc == 0)
		rc = co_join(first, &result);
	if (rc == 0 && result == 0)
		print_summary(co_loop_backend(loop));
	co_loop_destroy(loop);
	return rc != 0 ? rc : result;
}

/* Each client needs a descriptor at either end of its connection. */
static int fit_clients(void)
{
	size_t limit = serve_raise_descriptors();
	size_t most = limit > OTHER_DESCRIPTORS ?
		(limit - OTHER_DESCRIPTORS) / 2 : 0;

	if (demo.clients <= most)
		return 0;
	fprintf(stderr, "demo: the limit of %zu file descriptors (ulimit -n) "
			"allows %zu clients instead of %zu\n",
			limit, most, demo.clients);
	demo.clients = most;
	return most > 0 ? 0 : -EMFILE;
}

static int prepare(const char *directory)
{
	int rc = fit_clients();

	if (rc != 0)
		return rc;
	rc = directory == NULL ? demo_files_make(&demo.files) :
		demo_files_read(&demo.files, directory);
	if (rc != 0) {
		fprintf(stderr, "demo: no files to serve in %s\n",
				demo.files.directory);
		return rc;
	}
	load.files = demo.files.files;
	load.n_files = demo.files.n;
	demo.root = http_open_root(demo.files.directory);
	demo.signals = serve_open_signals();
	demo.all = calloc(demo.clients, sizeof(*demo.all));
	if (demo.root < 0 || demo.signals < 0)
		return demo.root < 0 ? demo.root : demo.signals;
	return demo.all != NULL ? 0 : -ENOMEM;
}

static unsigned parse_number(const char *text, unsigned most)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || number < 1 || number > most) {
		fprintf(stderr, "demo: %s is not a number from 1 to %u\n",
				text, most);
		exit(2);
	}
	return (unsigned)number;
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "clients", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:s:t:", options, NULL)) !=
			-1) {
		if (option == 'c')
			demo.clients = parse_number(optarg, 1000000);
		else if (option == 's')
			demo.seconds = parse_number(optarg, 86400);
		else if (option == 't')
			demo.threads = parse_number(optarg,
					CO_LOOP_THREADS_MAX);
		else
			exit(2);
	}
	if (argc - optind > 1) {
		fprintf(stderr, "usage: demo [--clients N] [--seconds N] "
				"[--threads N] [DIRECTORY]\n");
		exit(2);
	}
}

static int report(int rc)
{
	/* No task is left that could hold it. */
	struct load_failure *failure = co_locked_try_acquire(&load.failure);

	if (rc != 0)
		fprintf(stderr, "demo: %s\n", strerror(-rc));
	else if (load.errors > 0)
		fprintf(stderr, "demo: FAILED: %s\n",
				failure != NULL ? failure->text : "");
	if (failure != NULL)
		co_locked_release(&load.failure);
	return rc != 0 || load.errors > 0;
}

int main(int argc, char **argv)
{
	int rc;

	demo.clients = 1000;
	demo.seconds = 5;
	parse_options(argc, argv);
	rc = prepare(argv[optind]);
	if (rc == 0)
		rc = run_loop();
	demo_files_free(&demo.files);
	free(demo.all);
	return report(rc);
}
