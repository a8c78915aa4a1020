/* SPDX-License-Identifier: MIT */

/* groups.c - tasks that are waited for together, by who then goes */

#include "explore.h"

#include <errno.h>

#include <coloop/group.h>
#include <coloop/task.h>

#include "atomic.h"

/* In memory that is given back as soon as deinit allows. */
static struct co_group *group;
static AO_t begun;		/* atomic: members */
static unsigned ended[3];	/* plain: each its own member's */

static void make_group(unsigned flags)
{
	group = explore_allocator.allocate(NULL, sizeof *group);
	explore_expect(co_group_init(group, NULL, flags), 0);
	AO_store(&begun, 0);
	for (int i = 0; i < 3; i++)
		ended[i] = 0;
}

static void free_group(void)
{
	explore_expect(co_group_deinit(group), 0);
	explore_allocator.release(NULL, group, sizeof *group);
}

static int end_soon(void *arg)
{
	unsigned *mine = arg;

	AO_fetch_and_add1(&begun);
	explore_step();
	++*mine;

	return 0;
}

/* Spawns the next into the group. */
static int spawn_next(void *arg)
{
	unsigned *mine = arg;

	explore_expect(co_group_spawn(group, end_soon, mine + 1), 0);

	return end_soon(arg);
}

/* --- Waited for ------------------------------------------------------------ */

static int wait_for_all(void *arg)
{
	make_group(0);
	explore_expect(co_group_spawn(group, spawn_next, &ended[0]), 0);
	explore_expect(co_group_spawn(group, end_soon, &ended[2]), 0);
	explore_expect(co_group_wait(group, NULL), 0);
	for (int i = 0; i < 3; i++)
		explore_expect(ended[i], 1);
	free_group();

	return arg != NULL;
}

static void run_wait(void)
{
	explore_expect(explore_loop_run(2, wait_for_all, NULL), 0);
}

/* Who gives up cancels them, at about the time of their end. */
static int sleep_shortly(void *arg)
{
	unsigned *mine = arg;
	int rc = co_sleep(CO_MILLISECOND);

	explore_check(rc == 0 || rc == -ECANCELED);
	++*mine;

	return rc;
}

static int give_up(void *arg)
{
	int rc = 0;

	make_group(0);
	for (int i = 0; i < 2; i++)
		explore_expect(co_group_spawn(group, sleep_shortly, &ended[i]),
				0);
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		rc = co_group_wait(group, NULL);
	explore_check(rc == 0 || rc == -ETIMEDOUT);
	free_group();
	explore_expect(ended[0] + ended[1], 2);

	return arg != NULL;
}

static void run_give_up(void)
{
	explore_expect(explore_loop_run(2, give_up, NULL), 0);
}

/* --- Cancelled by the first that fails ------------------------------------- */

static int fail(void *arg)
{
	(void)arg;
	AO_fetch_and_add1(&begun);

	return -EIO;
}

static int sleep_for_long(void *arg)
{
	(void)arg;
	AO_fetch_and_add1(&begun);
	explore_expect(co_sleep(CO_HOUR), -ECANCELED);

	return -ECANCELED;
}

static int fail_fast(void *arg)
{
	int result = 0;

	make_group(CO_GROUP_FAIL_FAST);
	explore_expect(co_group_spawn(group, sleep_for_long, NULL), 0);
	explore_expect(co_group_spawn(group, fail, NULL), 0);
	explore_expect(co_group_spawn(group, sleep_for_long, NULL), 0);
	explore_expect(co_group_wait(group, &result), 0);
	explore_expect(result, -EIO);
	explore_expect(AO_load(&begun), 3);
	free_group();

	return arg != NULL;
}

static void run_fail_fast(void)
{
	explore_expect(explore_loop_run(2, fail_fast, NULL), 0);
}

/* --- Cancelled when a wait ends -------------------------------------------- */

/* The wait that was over before has nothing to do with it. */
static void *spawn_and_cancel(void *arg)
{
	explore_expect(co_group_spawn(group, sleep_for_long, NULL), 0);
	explore_expect(co_group_cancel(group), 0);
	explore_expect(co_loop_unref(arg), 0);

	return NULL;
}

static int wait_meanwhile(void *arg)
{
	int thread;

	make_group(0);
	explore_expect(co_loop_ref(co_loop_current()), 0);
	thread = explore_thread(spawn_and_cancel, co_loop_current());
	explore_expect(co_group_wait(group, NULL), 0);
	explore_join(thread);
	explore_expect(co_group_wait(group, NULL), 0);
	explore_expect(AO_load(&begun), 1);
	free_group();

	return arg != NULL;
}

static void run_cancel(void)
{
	explore_expect(explore_loop_run(1, wait_meanwhile, NULL), 0);
}

/* --- Released when a wait ends ---------------------------------------------- */

/* Whom deinit tells that nobody waits knows that who did is done with it. */
static void *release_meanwhile(void *arg)
{
	int rc;

	while (AO_load(&begun) == 0)
		co__atomic_pause();
	while ((rc = co_group_deinit(group)) == -EBUSY)
		co__atomic_pause();
	explore_expect(rc, 0);
	explore_allocator.release(NULL, group, sizeof *group);

	return arg;
}

/* One thread, so the member begins when somebody waits. */
static int wait_for_one(void *arg)
{
	int thread;

	make_group(0);
	thread = explore_thread(release_meanwhile, NULL);
	explore_expect(co_group_spawn(group, end_soon, &ended[0]), 0);
	explore_expect(co_group_wait(group, NULL), 0);
	explore_join(thread);

	return arg != NULL;
}

static void run_release(void)
{
	explore_expect(explore_loop_run(1, wait_for_one, NULL), 0);
}

const struct explore_scenario explore_groups[] = {
	{ "group: waited for", run_wait, 500, false },
	{ "group: given up", run_give_up, 500, false },
	{ "group: one fails", run_fail_fast, 500, false },
	{ "group: cancelled", run_cancel, 500, false },
	{ "group: released", run_release, 500, false },
	{ NULL, NULL, 0, false },
};
