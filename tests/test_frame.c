/* SPDX-License-Identifier: MIT */

#include "frame.h"
#include "test.h"

#include "loop.h"
#include "wait.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLASS co__frame_class(16384)	/* where the size makes no difference */

/* What the system is said to have, if it isn't 0. */
static long pretended_page_size;

/* The thread sanitizer asks before a program can look for the next one. */
#ifndef TEST_TSAN
long sysconf(int name)
{
	long (*next)(int);

	if (name == _SC_PAGESIZE && pretended_page_size != 0)
		return pretended_page_size;
	*(void **)&next = dlsym(RTLD_NEXT, "sysconf");

	return next(name);
}
#endif

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static struct co_task *get(struct co_loop *loop, struct co__frame_cache *cache,
		unsigned size_class)
{
	struct co_task *task = NULL;

	test_or_die(co__frame_get(loop, cache, size_class, &task));
	return task;
}

static char *bottom(const struct co_task *task)
{
	return task->stack_bottom;
}

/* The first byte after the frame of TASK. */
static char *top(const struct co_task *task)
{
	return bottom(task) - page_size() + ((size_t)1 << task->size_class);
}

static size_t stacks_made(struct co_loop *loop)
{
	return AO_load(&loop->frames.stacks);
}

/* What a child of this process that runs CHILD(ARG) ended with: a status as
 * of waitpid(2), 0 if CHILD returned 0. */
static int status_of_child(int (*child)(void *arg), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	test_die_unless(pid >= 0, "fork", __FILE__, __LINE__);
	if (pid == 0)
		_exit(child(arg));
	test_die_unless(waitpid(pid, &status, 0) == pid, "waitpid", __FILE__,
			__LINE__);
	return status;
}

/* --- Sizes ------------------------------------------------------------ */

Test(frame, a_class_is_the_smallest_that_has_room)
{
	const size_t one = 1;

	pretended_page_size = 4096;
	cr_assert_eq(co__frame_class(0), 0);
	cr_assert_eq(co__frame_class((one << CO__STACK_CLASS_MIN) - 1), 0);
	for (unsigned c = CO__STACK_CLASS_MIN; c <= CO__STACK_CLASS_MAX; c++) {
		if (one << c < co__checked_stack_least())
			continue;
		cr_assert_eq(co__frame_class(one << c), c);
		cr_assert_eq(co__frame_class((one << c) + 1),
				c < CO__STACK_CLASS_MAX ? c + 1 : 0);
	}
	cr_assert_eq(co__frame_class(SIZE_MAX), 0);
}

static int touch_stack(void *arg)
{
	volatile char buffer[1024];

	(void)arg;
	for (size_t i = 0; i < sizeof buffer; i++)
		buffer[i] = 1;

	return buffer[0];
}

static int run_small_stack(void *size)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_loop *loop;

	options.threads = 1;
	options.stack_size = attr.stack_size = *(size_t *)size;
	test_or_die(co_loop_create(&options, &loop));
	test_or_die(co_spawn(loop, touch_stack, NULL, NULL));
	test_or_die(co_spawn_with(loop, &attr, touch_stack, NULL, NULL));
	test_or_die(co_loop_run(loop));
	test_or_die(co_loop_destroy(loop));

	return 0;
}

/* The sizes of the pages of some machines. */
Test(frame, the_smallest_stacks_can_be_used_whatever_the_pages)
{
	size_t size;

#ifdef TEST_TSAN
	cr_skip_test("the pages are as they are");
#endif
	for (pretended_page_size = 4096; pretended_page_size <= 65536;
			pretended_page_size *= 2)
		for (size = 16384; size <= 131072; size *= 2)
			cr_assert_eq(status_of_child(run_small_stack, &size),
					0, "%zu, pages of %ld", size,
					pretended_page_size);
}

/* All sizes together need twice the largest: more than 32 bits can address, and
 * more than AddressSanitizer can mark in a few seconds. */
