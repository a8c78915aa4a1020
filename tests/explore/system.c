/* SPDX-License-Identifier: MIT */

/*
 * system.c - what the library asks of the system, as the explorer answers
 *
 * Each call is replaced by the linker (--wrap).  A call that sleeps lets the
 * other threads go on; one that wakes passes on what the caller has written.
 * Of epoll there is as much as the library's way to wake its poller needs, and
 * sockets.c; a file descriptor from FIRST_FD on is the explorer's.
 */

#include "run.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define OBJECTS 64u
#define LINE ((size_t)64)	/* what memory is given out by */
#define MEMORY ((size_t)4 << 20)
#define HERE EXPLORE_AT(EXPLORE_FULL)

/* A semaphore (VALUE is its), a mutex (1 while it is held), an event counter
 * (1 if its event waits), or an epoll. */
struct object {
	const void *address;	/* NULL: this is a file descriptor */
	long value;
	uint64_t key;		/* event counter: of its event */
};

static struct object objects[OBJECTS];
static unsigned object_count;
static bool monitor_sees, barriers_fail, threads_fail;
static _Alignas(64) char memory[MEMORY];
static unsigned char given_back[MEMORY / 64];
static size_t memory_used;

/* --- Memory --------------------------------------------------------------- */

static void *allocate(void *context, size_t size)
{
	void *block = memory + memory_used;

	(void)context;
	memory_used += (size + LINE - 1) & ~(LINE - 1);
	if (memory_used > MEMORY)
		explore_fail("the run needs too much memory");
	memory_forget(block, size);
	memset(block, 0xa5, size);

	return block;
}

static void give_back(void *context, void *block, size_t size)
{
	size_t first = (size_t)((char *)block - memory) / LINE;

	(void)context;
	races_give_back(block, size, __builtin_return_address(0));
	memset(block, 0xdd, size);
	memset(given_back + first, 1, (size + LINE - 1) / LINE);
}

const struct co_allocator explore_allocator = { allocate, give_back, NULL };

bool is_given_back(const volatile void *address)
{
	size_t offset = (size_t)((const volatile char *)address - memory);

	return (const volatile char *)address >= memory && offset < MEMORY
			&& given_back[offset / LINE];
}

void system_begin(void)
{
	memset(given_back, 0, sizeof given_back);
	memory_used = 0;
	object_count = 0;
	monitor_sees = barriers_fail = threads_fail = false;
	sockets_begin();
}

/* --- Objects -------------------------------------------------------------- */

static struct object *new_object(const void *address, long value)
{
	struct object *object = &objects[object_count];

	if (object_count++ == OBJECTS)
		explore_fail("the run has too many objects");
	object->address = address;
	object->value = value;
	object->key = 0;

	return object;
}

/* The newest at ADDRESS, which a loop may have used before; of VALUE if it was
 * never initialised but statically. */
static struct object *object_at(const void *address, long value)
{
	for (unsigned i = object_count; i-- > 0;)
		if (objects[i].address == address)
			return &objects[i];

	return new_object(address, value);
}

static struct view *view_of(const struct object *object)
{
	return memory_view((unsigned)(object - objects));
}

static struct object *object_of_fd(int fd)
{
	return &objects[fd - FIRST_FD];
}

static int fd_of(const struct object *object)
{
	return FIRST_FD + (int)(object - objects);
}

/* Wait until VALUE isn't 0, and take 1 away. */
static void take(struct object *object)
{
	while (object->value == 0)
		block(object, CO_NEVER);
	object->value--;
	memory_take(view_of(object));
}

static void give(struct object *object)
{
	object->value++;
	memory_give(view_of(object));
	wake(object);
}

/* --- Semaphores ----------------------------------------------------------- */

int __wrap_sem_init(sem_t *sem, int shared, unsigned value);
int __wrap_sem_destroy(sem_t *sem);
int __wrap_sem_wait(sem_t *sem);
int __wrap_sem_trywait(sem_t *sem);
int __wrap_sem_post(sem_t *sem);

