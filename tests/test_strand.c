/* SPDX-License-Identifier: MIT */

/* test_strand.c - a strand that is owned, and taken away */

#include "test.h"

#include "channel.h"
#include "loop.h"
#include "strand.h"

enum { HABIT = 4096, LOSSES_MAX = 8 };

static void skip_without_barrier(void)
{
	if (!co__os_has_barrier())
		cr_skip_test("there is no membarrier(2) here");
}

static AO_t word_of(const struct co__strand *strand)
{
	return AO_load(&strand->word);
}

static void take(struct co__strand *strand, struct co__seat *seat)
{
	while (!co__strand_try(strand, seat)
			&& !co__strand_try_hold(strand, seat))
		sched_yield();
}

static void use(struct co__strand *strand, struct co__seat *seat)
{
	take(strand, seat);
	co__strand_release(strand, seat);
}

/* How often SEAT uses STRAND until it owns it. */
static unsigned uses_until_owned(struct co__strand *strand,
		struct co__seat *seat)
{
	unsigned uses = 0;

	while (word_of(strand) != (AO_t)seat) {
		use(strand, seat);
		uses++;
	}

	return uses;
}

/* --- One thread ---------------------------------------------------------- */

Test(strand, is_taken_by_one)
{
	struct co__strand strand = { 0 };

	cr_assert(co__strand_try(&strand, co__seat_none));
	cr_assert_eq(word_of(&strand), CO__STRAND_HELD);
	cr_assert_not(co__strand_try(&strand, co__seat_none));
	cr_assert_not(co__strand_try_hold(&strand, co__seat_none));
	co__strand_release(&strand, co__seat_none);
	cr_assert_eq(word_of(&strand), 0);
}

Test(strand, who_has_no_seat_never_owns_it)
{
	struct co__strand strand = { 0 };

	for (int i = 0; i < 3 * HABIT; i++)
		use(&strand, co__seat_none);
	cr_assert_eq(word_of(&strand), 0);
}

Test(strand, who_uses_it_all_the_time_owns_it)
{
	struct co__strand strand = { 0 }, other = { 0 };
	struct co__seat *seat = co__seat_take();

	skip_without_barrier();
	cr_assert_eq(uses_until_owned(&strand, seat), HABIT + 1);
	cr_assert(co__strand_try(&strand, seat));
	cr_assert_eq(word_of(&strand), (AO_t)seat);
	cr_assert_eq(AO_load(&seat->inside), (AO_t)&strand);
	co__strand_release(&strand, seat);
	cr_assert_eq(AO_load(&seat->inside), 0);
	cr_assert_eq(uses_until_owned(&other, seat), HABIT + 1);
	use(&strand, seat);
	cr_assert_eq(word_of(&strand), (AO_t)seat);
	co__seat_give(seat);
}

Test(strand, who_shares_it_never_owns_it)
{
	struct co__strand strand = { 0 };
	struct co__seat *seats[2] = { co__seat_take(), co__seat_take() };

	cr_assert_neq(seats[0], seats[1]);
	for (int i = 0; i < 3 * HABIT; i++) {
		use(&strand, seats[i / 4000 % 2]);
		cr_assert_eq(word_of(&strand), 0);
	}
	co__seat_give(seats[0]);
	co__seat_give(seats[1]);
}

Test(strand, each_time_it_is_lost_it_takes_twice_as_long_to_own_it)
{
	struct co__strand strand = { 0 };
	struct co__seat *seats[2] = { co__seat_take(), co__seat_take() };

	skip_without_barrier();
	for (unsigned losses = 0; losses < LOSSES_MAX + 2; losses++) {
		unsigned most = losses < LOSSES_MAX ? losses : LOSSES_MAX;

		cr_assert_eq(uses_until_owned(&strand, seats[losses % 2]),
				((unsigned)HABIT << most) + (losses == 0));
		cr_assert_not(co__strand_try(&strand, seats[1 - losses % 2]));
		use(&strand, seats[1 - losses % 2]);
		cr_assert_eq(word_of(&strand), 0);
	}
	co__seat_give(seats[0]);
	co__seat_give(seats[1]);
}

Test(strand, its_owner_holds_it_without_losing_the_habit)
{
	struct co__strand strand = { 0 };
	struct co__seat *seat = co__seat_take();

	skip_without_barrier();
	uses_until_owned(&strand, seat);
	cr_assert(co__strand_try_hold(&strand, seat));
	cr_assert_eq(word_of(&strand), CO__STRAND_HELD);
	cr_assert_eq(AO_load(&seat->inside), 0);
	co__strand_release(&strand, seat);
	cr_assert_eq(uses_until_owned(&strand, seat), HABIT);
	co__seat_give(seat);
}

/* --- Several ------------------------------------------------------------- */

struct crowd {
	struct co__strand strand;
	size_t uses;		/* strand */
};