static unsigned largest_class_of_all(void)
{
#ifdef TEST_ASAN
	return 27;
#else
	return sizeof(size_t) > 4 ? CO__STACK_CLASS_MAX : 27;
#endif
}

Test(frame, of_each_size_can_be_used_from_end_to_end)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);

	for (unsigned c = CLASS; c <= largest_class_of_all(); c++) {
		struct co_task *task = get(loop, &cache, c);

		cr_assert_eq(task->size_class, c);
		cr_assert_eq(task->loop, loop);
		cr_assert_eq((size_t)task % 64, 0);
		cr_assert_eq((size_t)bottom(task) % page_size(), 0);
		cr_assert_gt((char *)task, bottom(task));
		cr_assert_leq((char *)(task + 1), top(task));
		cr_assert(is_unreadable(bottom(task) - 1));
		bottom(task)[0] = 1;
		((char *)task)[-1] = 1;
		cr_assert_eq(co__frame_guarded(loop, bottom(task) - 1), task);
		co__frame_put(loop, &cache, task);
		cr_assert_eq(get(loop, &cache, c), task);
	}
	test_or_die(co_loop_destroy(loop));
}

/* An idle task touches one page, and neighbours differ in their colour. */
Test(frame, control_blocks_of_neighbours_lie_at_different_offsets)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);
	size_t last = 0;

	for (int i = 0; i < 40; i++) {
		struct co_task *task = get(loop, &cache, 16);
		size_t offset = (size_t)(top(task) - (char *)task);

		cr_assert_leq(offset, page_size());
		cr_assert_neq(offset, last);
		last = offset;
	}
	test_or_die(co_loop_destroy(loop));
}

/* --- Guard pages ------------------------------------------------------ */

static int write_to(void *address)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)address = 1;
	return 0;
}

/* The frames of a batch share a slab: the neighbour below is in use too. */
Test(frame, who_writes_below_a_stack_dies)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);

	for (int i = 0; i < 3; i++) {
		struct co_task *task = get(loop, &cache, CLASS);
		int status;

		cr_assert_eq(status_of_child(write_to, bottom(task)), 0);
		status = status_of_child(write_to, bottom(task) - 1);
		cr_assert(WIFSIGNALED(status), "status %d", status);
		cr_assert_eq(WTERMSIG(status), SIGSEGV);
		status = status_of_child(write_to, bottom(task) - page_size());
		cr_assert(WIFSIGNALED(status), "status %d", status);
		cr_assert_eq(WTERMSIG(status), SIGSEGV);
	}
	test_or_die(co_loop_destroy(loop));
}

Test(frame, what_lies_below_a_stack_cannot_be_read)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);

	for (int i = 0; i < 20; i++) {
		struct co_task *task = get(loop, &cache, CLASS);

		cr_assert(is_unreadable(bottom(task) - 1));
		cr_assert(is_unreadable(bottom(task) - page_size()));
		cr_assert_not(is_unreadable(bottom(task)));
		/* The guard outlives the task. */
		co__frame_put(loop, &cache, task);
		cr_assert(is_unreadable(bottom(task) - 1));
		cr_assert_eq(get(loop, &cache, CLASS), task);
	}
	test_or_die(co_loop_destroy(loop));
}

Test(frame, the_owner_of_a_guard_page_is_found)
{
	enum { COUNT = 600 };
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks[COUNT];

	for (unsigned i = 0; i < COUNT; i++)
		tasks[i] = get(loop, &cache, i % 2 == 0 ? CLASS : 18);
	for (int i = 0; i < COUNT; i++) {
		char *low = bottom(tasks[i]);

		cr_assert_eq(co__frame_guarded(loop, low - 1), tasks[i]);
		cr_assert_eq(co__frame_guarded(loop, low - page_size()),
				tasks[i]);
		cr_assert_null(co__frame_guarded(loop, low));
		cr_assert_null(co__frame_guarded(loop, low - page_size() - 1));
		cr_assert_null(co__frame_guarded(loop, tasks[i]));
	}
	cr_assert_null(co__frame_guarded(loop, NULL));
	cr_assert_null(co__frame_guarded(loop, tasks));
	cr_assert_null(co__frame_guarded(loop, (void *)SIZE_MAX));
	test_or_die(co_loop_destroy(loop));
}

