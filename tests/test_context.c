/* SPDX-License-Identifier: MIT */

#include "test.h"

#include <fenv.h>
#include <semaphore.h>
#include <unwind.h>

#include "checkers.h"
#include "context/context.h"

enum { STACK_SIZE = 64 * 1024 };

#ifdef TEST_TSAN
TestSuite(context, .disabled = true);

Test(checked_context, is_left_out)
{
	cr_skip_test("ThreadSanitizer isn't told of these switches");
}
#endif

/* --- Two contexts: the test's own, and another ------------------------ */

struct pair {
	struct co__context own, other;
	void *stack;
	void *entry_arg;	/* what the entry was given */
	bool good;		/* what the other context found */
	size_t count;
};

/* A stack that checkers know of.  They aren't told when it is freed: each test
 * is a process of its own. */
static void *stack_or_die(size_t size)
{
	void *stack = aligned_alloc(16, size);

	test_die_unless(stack != NULL, "aligned_alloc", __FILE__, __LINE__);
	co__checked_stack_made(stack, (char *)stack + size,
			(char *)stack + size);
	return stack;
}

static void pair_begin(struct pair *pair, void (*entry)(void *arg),
		size_t size)
{
	*pair = (struct pair) { .stack = stack_or_die(size) };
	co__context_make(&pair->other, pair->stack, size, entry, pair);
}

static void pair_end(struct pair *pair)
{
	free(pair->stack);
}

/* Let the other context run until it leaves. */
static void visit(struct pair *pair)
{
	co__context_switch(&pair->own, &pair->other);
}

static void leave(struct pair *pair)
{
	co__context_switch(&pair->other, &pair->own);
}

/* --- The beginning ---------------------------------------------------- */

static void take_argument(void *arg)
{
	struct pair *pair = arg;

	pair->entry_arg = arg;
	leave(pair);
}

Test(context, an_entry_gets_its_argument)
{
	struct pair pair;

	pair_begin(&pair, take_argument, STACK_SIZE);
	visit(&pair);
	cr_assert_eq(pair.entry_arg, &pair);
	pair_end(&pair);
}

static void answer(void *arg)
{
	struct pair *pair = arg;
	char *message = arg;

	for (;;)
		message = co__context_switch_with(&pair->other, &pair->own,
				message + 1);
}

Test(context, a_message_is_given_to_who_goes_on)
{
	struct pair pair;
	char messages[8], *got;

	pair_begin(&pair, answer, STACK_SIZE);
	visit(&pair);
	for (size_t i = 0; i < sizeof(messages); i++) {
		got = co__context_switch_with(&pair.own, &pair.other,
				&messages[i]);
		cr_assert_eq(got, &messages[i] + 1);
	}
	pair_end(&pair);
}

static void look_where_the_frame_is(void *arg)
{
	struct pair *pair = arg;
	/* Not that of a local, which AddressSanitizer may move elsewhere.  It
	 * may be that of the upper end of the frame. */
	char *at = __builtin_frame_address(0);

	pair->good = at >= (char *)pair->stack
			&& at <= (char *)pair->stack + STACK_SIZE;
	leave(pair);
}

Test(context, an_entry_runs_on_the_stack_it_was_given)
{
	struct pair pair;

	pair_begin(&pair, look_where_the_frame_is, STACK_SIZE);
	visit(&pair);
	cr_assert(pair.good);
	pair_end(&pair);
}

static void look_at_alignment(void *arg)
{
	struct pair *pair = arg;
	_Alignas(16) char local[64] = { 0 };
	char *at = local;

	__asm__ volatile("" : "+r"(at) : : "memory");
	pair->good = (uintptr_t)at % 16 == 0;
	leave(pair);
}

Test(context, an_entry_finds_an_aligned_stack)
{
	struct pair pair;

	pair_begin(&pair, look_at_alignment, STACK_SIZE);
	visit(&pair);
	cr_assert(pair.good);
	pair_end(&pair);
}

Test(context, only_the_end_of_a_stack_must_be_aligned)
{
	struct pair pair;

	pair_begin(&pair, look_at_alignment, STACK_SIZE);
	co__context_make(&pair.other, (char *)pair.stack + 1, STACK_SIZE - 1,
			look_at_alignment, &pair);
	visit(&pair);
	cr_assert(pair.good);
	pair_end(&pair);
}

static void come_and_go(void *arg)
{
	struct pair *pair = arg;

	for (;;) {
		pair->count++;
		leave(pair);
	}
}