int __wrap_sem_init(sem_t *sem, int shared, unsigned value)
{
	(void)shared;
	new_object(sem, (long)value);

	return 0;
}

int __wrap_sem_destroy(sem_t *sem)
{
	(void)sem;

	return 0;
}

int __wrap_sem_wait(sem_t *sem)
{
	point("sem_wait", HERE);
	take(object_at(sem, 0));
	trace("%d slept\n", running());

	return 0;
}

int __wrap_sem_trywait(sem_t *sem)
{
	struct object *object = object_at(sem, 0);

	point("sem_trywait", HERE);
	if (object->value == 0) {
		errno = EAGAIN;
		return -1;
	}
	take(object);

	return 0;
}

int __wrap_sem_post(sem_t *sem)
{
	point("sem_post", HERE);
	if (is_given_back(sem))
		explore_fail("use of a semaphore that is gone");
	give(object_at(sem, 0));
	trace("%d sem_post\n", running());

	return 0;
}

/* --- Mutexes and conditions ----------------------------------------------- */

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
		const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
		const struct timespec *when);

/* VALUE is 1 while it is free. */
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
		const pthread_mutexattr_t *attr)
{
	(void)attr;
	new_object(mutex, 1);

	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	point("lock a mutex", HERE);
	take(object_at(mutex, 1));

	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	give(object_at(mutex, 1));

	return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
	point("signal", HERE);
	wake(cond);

	return 0;
}

static int wait_on(pthread_cond_t *cond, pthread_mutex_t *mutex, co_time until)
{
	bool woken;

	give(object_at(mutex, 1));
	woken = block(cond, until);
	take(object_at(mutex, 1));

	return woken ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	return wait_on(cond, mutex, CO_NEVER);
}

/* Only the monitor does this. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
		const struct timespec *when)
{
	co_time until = when->tv_sec * CO_SECOND + when->tv_nsec;

	return wait_on(cond, mutex, monitor_sees ? until : CO_NEVER);
}

void explore_with_monitor(void)
{
	monitor_sees = true;
}

/* --- Threads -------------------------------------------------------------- */

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t thread, void **ret_result);
int __wrap_sched_yield(void);
int __wrap_nanosleep(const struct timespec *length, struct timespec *rest);

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*fn)(void *), void *arg)
{
	(void)attr;
	if (threads_fail) {
		point("start a thread", HERE);
		if (explore_choose(3) != 0)
			return EAGAIN;
	}
	*ret_thread = (pthread_t)explore_thread(fn, arg);

	return 0;
}

void explore_with_failing_threads(void)
{
	threads_fail = true;
}

int __wrap_pthread_join(pthread_t thread, void **ret_result)
{
	(void)ret_result;
	explore_join((int)thread);

	return 0;
}

int __wrap_sched_yield(void)
{
	spin();

	return 0;
}

int __wrap_nanosleep(const struct timespec *length, struct timespec *rest)
{
	(void)length;
	(void)rest;
	spin();

	return 0;
}

/* --- The clock ------------------------------------------------------------ */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);

static void let_time_pass(void)
{
	static const co_time jumps[] = { 0, 100 * CO_MICROSECOND,
		2 * CO_MILLISECOND };
	unsigned wish = 0;

	time_now += 100;
	if (plan.jumps != 0 && draw(plan.jumps) == 0)
		wish = 1 + draw(2);
	time_now += jumps[decide(3, wish, 1)];
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	if (running() < 0)
		return __real_clock_gettime(clock, ret_now);
	let_time_pass();
	ret_now->tv_sec = (time_t)(time_now / CO_SECOND);
	ret_now->tv_nsec = (long)(time_now % CO_SECOND);

	return 0;
}

/* --- The poller ----------------------------------------------------------- */

int __wrap_epoll_create1(int flags);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max,
		int timeout);
int __wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const void *mask);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

int __wrap_epoll_create1(int flags)
{
	(void)flags;

	return fd_of(new_object(NULL, 0));
}

int __wrap_eventfd(unsigned value, int flags)
{
	(void)value;
	(void)flags;

	return fd_of(new_object(NULL, 0));
}