/* The slab has room for more frames; those aren't there yet. */
Test(frame, what_was_never_made_is_nobodys_guard_page)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);
	struct co__slab *slab;
	char *next;

	get(loop, &cache, CLASS);
	slab = (struct co__slab *)AO_load(&loop->frames.slabs);
	cr_assert_lt(AO_load(&slab->made), slab->count);
	next = slab->base + (AO_load(&slab->made) << CLASS);
	cr_assert_null(co__frame_guarded(loop, next));
	cr_assert_null(co__frame_guarded(loop, slab->base
			+ (slab->count << CLASS)));
	cr_assert_not_null(co__frame_guarded(loop, next
			- ((size_t)1 << CLASS)));
	test_or_die(co_loop_destroy(loop));
}

/* --- Recycling -------------------------------------------------------- */

Test(frame, what_was_put_last_is_got_first)
{
	enum { COUNT = 2 * CO__MAGAZINE };
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks[COUNT];

	for (int i = 0; i < COUNT; i++)
		tasks[i] = get(loop, &cache, CLASS);
	for (int i = 0; i < COUNT; i++)
		co__frame_put(loop, &cache, tasks[i]);
	for (int i = COUNT; i-- > 0; )
		cr_assert_eq(get(loop, &cache, CLASS), tasks[i]);
	test_or_die(co_loop_destroy(loop));
}

static bool is_before(const struct co_task *left, const struct co_task *right)
{
	return (size_t)left < (size_t)right;
}

static int compare_tasks(const void *left, const void *right)
{
	const struct co_task *a = *(struct co_task *const *)left;
	const struct co_task *b = *(struct co_task *const *)right;

	return is_before(b, a) - is_before(a, b);
}

static bool are_distinct(struct co_task **tasks, size_t count)
{
	qsort(tasks, count, sizeof *tasks, compare_tasks);
	for (size_t i = 1; i < count; i++)
		if (tasks[i] == tasks[i - 1])
			return false;
	return true;
}

/* How many frames are linked from FIRST. */
static size_t chain_length(const struct co_task *first)
{
	size_t length = 0;

	for (; first != NULL; first = first->tick.private_[0])
		length++;
	return length;
}

static size_t free_in_magazine(const struct co__magazine *magazine)
{
	CO_EXPECT(magazine->count <= CO__MAGAZINE);
	CO_EXPECT_EQ(magazine->count, chain_length(magazine->first));
	return magazine->count;
}

static size_t free_in_cache(const struct co__frame_cache *cache)
{
	size_t count = 0;

	for (unsigned i = 0; i < CO__STACK_CLASSES; i++)
		count += free_in_magazine(&cache->loaded[i])
				+ free_in_magazine(&cache->spare[i]);
	return count;
}

/* The frames of the magazines in LIST. */
static size_t free_in_list(const struct co__list *list)
{
	size_t count = 0;

	for (const struct co__list *link = list->next; link != list;
			link = link->next) {
		CO_EXPECT_EQ(chain_length(co__container_of(link,
				struct co__timer, link)->task), CO__MAGAZINE);
		count += CO__MAGAZINE;
	}
	return count;
}

static size_t free_in_loop(const struct co_loop *loop)
{
	const struct co__depot *depot = &loop->frames.depot;
	size_t count = free_in_cache(&loop->frames.shared), warm = 0;

	for (unsigned i = 0; i < CO__STACK_CLASSES; i++) {
		CO_EXPECT_EQ(free_in_list(&depot->classes[i].warm),
				depot->classes[i].count * CO__MAGAZINE);
		warm += depot->classes[i].count;
		count += free_in_list(&depot->classes[i].warm)
				+ free_in_list(&depot->classes[i].cold);
	}
	CO_EXPECT_EQ(AO_load(&depot->warm), warm);
	return count;
}