static bool is_filled(const unsigned char *from, size_t size, int byte)
{
	for (size_t i = 0; i < size; i++)
		if (from[i] != byte)
			return false;

	return true;
}

Test(context, nothing_is_written_beside_the_stack)
{
	enum { MARGIN = 4096, TAG = 0xa5 };
	unsigned char *room = stack_or_die(STACK_SIZE + 2 * MARGIN);
	struct pair pair = { .count = 0 };

	memset(room, TAG, STACK_SIZE + 2 * MARGIN);
	co__context_make(&pair.other, room + MARGIN, STACK_SIZE, come_and_go,
			&pair);
	visit(&pair);
	visit(&pair);
	cr_assert(is_filled(room, MARGIN, TAG));
	cr_assert(is_filled(room + MARGIN + STACK_SIZE, MARGIN, TAG));
	free(room);
}

/* --- What a switch preserves ------------------------------------------ */

Test(context, a_context_goes_on_where_it_left)
{
	struct pair pair;

	pair_begin(&pair, come_and_go, STACK_SIZE);
	for (size_t i = 1; i <= 1000; i++) {
		visit(&pair);
		cr_assert_eq(pair.count, i);
	}
	pair_end(&pair);
}

Test(context, a_switch_to_oneself_returns)
{
	struct co__context self = { .saved = NULL };

	co__context_switch(&self, &self);
}

/* Whether VALUES, more than there are registers for them, are the same after
 * switching from FROM to TO and back.  As they are volatile, they can't be
 * read again to get at what they were before. */
static bool are_integers_kept(const volatile uintptr_t values[12],
		struct co__context *from, const struct co__context *to)
{
	uintptr_t a = values[0], b = values[1], c = values[2];
	uintptr_t d = values[3], e = values[4], f = values[5];
	uintptr_t g = values[6], h = values[7], i = values[8];
	uintptr_t j = values[9], k = values[10], l = values[11];

	co__context_switch(from, to);

	return a == values[0] && b == values[1] && c == values[2]
			&& d == values[3] && e == values[4] && f == values[5]
			&& g == values[6] && h == values[7] && i == values[8]
			&& j == values[9] && k == values[10] && l == values[11];
}

static bool are_doubles_kept(const volatile double values[10],
		struct co__context *from, const struct co__context *to)
{
	double a = values[0], b = values[1], c = values[2];
	double d = values[3], e = values[4], f = values[5];
	double g = values[6], h = values[7], i = values[8];
	double j = values[9];

	co__context_switch(from, to);

	return a == values[0] && b == values[1] && c == values[2]
			&& d == values[3] && e == values[4] && f == values[5]
			&& g == values[6] && h == values[7] && i == values[8]
			&& j == values[9];
}

static void keep_integers(void *arg)
{
	static const volatile uintptr_t values[12] = {
		901, 902, 903, 904, 905, 906, 907, 908, 909, 910, 911, 912,
	};
	struct pair *pair = arg;

	for (pair->good = true;;)
		pair->good &= are_integers_kept(values, &pair->other,
				&pair->own);
}

Test(context, integers_in_registers_survive_a_switch)
{
	static const volatile uintptr_t values[12] = {
		11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
	};
	struct pair pair;

	pair_begin(&pair, keep_integers, STACK_SIZE);
	for (int i = 0; i < 3; i++)
		cr_assert(are_integers_kept(values, &pair.own, &pair.other));
	cr_assert(pair.good);
	pair_end(&pair);
}

static void keep_doubles(void *arg)
{
	static const volatile double values[10] = {
		9.1, 9.2, 9.3, 9.4, 9.5, 9.6, 9.7, 9.8, 9.9, 9.11,
	};
	struct pair *pair = arg;

	for (pair->good = true;;)
		pair->good &= are_doubles_kept(values, &pair->other,
				&pair->own);
}

Test(context, doubles_in_registers_survive_a_switch)
{
	static const volatile double values[10] = {
		1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 1.11,
	};
	struct pair pair;

	pair_begin(&pair, keep_doubles, STACK_SIZE);
	for (int i = 0; i < 3; i++)
		cr_assert(are_doubles_kept(values, &pair.own, &pair.other));
	cr_assert(pair.good);
	pair_end(&pair);
}

/* --- Rounding: the floating-point control words ----------------------- */

/* Some machines have two units, one of which computes long doubles; a mode
 * must hold in both.  Each of the numbers is a third, rounded. */
