/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_EXPLORE_RUN_H
#define COLOOP_TESTS_EXPLORE_RUN_H

/*
 * run.h - what the parts of the explorer know of each other
 */

#include "explore.h"

#include <explore/atomics.h>

#define SCHEDULE_MAX 8192	/* decisions other than 0 that are kept */

/* A decision other than 0. */
struct choice {
	unsigned at;
	unsigned pick;
};

struct schedule {
	unsigned count;
	struct choice choices[SCHEDULE_MAX];
};

enum strategy { BY_CHANCE, BY_PRIORITY, EXHAUSTIVE, REPLAY };

/* How a run makes its decisions. */
struct plan {
	enum strategy strategy;
	uint64_t random;		/* state of the generator */
	unsigned switches;		/* one in so many points is a switch */
	unsigned olds;			/* one in so many loads is old; 0: none */
	unsigned jumps;			/* one in so many looks at the clock */
	unsigned depth;			/* changes of priority */
	unsigned horizon;		/* ...in this many points */
	unsigned preemptions;		/* the most of each kind, if all */
	unsigned old_loads;		/* schedules are tried */
	bool trace;
	const struct schedule *replay;
};

/* What a run leaves behind, also if the process ends: it is shared. */
struct report {
	bool failed;
	char what[1024];
	char where[2048];		/* what each thread was doing */
	uint64_t seed;
	enum strategy strategy;
	unsigned long runs, steps;
	bool complete;			/* all schedules were tried */
	struct schedule schedule;
};

extern struct report *report;
extern struct plan plan;

/* --- schedule.c ----------------------------------------------------------- */

/* One run.  Returns only if it succeeds. */
void run_once(const struct explore_scenario *scenario);

/* The next of all schedules.  False: that was the last. */
bool next_schedule(void);
void first_schedule(void);

/* The number of the running thread, or -1 outside of a run. */
int running(void);

/* A random number below N, of the plan. */
unsigned draw(unsigned n);

/* Decide between N: WISH if the strategy draws; if all schedules are tried, only
 * those below MOST. */
unsigned decide(unsigned n, unsigned wish, unsigned most);

/* Another thread may go on here. */
void point(const char *operation, struct explore_site site);
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something was written: who spins may look again. */
void something_changed(void);

/* The running thread waits until it is woken on OBJECT, or until UNTIL.
 * Returns whether it was woken. */
bool block(const void *object, co_time until);
void wake(const void *object);

/* The running thread waits for a change. */
void spin(void);

bool has_ended(int thread);

extern co_time time_now;

/* --- memory.c ------------------------------------------------------------- */

struct view;

void memory_begin(void);
void memory_end(void);
void memory_thread_begins(int thread, int parent);
/* What the running thread knows goes to VIEW, or comes from it. */
void memory_give(struct view *view);
void memory_take(const struct view *view);
struct view *memory_view(unsigned number);
void memory_take_from(int thread);
/* A fence in each thread. */
void memory_fence_all(void);
/* The running thread has read an old value since it was asked last. */
bool memory_read_old(void);
/* Plain code writes SIZE bytes at ADDRESS. */
void memory_forget(const volatile void *address, size_t size);

/* How often THREAD had released something; what the running one knows of it. */
unsigned memory_clock(int thread);
unsigned memory_knows(int thread);

/* --- races.c -------------------------------------------------------------- */

void races_begin(void);
/* The running thread gives SIZE bytes at BLOCK back, at PC. */
void races_give_back(const void *block, size_t size, const void *pc);

/* --- system.c ------------------------------------------------------------- */

#define FIRST_FD (1 << 20)	/* from here on they are the explorer's */

void system_begin(void);
bool is_given_back(const volatile void *address);

/* Who waits for EPOLL, a descriptor, is told what the running thread knows. */
void system_has_event(int epoll);

/* --- sockets.c ------------------------------------------------------------ */

#define FIRST_SOCKET 1000	/* ...and so are these numbers */
#define SOCKETS 16u

struct epoll_event;

void sockets_begin(void);
bool is_socket(int fd);

/* As epoll_ctl(2). */
int sockets_control(int epoll, int op, int fd, const struct epoll_event *event);

/* What there is to be told to who waits for EPOLL.  Returns how many. */
int sockets_events(int epoll, struct epoll_event *events, int max);

#endif