/* One that only makes lives on what one that only frees gives back: but for
 * the magazines that both may keep, no frame is made anew. */
static void move_between(struct co__frame_cache *maker,
		struct co__frame_cache *freer)
{
	enum { COUNT = 1000 };
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks[COUNT];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < COUNT; i++)
			tasks[i] = get(loop, maker, CLASS);
		cr_assert(are_distinct(tasks, COUNT));
		for (int i = 0; i < COUNT; i++)
			co__frame_put(loop, freer, tasks[i]);
		cr_assert_leq(stacks_made(loop), COUNT + 5 * CO__MAGAZINE);
		cr_assert_eq(stacks_made(loop), free_in_loop(loop)
				+ (maker != NULL ? free_in_cache(maker) : 0)
				+ (freer != NULL ? free_in_cache(freer) : 0));
	}
	test_or_die(co_loop_destroy(loop));
}

Test(frame, made_by_one_cache_and_freed_by_another_go_round)
{
	static struct co__frame_cache maker, freer;

	move_between(&maker, &freer);
}

Test(frame, made_by_a_worker_and_freed_outside_go_round)
{
	static struct co__frame_cache maker;

	move_between(&maker, NULL);
}

Test(frame, made_outside_and_freed_by_a_worker_go_round)
{
	static struct co__frame_cache freer;

	move_between(NULL, &freer);
}

/* In any order, of several sizes: nobody gets what another has. */
Test(frame, random_use_of_three_caches_mixes_nothing_up)
{
	enum { COUNT = 500 };
	static struct co__frame_cache caches[3];
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks[COUNT] = { NULL };
	uint64_t random = 5;
	size_t steps = CO_TEST_SCALE(300000), in_use = 0;

	for (size_t step = 0; step < steps; step++) {
		size_t i = test_random_below(&random, COUNT);
		struct co__frame_cache *cache =
				&caches[test_random_below(&random, 3)];

		if (tasks[i] != NULL) {
			cr_assert_eq(tasks[i]->arg, &tasks[i]);
			cr_assert_eq(tasks[i]->size_class, 14 + i % 3);
			tasks[i]->arg = NULL;
			co__frame_put(loop, cache, tasks[i]);
			tasks[i] = NULL;
			in_use--;
			continue;
		}
		in_use++;
		if (step % 64 == 0)
			co__depot_trim(&loop->frames.depot,
					(co_time)step * CO_MILLISECOND);
		tasks[i] = get(loop, cache, 14 + (unsigned)i % 3);
		cr_assert_null(tasks[i]->arg);
		tasks[i]->arg = &tasks[i];
	}
	cr_assert_leq(stacks_made(loop), COUNT + 3 * 7 * CO__MAGAZINE);
	cr_assert_eq(stacks_made(loop), in_use + free_in_loop(loop)
			+ free_in_cache(&caches[0]) + free_in_cache(&caches[1])
			+ free_in_cache(&caches[2]));
	test_or_die(co_loop_destroy(loop));
}

struct exchange {
	struct co_loop *loop;
	struct co_queue queue;
	size_t count;
	struct test_counter at_once;
};

/* Frees what the other side makes; `joined' holds the link meanwhile. */
static void free_frames(void *arg)
{
	static struct co__frame_cache cache;
	struct exchange *exchange = arg;
	size_t freed = 0;

	while (freed < exchange->count) {
		struct co_queue_node *node = co_queue_get(&exchange->queue);
		struct co_task *task;

		if (node == NULL) {
			sched_yield();
			continue;
		}
		task = co__container_of(node, struct co_task, joined);
		CO_EXPECT_EQ(AO_load(&task->in_use), 1);
		AO_store(&task->in_use, 0);
		co__frame_put(exchange->loop, &cache, task);
		counter_add(&exchange->at_once, (size_t)-1);
		freed++;
	}
}