struct thirds {
	double common;
	long double extended;
};

/* In a function of its own, lest the divisions are moved from where the mode
 * is the one that is meant. */
static __attribute__((noinline)) struct thirds compute_thirds(void)
{
	volatile double one = 1, three = 3;
	volatile long double long_one = 1, long_three = 3;

	return (struct thirds) { one / three, long_one / long_three };
}

static struct thirds thirds_rounded(int mode)
{
	int before = fegetround();
	struct thirds thirds;

	fesetround(mode);
	thirds = compute_thirds();
	fesetround(before);

	return thirds;
}

/* Whether thirds are now rounded as MODE says. */
static bool is_rounding(int mode)
{
	struct thirds now = compute_thirds(), want = thirds_rounded(mode);

	return fegetround() == mode && now.common == want.common
			&& now.extended == want.extended;
}

Test(context, rounding_modes_can_be_told_apart)
{
	struct thirds up = thirds_rounded(FE_UPWARD);
	struct thirds down = thirds_rounded(FE_DOWNWARD);

	/* valgrind takes the modes, but divides as it likes. */
	if (test_on_valgrind())
		return;
	cr_assert(up.common > down.common);
	cr_assert(up.extended > down.extended);
}

static void round_down(void *arg)
{
	struct pair *pair = arg;

	fesetround(FE_DOWNWARD);
	for (pair->good = true;;) {
		leave(pair);
		pair->good &= is_rounding(FE_DOWNWARD);
	}
}

Test(context, each_context_rounds_in_its_own_way)
{
	struct pair pair;

	pair_begin(&pair, round_down, STACK_SIZE);
	fesetround(FE_UPWARD);
	for (int i = 0; i < 3; i++) {
		visit(&pair);
		cr_assert(is_rounding(FE_UPWARD));
	}
	cr_assert(pair.good);
	pair_end(&pair);
}

static void expect_nearest(void *arg)
{
	struct pair *pair = arg;

	pair->good = is_rounding(FE_TONEAREST);
	leave(pair);
}

Test(context, a_new_context_rounds_to_nearest_whatever_its_maker_does)
{
	struct pair pair;

	fesetround(FE_UPWARD);
	pair_begin(&pair, expect_nearest, STACK_SIZE);
	visit(&pair);
	cr_assert(pair.good);
	cr_assert(is_rounding(FE_UPWARD));
	pair_end(&pair);
}

/* --- Depth and number ------------------------------------------------- */

enum { DEPTH = 1000, FRAME = 512 };

/* Go down DEPTH frames, each filled with its depth; leave at the bottom; see
 * on the way up that they were kept. */
static bool descend(struct pair *pair, int depth)
{
	volatile unsigned char frame[FRAME];
	bool good;

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (unsigned char)depth;
	if (depth == DEPTH)
		leave(pair);
	good = depth == DEPTH || descend(pair, depth + 1);
	for (size_t i = 0; i < sizeof frame; i++)
		good &= frame[i] == (unsigned char)depth;

	return good;
}

static void go_deep(void *arg)
{
	struct pair *pair = arg;

	for (;;) {
		pair->good = descend(pair, 1);
		leave(pair);
	}
}

Test(context, deep_stacks_are_kept_while_others_run)
{
	struct pair pairs[2];

	for (int i = 0; i < 2; i++)
		pair_begin(&pairs[i], go_deep, 4 * 1024 * 1024);
	for (int i = 0; i < 4; i++)
		visit(&pairs[i % 2]);
	for (int i = 0; i < 2; i++) {
		cr_assert(pairs[i].good);
		pair_end(&pairs[i]);
	}
}

enum { RING = 200, ROUNDS = 50 };

struct ring {
	struct co__context own, members[RING];
	void *stacks[RING];
	size_t turns;
	bool in_order;
};

struct ring_place {
	struct ring *ring;
	size_t index;
};

static void go_round(void *arg)
{
	struct ring_place *place = arg;
	struct ring *ring = place->ring;
	size_t index = place->index;
	bool is_last = index == RING - 1;

	for (size_t round = 0;; round++) {
		ring->in_order &= ring->turns++ == round * RING + index;
		co__context_switch(&ring->members[index],
				is_last && round == ROUNDS - 1 ? &ring->own
				: &ring->members[is_last ? 0 : index + 1]);
	}
}

