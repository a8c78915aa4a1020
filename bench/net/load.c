/* SPDX-License-Identifier: MIT */

/*
 * load.c - a closed loop of clients for the servers of net.h
 *
 *	load PORT KIND CONNECTIONS SIZE SECONDS [PID...]
 *
 * KIND is
 *
 *	echo	each connection sends SIZE bytes, waits for as many, and again
 *	http	the same with a request, and a response that ends in "hello"
 *	churn	connect, send SIZE bytes, receive as many, close, and again
 *	sink	write SIZE bytes at a time, as fast as it goes
 *
 * It connects, has each connection answer once, and says "ready".  Then for
 * each line of input it runs for SECONDS and waits for the last answers, so
 * that nothing is under way before and after.  It tells in one line what it
 * saw: the number of messages (bytes, for sink), seconds, nanoseconds of CPU
 * of the processes PID and of its own, and the median and 99th percentile of
 * the latencies in microseconds.  It ends with its input.
 *
 * Several of these, each with a server of its own, can take turns: what
 * disturbs one run disturbs the next one too.
 */

#include <dirent.h>
#include <sys/epoll.h>
#include <time.h>

#include "net.h"

#define BATCH 512
#define ADDRESSES 64u	/* 127.0.0.1 and on: there are too few ports for one */
#define ROOM (1 << 20)
#define REQUEST "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" \
			"User-Agent: load\r\nAccept: */*\r\n\r\n"

struct connection {
	int fd;
	size_t got;
	long long sent_at;
};

static unsigned short port;
static const char *kind;
static int connections, epoll_fd;
static size_t size;
static long long duration;
static char **pids;
static struct connection *all;
static char output[ROOM], input[ROOM];
static long long done;

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);

	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* --- Latencies: 32 buckets for each power of two ------------------------- */

#define BUCKETS 32

static long long histogram[64 * BUCKETS];

static void count_latency(long long ns)
{
	int shift = 0;

	while (ns >> shift >= 2 * BUCKETS)
		shift++;
	histogram[shift * BUCKETS + (int)(ns >> shift)]++;
}

/* In microseconds, the latency that is exceeded by all but PART of them. */
static double latency(double part)
{
	long long left = (long long)(part * (double)done);
	int i = 0;

	while (i < 63 * BUCKETS && left >= histogram[i])
		left -= histogram[i++];
	if (i < 2 * BUCKETS)
		return i / 1e3;

	return (double)(i % BUCKETS + BUCKETS)
			* (double)(1ll << (i / BUCKETS - 1)) / 1e3;
}

/* --- CPU time ------------------------------------------------------------ */

static long long read_time(const char *pid, const char *thread)
{
	char name[600];
	long long time = 0;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%s/task/%s/schedstat", pid, thread);
	file = fopen(name, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lld", &time) != 1)
		time = 0;
	fclose(file);

	return time;
}

static long long process_time(const char *pid)
{
	char name[64];
	long long sum = 0;
	struct dirent *entry;
	DIR *directory;

	snprintf(name, sizeof name, "/proc/%s/task", pid);
	directory = opendir(name);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			sum += read_time(pid, entry->d_name);
	if (directory != NULL)
		closedir(directory);

	return sum;
}

static long long servers_time(void)
{
	long long sum = 0;

	for (char **pid = pids; *pid != NULL; pid++)
		sum += process_time(*pid);

	return sum;
}

static long long own_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);

	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* --- Connections --------------------------------------------------------- */

static void dial(struct connection *connection)
{
	static unsigned next;
	struct sockaddr_in to = net_address(INADDR_LOOPBACK
			+ next++ % ADDRESSES, port);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET,
		.data.ptr = connection };
	int on = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(connection->fd, (struct sockaddr *)&to, sizeof to) < 0)
		net_die("connect");
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		net_die("epoll_ctl");
}

static void ask(struct connection *connection)
{
	connection->sent_at = now();
	connection->got = 0;
	if (send(connection->fd, output, size, MSG_NOSIGNAL) != (ssize_t)size)
		net_die("send");
}

/* Whether all of the answer has come. */
static int receive(struct connection *connection)
{
	ssize_t n = recv(connection->fd, input, sizeof input, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		net_die(n == 0 ? "connection ended" : "recv");
	connection->got += (size_t)n;
	if (strcmp(kind, "http") == 0)
		return n >= 5 && memcmp(input + n - 5, "hello", 5) == 0;

	return connection->got >= size;
}

static void dial_and_ask(struct connection *connection)
{
	dial(connection);
	ask(connection);
}

static void close_and_dial(struct connection *connection)
{
	close(connection->fd);
	dial_and_ask(connection);
}

/* --- A run --------------------------------------------------------------- */

/* Let all connections begin with BEGIN and go on with AGAIN until END. */
static void run_closed(void (*begin)(struct connection *),
		void (*again)(struct connection *), long long end)
{
	struct epoll_event events[BATCH];
	int under_way = connections;

	for (int i = 0; i < connections; i++)
		begin(&all[i]);
	while (under_way > 0) {
		int n = epoll_wait(epoll_fd, events, BATCH, 60000);

		if (n == 0)
			net_die("no answer for a minute");
		for (int i = 0; i < n; i++) {
			struct connection *connection = events[i].data.ptr;
			long long time;

			if (!receive(connection))
				continue;
			time = now();
			count_latency(time - connection->sent_at);
			done++;
			if (time < end)
				again(connection);
			else
				under_way--;
		}
	}
}

static void run_sink(long long end)
{
	for (int i = 0; now() < end; i = (i + 1) % connections) {
		ssize_t n = send(all[i].fd, output, size, MSG_NOSIGNAL);

		if (n < 0)
			net_die("send");
		done += n;
	}
}

static void run_churn(long long end)
{
	run_closed(dial_and_ask, close_and_dial, end);
	for (int i = 0; i < connections; i++)
		close(all[i].fd);
}

static void run(long long length)
{
	long long end = now() + length;

	done = 0;
	memset(histogram, 0, sizeof histogram);
	if (strcmp(kind, "churn") == 0)
		run_churn(end);
	else if (strcmp(kind, "sink") == 0)
		run_sink(end);
	else
		run_closed(ask, ask, end);
}

static void measure(void)
{
	long long servers = servers_time(), own = own_time(), start = now();

	run(duration);
	printf("%lld %.6f %lld %lld %.1f %.1f\n", done,
			(double)(now() - start) / 1e9,
			servers_time() - servers, own_time() - own,
			latency(0.5), latency(0.99));
	fflush(stdout);
}

static void prepare(void)
{
	memset(output, 'x', sizeof output);
	if (strcmp(kind, "http") == 0) {
		memcpy(output, REQUEST, sizeof REQUEST);
		size = sizeof REQUEST - 1;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	all = calloc((size_t)connections, sizeof *all);
	if (all == NULL)
		net_die("calloc");
	for (int i = 0; strcmp(kind, "churn") != 0 && i < connections; i++)
		dial(&all[i]);
	run(0);
}

int main(int argc, char **argv)
{
	char line[16];

	if (argc < 6) {
		fprintf(stderr, "usage: load PORT KIND CONNECTIONS SIZE "
				"SECONDS [PID...]\n");
		return 2;
	}
	port = (unsigned short)atoi(argv[1]);
	kind = argv[2];
	connections = atoi(argv[3]);
	size = (size_t)atoi(argv[4]);
	duration = (long long)(atof(argv[5]) * 1e9);
	pids = argv + 6;
	net_raise_limit();
	prepare();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL)
		measure();

	return 0;
}