/* The event counter comes after its epoll.  Of descriptors that aren't the
 * explorer's nothing is ever reported. */
static struct object *counter_of(int epoll)
{
	return object_of_fd(epoll + 1);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	point("epoll_ctl", HERE);
	memory_give(view_of(counter_of(epoll)));
	if (is_socket(fd))
		return sockets_control(epoll, op, fd, event);
	if (fd < FIRST_FD)
		return 0;
	if (fd != epoll + 1)
		explore_fail("a descriptor that isn't the explorer's");
	object_of_fd(fd)->key = event->data.u64;

	return 0;
}

void system_has_event(int epoll)
{
	memory_give(view_of(counter_of(epoll)));
	wake(counter_of(epoll));
}

/* Edge-triggered: an event is reported once. */
static int take_events(int epoll, struct epoll_event *events, int max)
{
	struct object *counter = counter_of(epoll);
	int count = sockets_events(epoll, events, max - 1);

	if (counter->value != 0) {
		counter->value = 0;
		events[count].events = EPOLLIN;
		events[count].data.u64 = counter->key;
		count++;
	}

	return count;
}

static int wait_for_events(int epoll, struct epoll_event *events, int max,
		co_time until)
{
	int count;

	point("poll", HERE);
	while ((count = take_events(epoll, events, max)) == 0) {
		if (until <= time_now)
			return 0;
		block(counter_of(epoll), until);
	}
	memory_take(view_of(counter_of(epoll)));
	trace("%d polled\n", running());

	return count;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max,
		int timeout)
{
	return wait_for_events(epoll, events, max, timeout < 0 ? CO_NEVER
			: time_now + timeout * CO_MILLISECOND);
}

int __wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const void *mask)
{
	(void)mask;

	return wait_for_events(epoll, events, max, time_now
			+ timeout->tv_sec * CO_SECOND + timeout->tv_nsec);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (fd < FIRST_FD)
		return __real_write(fd, data, size);
	point("write to the event counter", HERE);
	give(object_of_fd(fd));
	trace("%d wakes the poller\n", running());

	return (ssize_t)size;
}

/* --- A fence in all threads ----------------------------------------------- */

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

/* Only membarrier(2) is the library's; others have a number at most. */
long __wrap_syscall(long number, ...)
{
	va_list args;
	long first;

	va_start(args, number);
	first = va_arg(args, long);
	va_end(args);
	if (number != SYS_membarrier)
		return __real_syscall(number, first);
	if (running() < 0)
		return 0;
	point("barrier", HERE);
	if (barriers_fail && explore_choose(3) == 2) {
		errno = EPERM;
		return -1;
	}
	memory_fence_all();
	trace("%d fences all\n", running());

	return 0;
}

void explore_with_failing_barriers(void)
{
	barriers_fail = true;
}

/* --- Loops ---------------------------------------------------------------- */

struct co_loop *explore_loop(unsigned threads)
{
	return explore_loop_with(threads, 1);
}

struct co_loop *explore_loop_with(unsigned threads, unsigned blocking_threads)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop;

	options.threads = threads;
	options.blocking_threads = blocking_threads;
	options.flags = CO_LOOP_UNGUARDED_STACKS | CO_LOOP_NO_OVERFLOW_REPORT;
	options.stack_size = (size_t)64 << 10;
	options.backend = "epoll";
	options.allocator = &explore_allocator;
	explore_expect(co_loop_create(&options, &loop), 0);

	return loop;
}

/* A frame that was used is free again. */
static void expect_free(struct co_task *task, void *arg)
{
	(void)arg;
	if (AO_load(&task->wait) != 0)
		explore_expect(AO_load(&task->joined.word), CO__TASK_RELEASED);
}

int explore_loop_run(unsigned threads, co_task_fn *fn, void *arg)
{
	struct co_loop *loop = explore_loop(threads);
	int rc;

	explore_expect(co_spawn(loop, fn, arg, NULL), 0);
	rc = co_loop_run(loop);
	if (rc == 0)
		co__frames_visit(loop, expect_free, NULL);
	explore_expect(co_loop_destroy(loop), 0);

	return rc;
}