Test(context, many_contexts_take_turns_in_a_ring)
{
	static struct ring ring = { .in_order = true };
	static struct ring_place places[RING];

	for (size_t i = 0; i < RING; i++) {
		places[i] = (struct ring_place) { &ring, i };
		ring.stacks[i] = stack_or_die(STACK_SIZE);
		co__context_make(&ring.members[i], ring.stacks[i], STACK_SIZE,
				go_round, &places[i]);
	}
	co__context_switch(&ring.own, &ring.members[0]);
	cr_assert_eq(ring.turns, RING * ROUNDS);
	cr_assert(ring.in_order);
	for (size_t i = 0; i < RING; i++)
		free(ring.stacks[i]);
}

/* --- Threads ---------------------------------------------------------- */

enum { TRIPS = 2000 };

/* A context that two threads run in turns. */
struct migrant {
	struct co__context context;
	struct co__context *home;	/* of the thread that runs it now */
	pthread_t seen[2];		/* the threads of the last two visits */
	size_t visits;
	bool good;
};

struct host {
	struct migrant *migrant;
	sem_t *mine, *theirs;
	pthread_t thread;
};

/* In a function of its own, lest the compiler remembers the thread. */
static __attribute__((noinline)) pthread_t ask_which_thread(void)
{
	__asm__ volatile("" : : : "memory");
	return pthread_self();
}

static void migrate(void *arg)
{
	struct migrant *self = arg;

	for (self->good = true;; self->visits++) {
		self->seen[self->visits % 2] = ask_which_thread();
		if (self->visits > 0)
			self->good &= !pthread_equal(self->seen[0],
					self->seen[1]);
		co__context_switch(&self->context, self->home);
	}
}

static void *be_host(void *arg)
{
	struct host *host = arg;
	struct co__context home;

	for (int i = 0; i < TRIPS; i++) {
		sem_wait(host->mine);
		host->migrant->home = &home;
		co__context_switch(&home, &host->migrant->context);
		sem_post(host->theirs);
	}

	return NULL;
}

Test(context, a_context_may_move_between_threads)
{
	struct migrant migrant = { .visits = 0 };
	void *stack = stack_or_die(STACK_SIZE);
	sem_t left, right;
	struct host hosts[2] = {
		{ &migrant, &left, &right, 0 }, { &migrant, &right, &left, 0 },
	};

	sem_init(&left, 0, 1);
	sem_init(&right, 0, 0);
	co__context_make(&migrant.context, stack, STACK_SIZE, migrate,
			&migrant);
	for (int i = 0; i < 2; i++)
		test_or_die(pthread_create(&hosts[i].thread, NULL, be_host,
				&hosts[i]));
	for (int i = 0; i < 2; i++)
		test_or_die(pthread_join(hosts[i].thread, NULL));
	cr_assert_eq(migrant.visits, 2 * TRIPS - 1);
	cr_assert(migrant.good);
	free(stack);
}

/* --- Backtraces ------------------------------------------------------- */

/* The unwinder of 32-bit ARM says of every end that it is a failure. */
#ifdef __ARM_EABI_UNWINDER__
#define WALK_STOP _URC_FAILURE
#define WALK_ENDED _URC_FAILURE
#else
#define WALK_STOP _URC_NORMAL_STOP
#define WALK_ENDED _URC_END_OF_STACK
#endif

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *frame, void *arg)
{
	size_t *count = arg;

	(void)frame;
	return ++*count < 100 ? _URC_NO_REASON : WALK_STOP;
}

static void unwind(void *arg)
{
	struct pair *pair = arg;

	pair->good = _Unwind_Backtrace(count_frame, &pair->count)
			== WALK_ENDED;
	leave(pair);
}

/* Above the stack are what look like return addresses, to lead astray an
 * unwinder that isn't told where to stop. */
Test(context, backtraces_end_at_the_entry)
{
	enum { ABOVE = 512 };
	char *room = stack_or_die(STACK_SIZE + ABOVE * sizeof(uintptr_t));
	uintptr_t *above = (uintptr_t *)(void *)(room + STACK_SIZE);
	struct pair pair = { .count = 0 };

	for (size_t i = 0; i < ABOVE; i++)
		above[i] = (uintptr_t)visit + 1;
	co__context_make(&pair.other, room, STACK_SIZE, unwind, &pair);
	visit(&pair);
	cr_assert(pair.good);
	cr_assert_gt(pair.count, 0);
	cr_assert_lt(pair.count, 10);
	free(room);
}