Test(frame, a_thread_that_makes_lives_on_one_that_frees)
{
	static struct co__frame_cache cache;
	static struct exchange exchange;
	struct test_thread other;

	exchange.loop = loop_or_die(1);
	exchange.count = CO_TEST_SCALE(300000);
	co_queue_init(&exchange.queue);
	test_thread_start(&other, NULL, free_frames, &exchange);
	for (size_t i = 0; i < exchange.count; i++) {
		struct co_task *task;

		while (counter_get(&exchange.at_once) >= 500)
			sched_yield();
		counter_add(&exchange.at_once, 1);
		task = get(exchange.loop, &cache, CLASS);
		CO_EXPECT_EQ(AO_load(&task->in_use), 0);
		AO_store(&task->in_use, 1);
		co_queue_put(&exchange.queue, (void *)&task->joined);
	}
	test_thread_join(&other);
	cr_assert_leq(stacks_made(exchange.loop), 500 + 5 * CO__MAGAZINE);
	test_or_die(co_loop_destroy(exchange.loop));
}

#define BURST (3 * CO__MAGAZINE)
#define SHARERS 3

struct sharer {
	struct co_loop *loop;
	struct co__frame_cache cache;
	size_t rounds;
};

/* Bursts that neither fit into a cache nor come from one. */
static void share_frames(void *arg)
{
	struct sharer *sharer = arg;
	struct co_task *tasks[BURST];

	for (size_t round = 0; round < sharer->rounds; round++) {
		for (unsigned i = 0; i < BURST; i++) {
			tasks[i] = get(sharer->loop, &sharer->cache, CLASS);
			CO_EXPECT(AO_compare_and_swap(&tasks[i]->in_use, 0,
					1));
		}
		for (unsigned i = 0; i < BURST; i++) {
			AO_store(&tasks[i]->in_use, 0);
			co__frame_put(sharer->loop, &sharer->cache, tasks[i]);
		}
	}
}

Test(frame, threads_that_exchange_magazines_lose_none)
{
	static struct sharer sharers[SHARERS];
	struct test_thread threads[SHARERS];
	struct co_loop *loop = loop_or_die(1);
	size_t count = 0;

	for (int i = 0; i < SHARERS; i++) {
		sharers[i].loop = loop;
		sharers[i].rounds = CO_TEST_SCALE(10000);
		test_thread_start(&threads[i], NULL, share_frames,
				&sharers[i]);
	}
	for (int i = 0; i < SHARERS; i++)
		test_thread_join(&threads[i]);
	for (int i = 0; i < SHARERS; i++)
		count += free_in_cache(&sharers[i].cache);
	cr_assert_eq(stacks_made(loop), count + free_in_loop(loop));
	cr_assert_leq(stacks_made(loop), SHARERS * (BURST + 2 * CO__MAGAZINE));
	test_or_die(co_loop_destroy(loop));
}

/* --- Tasks in frames -------------------------------------------------- */

struct life {
	struct co_task *task;
	AO_t first, last;	/* wait words */
};

static int live(void *arg)
{
	struct life *life = arg;

	life->task = co_self();
	life->first = AO_load(&life->task->wait);
	co_sleep(CO_MICROSECOND);
	life->last = AO_load(&life->task->wait);
	return 0;
}

/* Old handles and tickets are in somebody's hands: none may fit again. */
CO_TEST(frame, epochs_go_up_from_one_task_to_the_next)
{
	enum { COUNT = 300 };
	static struct life lives[COUNT];
	size_t recycled = 0;

	(void)arg;
	for (int i = 0; i < COUNT; i++) {
		struct co_task *task = spawn_or_die(NULL, live, &lives[i]);

		if (i % 3 == 0)
			co_cancel(task);
		CO_EXPECT_EQ(join_or_die(task), 0);
		for (int j = 0; j < i; j++) {
			if (lives[j].task != task)
				continue;
			recycled++;
			CO_EXPECT(co__wait_epoch(lives[i].first)
					> co__wait_epoch(lives[j].last));
		}
		/* No news for the last task is news for this one. */
		if (i % 3 != 0)
			CO_EXPECT(!(lives[i].last & CO__WAIT_CANCEL));
	}
	CO_EXPECT(recycled > COUNT / 2);
	return 0;
}