static void *use_much(void *arg)
{
	struct crowd *crowd = arg;
	struct co__seat *seat = co__seat_take();
	size_t rounds = 200000 / test_divisor();

	for (size_t i = 0; i < rounds; i++) {
		take(&crowd->strand, seat);
		crowd->uses++;
		co__strand_release(&crowd->strand, seat);
		if (i % 10000 == 0)
			usleep(1000);
	}
	co__seat_give(seat);

	return NULL;
}

Test(strand, owners_come_and_go_and_nothing_is_lost)
{
	static struct crowd crowd;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		test_or_die(pthread_create(&threads[i], NULL, use_much,
				&crowd));
	for (int i = 0; i < 3; i++)
		test_or_die(pthread_join(threads[i], NULL));
	cr_assert_eq(crowd.uses, 200000 / test_divisor() * 3);
}

/* --- Seats --------------------------------------------------------------- */

Test(strand, there_are_so_many_seats_and_no_more)
{
	struct co__seat *seats[CO__SEATS + 1];
	unsigned i;

	for (i = 0; i <= CO__SEATS; i++)
		seats[i] = co__seat_take();
	for (i = 0; i < CO__SEATS - 1; i++)
		cr_assert_neq(seats[i], co__seat_none);
	for (; i <= CO__SEATS; i++)
		cr_assert_eq(seats[i], co__seat_none);
	co__seat_give(seats[7]);
	cr_assert_eq(co__seat_take(), seats[7]);
	for (i = 0; i <= CO__SEATS; i++)
		co__seat_give(seats[i]);
	cr_assert_eq(co__seat_take(), seats[0]);
}

/* --- Of objects ---------------------------------------------------------- */

struct objects {
	struct co_channel *channel;
	struct co_lock lock;
	size_t turns;
};

static int use_objects(void *arg)
{
	struct objects *objects = arg;
	size_t number;

	for (size_t i = 0; i < objects->turns; i++) {
		CO_EXPECT_EQ(co_channel_put(objects->channel, &i), 0);
		CO_EXPECT_EQ(co_channel_get(objects->channel, &number), 0);
		CO_EXPECT_EQ(number, i);
		CO_EXPECT_EQ(co_lock_acquire(&objects->lock), 0);
		CO_EXPECT_EQ(co_lock_release(&objects->lock), 0);
	}

	return 0;
}

static bool are_owned(const struct objects *objects)
{
	AO_t of_lock = objects->lock.private_[0];

	return word_of(&objects->channel->strand) > CO__STRAND_HELD
			&& of_lock > CO__STRAND_HELD;
}

static void begin_objects(struct objects *objects, struct co_loop *loop)
{
	objects->turns = HABIT;
	co_lock_init(&objects->lock);
	test_or_die(co_channel_create(loop, sizeof(size_t), 1,
			&objects->channel));
}

/* A lock and a channel of a loop that is gone are the next loop's. */
Test(strand, what_a_loop_owned_is_used_by_the_next)
{
	struct co_loop *loop = loop_or_die(1), *home = loop_or_die(1);
	struct objects objects;

	skip_without_barrier();
	begin_objects(&objects, home);
	test_or_die(co_spawn(loop, use_objects, &objects, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert(are_owned(&objects));
	cr_assert_eq(co_loop_destroy(loop), 0);
	loop = loop_or_die(2);
	test_or_die(co_spawn(loop, use_objects, &objects, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	cr_assert_eq(co_lock_deinit(&objects.lock), 0);
	cr_assert_eq(co_channel_destroy(objects.channel), 0);
	cr_assert_eq(co_loop_destroy(home), 0);
}

static void use_from_outside(void *arg)
{
	struct objects *objects = arg;
	size_t number = 5;
	struct co_select_case get = CO_SELECT_CASE_GET(objects->channel,
			&number);

	CO_EXPECT_EQ(co_channel_try_put(objects->channel, &number), 0);
	CO_EXPECT_EQ(co_try_select(&get, 1), 0);
	CO_EXPECT_EQ(co_lock_try_acquire(&objects->lock), 0);
	CO_EXPECT_EQ(co_lock_release(&objects->lock), 0);
}

static int own_and_lose(void *arg)
{
	struct objects *objects = arg;
	struct test_thread thread;

	use_objects(objects);
	CO_EXPECT(are_owned(objects));
	test_thread_start(&thread, NULL, use_from_outside, objects);
	test_thread_join(&thread);
	CO_EXPECT(!are_owned(objects));
	use_objects(objects);
	CO_EXPECT(!are_owned(objects));
	use_objects(objects);
	CO_EXPECT(are_owned(objects));
	CO_EXPECT_EQ(co_lock_deinit(&objects->lock), 0);
	CO_EXPECT_EQ(co_channel_destroy(objects->channel), 0);

	return 0;
}

Test(strand, another_thread_takes_objects_away)
{
	struct co_loop *loop = loop_or_die(1);
	struct objects objects;

	skip_without_barrier();
	begin_objects(&objects, loop);
	test_or_die(co_spawn(loop, own_and_lose, &objects, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
}