/* --- Deep stacks ------------------------------------------------------ */

enum { DEPTH = 128 * 1024 };	/* bytes that a deep task uses */

/* Not in a frame of fixed size, which AddressSanitizer may have elsewhere. */
static __attribute__((noinline)) void use_stack(size_t size)
{
	volatile char *bytes = __builtin_alloca(size);

	for (size_t i = 0; i < size; i += page_size())
		bytes[i] = 1;
}

struct dive {
	struct co_channel *gate;
	AO_t deep;		/* atomic: tasks that have been deep */
};

static int go_deep(void *arg)
{
	struct dive *dive = arg;
	int signal;

	use_stack(DEPTH);
	AO_fetch_and_add1(&dive->deep);
	return co_channel_get(dive->gate, &signal) == -EPIPE ? 0 : 1;
}

struct census {
	size_t tasks, pages;
};

static void count_pages(struct co_task *task, void *arg)
{
	struct census *census = arg;
	char *from = bottom(task), *to = top(task);
	unsigned char resident[256];
	size_t pages = (size_t)(to - from) / page_size();

	if (pages > sizeof resident || mincore(from, (size_t)(to - from),
			resident) < 0)
		return;
	census->tasks++;
	for (size_t i = 0; i < pages; i++)
		census->pages += resident[i] & 1;
}

static struct census take_census(struct co_loop *loop)
{
	struct census census = { 0, 0 };

	co__frames_visit(loop, count_pages, &census);
	return census;
}

/* COUNT tasks at once go deep and end.  With a little work each time that MORE
 * says so, the memory comes back but for what the workers have at hand. */
static void expect_trimmed(int (*more)(void))
{
	enum { COUNT = 1000 };
	static struct co_task *tasks[COUNT];
	struct co_loop *loop = co_loop_current();
	struct dive dive = { NULL, 0 };
	struct census census;
	size_t at_hand = (size_t)co_loop_threads(loop) * 3 * CO__MAGAZINE;
	size_t pages = DEPTH / page_size();

	test_or_die(co_channel_create(NULL, sizeof(int), 0, &dive.gate));
	for (int i = 0; i < COUNT; i++)
		tasks[i] = spawn_or_die(NULL, go_deep, &dive);
	while (AO_load(&dive.deep) < COUNT)
		co_yield();
	census = take_census(loop);
	CO_EXPECT(census.pages >= COUNT * pages);
	test_or_die(co_channel_close(dive.gate));
	for (int i = 0; i < COUNT; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	test_or_die(co_channel_destroy(dive.gate));
	do {
		CO_EXPECT_EQ(more(), 0);
		census = take_census(loop);
	} while (census.pages > at_hand * (pages + 4) + census.tasks * 2);
}

static int sleep_a_little(void)
{
	return co_sleep(10 * CO_MILLISECOND);
}

CO_TEST(frame, an_idle_loop_gives_deep_stacks_back)
{
	(void)arg;
	expect_trimmed(sleep_a_little);
	return 0;
}

static int yield_often(void)
{
	int rc = 0;

	for (int i = 0; i < 1000 && rc == 0; i++)
		rc = co_yield();
	return rc;
}

CO_TEST(frame, a_busy_loop_gives_deep_stacks_back)
{
	(void)arg;
	expect_trimmed(yield_often);
	return 0;
}

enum { MAGAZINES = 4 };		/* two more than a worker keeps */

/* Warm the depot without ever having work for a second thread. */
static int warm_the_depot(void *arg)
{
	enum { COUNT = MAGAZINES * CO__MAGAZINE };
	struct co_loop *loop = co_loop_current();
	struct co__frame_cache *cache = &co_self()->worker->frames;
	struct co_task *tasks[COUNT];

	(void)arg;
	for (int i = 0; i < COUNT; i++)
		tasks[i] = get(loop, cache, CLASS);
	for (int i = 0; i < COUNT; i++)
		co__frame_put(loop, cache, tasks[i]);
	CO_EXPECT(co__depot_is_warm(&loop->frames.depot));
	return 0;
}

static void *run(void *arg)
{
	CO_EXPECT_EQ(co_loop_run(arg), 0);
	return NULL;
}

/* It fell asleep while there was nothing to give back, and another thread has
 * something then.  No work ever wakes it. */
Test(frame, a_sleeping_poller_learns_that_there_are_stacks_to_give_back)
{
	struct co_loop *loop = loop_or_die(2);
	pthread_t thread;

	cr_assert_eq(co_loop_ref(loop), 0);
	cr_assert_eq(pthread_create(&thread, NULL, run, loop), 0);
	while (figures(loop).idle < 2)
		usleep(1000);
	test_or_die(co_spawn(loop, warm_the_depot, NULL, NULL));
	while (figures(loop).spawned < 1 || figures(loop).tasks > 0
			|| co__depot_is_warm(&loop->frames.depot))
		usleep(1000);
	cr_assert_eq(co_loop_unref(loop), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
	cr_assert_eq(test_failures(), 0);
}

/* --- Visiting --------------------------------------------------------- */

static void count_visit(struct co_task *task, void *arg)
{
	size_t *visits = arg;

	CO_EXPECT((char *)task > bottom(task));
	++*visits;
	task->result++;
}

Test(frame, a_visit_sees_each_frame_once)
{
	enum { COUNT = 1500 };
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks[COUNT];
	size_t visits = 0;

	co__frames_visit(loop, count_visit, &visits);
	cr_assert_eq(visits, 0);
	for (unsigned i = 0; i < COUNT; i++)
		tasks[i] = get(loop, i % 4 == 0 ? NULL : &cache,
				14 + i % 5);
	for (int i = 0; i < COUNT; i += 2)
		co__frame_put(loop, &cache, tasks[i]);
	co__frames_visit(loop, count_visit, &visits);
	cr_assert_eq(visits, stacks_made(loop));
	cr_assert_geq(visits, COUNT);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(tasks[i]->result, 1);
	test_or_die(co_loop_destroy(loop));
}

/* --- Many ------------------------------------------------------------- */

static size_t count_slabs(struct co_loop *loop)
{
	struct co__slab *slab =
			(struct co__slab *)AO_load(&loop->frames.slabs);
	size_t count = 0;

	for (; slab != NULL; slab = slab->next)
		count++;
	return count;
}

static size_t count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t lines = 0;
	int c;

	test_die_unless(maps != NULL, "fopen", __FILE__, __LINE__);
	while ((c = getc(maps)) != EOF)
		lines += c == '\n';
	fclose(maps);
	return lines;
}

Test(frame, a_hundred_thousand_need_few_mappings)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = loop_or_die(1);
	size_t before = count_mappings();
	size_t count = test_tasks_at_once(CO_TEST_SCALE(100000));
	struct co_task *task = NULL;
	char *low;

	if (!has_guard_regions()) {
		test_or_die(co_loop_destroy(loop));
		cr_skip_test("guard regions don't work here");
	}
	for (size_t i = 0; i < count; i++)
		task = get(loop, &cache, CLASS);
	cr_assert(is_unreadable(bottom(task) - 1));
	/* The program and its libraries have some already. */
	cr_assert_lt(count_mappings(), before + 20);
	cr_assert_lt(count_slabs(loop), 12);
	cr_assert_geq(AO_load(&loop->frames.bytes), count << CLASS);
	low = bottom(task);
	cr_assert_not(is_unreadable(low));
	test_or_die(co_loop_destroy(loop));
	cr_assert(is_unreadable(low));
	cr_assert_leq(count_mappings(), before + 5);
}

/* The advice that makes a guard is refused there: it was known to work before.
 * What could not be locked proves nothing. */
static int use_locked_memory(void *arg)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = arg;
	struct co_task *task;

	get(loop, &cache, CLASS);
	if (mlockall(MCL_CURRENT) < 0)
		return 0;
	for (int i = 0; i < 40; i++) {
		if (co__frame_get(loop, &cache, CLASS, &task) < 0
				|| !is_unreadable(bottom(task) - 1))
			return 1;
		bottom(task)[0] = 1;
	}

	return 0;
}

Test(frame, stacks_of_locked_memory_have_guards)
{
	struct co_loop *loop;

#if defined TEST_ASAN || defined TEST_TSAN
	cr_skip_test("the checker's memory can't all be locked");
#endif
	loop = loop_or_die(1);
	cr_assert_eq(status_of_child(use_locked_memory, loop), 0);
	test_or_die(co_loop_destroy(loop));
}

/* Twice as much each time, but 8 GiB at most. */
Test(frame, of_the_largest_stacks_not_too_many_are_mapped_at_once)
{
	static struct co__frame_cache cache;
	struct co_loop *loop;
	struct co_task *task;
	int rc = 0;

#if defined TEST_ASAN || defined TEST_TSAN
	cr_skip_test("the checker has no room for such stacks");
#endif
	if (sizeof(void *) < 8 || test_on_valgrind())
		cr_skip_test("there is no room for such stacks");
	loop = loop_or_die(1);
	for (size_t i = 0; i < 20 && rc == 0; i++)
		rc = co__frame_get(loop, &cache, CO__STACK_CLASS_MAX, &task);
	for (const struct co__slab *slab = (struct co__slab *)
			AO_load(&loop->frames.slabs); slab != NULL;
			slab = slab->next)
		cr_assert_leq(slab->count, 8);
	test_or_die(co_loop_destroy(loop));
	if (rc != 0)
		cr_skip_test("the system has no room for such stacks");
}

/* --- No memory -------------------------------------------------------- */

#define BUDGET ((size_t)24 << 20)
#define NO_LIMIT 77			/* the system doesn't heed RLIMIT_AS */

/* Let this process have BUDGET more address space.  False: it could not. */
static bool limit_memory(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	FILE *statm = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	if (statm == NULL || fscanf(statm, "%zu", &pages) != 1)
		return false;
	fclose(statm);
	limit.rlim_cur = pages * page_size() + BUDGET;
	if (setrlimit(RLIMIT_AS, &limit) < 0)
		return false;

	return mmap(NULL, 2 * BUDGET, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0) == MAP_FAILED;
}

/* Get frames until there are no more, and use most of what there is. */
static int exhaust(void *arg)
{
	static struct co__frame_cache cache;
	struct co_loop *loop = arg;
	struct co_task *task = NULL, *last = NULL;
	size_t count = 0;

	if (!limit_memory())
		return NO_LIMIT;
	if (co__frame_get(loop, &cache, 30, &task) != -ENOMEM || task != NULL)
		return 1;
	while (co__frame_get(loop, &cache, 18, &task) == 0) {
		last = task;
		if (++count > BUDGET >> 18)
			return 2;
	}
	if (count < (BUDGET >> 18) * 3 / 4)
		return 3;
	if (co__frame_get(loop, &cache, 18, &task) != -ENOMEM)
		return 4;
	co__frame_put(loop, &cache, last);
	if (co__frame_get(loop, &cache, 18, &task) != 0 || task != last)
		return 5;

	return co_loop_destroy(loop) == 0 ? 0 : 6;
}

Test(frame, no_memory_is_told_and_harms_nothing)
{
	struct co_loop *loop;
	int status;

	if (test_on_valgrind())
		cr_skip_test("valgrind needs memory of its own");
	loop = loop_or_die(1);
	status = status_of_child(exhaust, loop);
	test_or_die(co_loop_destroy(loop));
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_LIMIT)
		cr_skip_test("RLIMIT_AS isn't heeded here");
	cr_assert_eq(status, 0, "ended with status %#x", (unsigned)status);
}
