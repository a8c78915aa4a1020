/* SPDX-License-Identifier: MIT */

/* Locks and channels that change owners: who uses one does so for long enough to
 * own its strand, or only once.  They are workers of several loops, which end
 * and are followed by others that get their seats, and threads that aren't a
 * loop's.  One at a time is inside, and no item is lost. */

#include "torture.h"

#define OBJECTS_MAX 3
#define LOOPS_MAX 3
#define MEMBERS_MAX 8		/* of each loop */
#define LONG ((size_t)5000)	/* more than it takes to own a strand */

struct object {
	struct co_lock lock;
	size_t inside, uses;		/* plain on purpose: the lock's */
	struct co_channel *channel;
	struct test_counter sum;	/* of what was put, less what was got */
};

struct scene {
	struct co_loop *home;		/* of the channels; it never runs */
	size_t loops, members, bursts, objects;
	struct object object[OBJECTS_MAX];
	struct test_counter begun, uses;
};

/* A task, or a thread that isn't a loop's: that has no TASK. */
struct member {
	struct scene *scene;
	uint64_t random;
	bool is_task;
};

/* Who isn't a task tries again. */
static bool is_done(int rc)
{
	CO_EXPECT(rc == 0 || rc == -EAGAIN || rc == -ETIMEDOUT);
	if (rc == -EAGAIN)
		sched_yield();

	return rc == 0;
}

static bool acquire(struct member *self, struct co_lock *lock)
{
	int rc;

	if (!self->is_task || test_random_below(&self->random, 4) == 0)
		return is_done(co_lock_try_acquire(lock));
	if (test_random_below(&self->random, 4) > 0)
		return is_done(co_lock_acquire(lock));
	CO_WITH_DEADLINE(co_after((co_time)test_random_below(&self->random,
			100000)))
		rc = co_lock_acquire(lock);

	return is_done(rc);
}

static void use_lock(struct member *self, struct object *object)
{
	if (!acquire(self, &object->lock))
		return;
	CO_EXPECT_EQ(object->inside++, 0);
	object->uses++;
	if (self->is_task && test_random_below(&self->random, 500) == 0)
		co_yield();
	CO_EXPECT_EQ(--object->inside, 0);
	CO_EXPECT_EQ(co_lock_release(&object->lock), 0);
	counter_add(&self->scene->uses, 1);
}

/* Each puts before it gets, so there is an item for whoever waits to get, or
 * will be. */
static void use_channel(struct member *self, struct object *object)
{
	size_t put = (size_t)test_random(&self->random), got = 0;

	if (self->is_task)
		CO_EXPECT_EQ(co_channel_put(object->channel, &put), 0);
	else
		while (!is_done(co_channel_try_put(object->channel, &put)))
			;
	counter_add(&object->sum, put);
	if (self->is_task)
		CO_EXPECT_EQ(co_channel_get(object->channel, &got), 0);
	else
		while (!is_done(co_channel_try_get(object->channel, &got)))
			;
	counter_add(&object->sum, (size_t)0 - got);
}

/* The same in whichever channel it can be done. */
static void use_channels(struct member *self)
{
	struct scene *scene = self->scene;
	size_t put = (size_t)test_random(&self->random), got = 0;
	struct co_select_case puts[OBJECTS_MAX], get;
	int at;

	for (size_t i = 0; i < scene->objects; i++)
		puts[i] = (struct co_select_case)CO_SELECT_CASE_PUT(
				scene->object[i].channel, &put);
	do
		at = self->is_task ? co_select(puts, scene->objects)
				: co_try_select(puts, scene->objects);
	while (at == -EAGAIN);
	if (!CO_EXPECT(at >= 0))
		return;
	counter_add(&scene->object[at].sum, put);
	get = (struct co_select_case)CO_SELECT_CASE_GET(
			scene->object[at].channel, &got);
	while ((self->is_task ? co_select(&get, 1) : co_try_select(&get, 1))
			== -EAGAIN)
		;
	counter_add(&scene->object[at].sum, (size_t)0 - got);
}

static void use_much(struct member *self)
{
	struct scene *scene = self->scene;
	struct object *object = &scene->object[
			test_random_below(&self->random, scene->objects)];
	size_t how = test_random_below(&self->random, 5), uses = 1;

	if (test_random_below(&self->random, 3) == 0)
		uses = LONG << test_random_below(&self->random, 3);
	while (uses-- > 0 && test_failures() == 0)
		if (how < 2)
			use_lock(self, object);
		else if (how < 4)
			use_channel(self, object);
		else
			use_channels(self);
}

static void be_member(struct scene *scene, bool is_task)
{
	struct member self = { .scene = scene, .is_task = is_task,
		.random = counter_add(&scene->begun, 1) };

	for (size_t i = 0; i < scene->bursts; i++) {
		use_much(&self);
		torture_dawdle(&self.random);
		if (is_task)
			co_yield();
	}
}

/* What it waits for may come from another loop. */
static int task_main(void *arg)
{
	CO_EXPECT_EQ(co_loop_ref(co_loop_current()), 0);
	be_member(arg, true);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);

	return 0;
}

static void outsider_main(void *arg)
{
	be_member(arg, false);
}

/* A thread with a loop, and then with another one. */
static void loops_main(void *arg)
{
	struct scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		struct co_loop *loop = loop_or_die(1 + i);

		for (size_t member = 0; member < scene->members; member++)
			test_or_die(co_spawn(loop, task_main, scene, NULL));
		CO_EXPECT_EQ(co_loop_run(loop), 0);
		CO_EXPECT_EQ(co_loop_destroy(loop), 0);
	}
}

static void begin_scene(struct scene *scene, uint64_t random)
{
	*scene = (struct scene) { .home = loop_or_die(1) };
	scene->loops = 1 + test_random_below(&random, LOOPS_MAX);
	scene->members = 1 + test_random_below(&random, MEMBERS_MAX);
	scene->bursts = CO_TEST_SCALE(1 + test_random_below(&random, 8));
	scene->objects = 1 + test_random_below(&random, OBJECTS_MAX);
	counter_set(&scene->begun, (size_t)random);
	for (size_t i = 0; i < scene->objects; i++)
		test_or_die(co_channel_create(scene->home, sizeof(size_t),
				(size_t)1 << test_random_below(&random, 8),
				&scene->object[i].channel));
}

static void end_scene(struct scene *scene)
{
	size_t uses = 0;

	for (size_t i = 0; i < scene->objects; i++) {
		struct object *object = &scene->object[i];

		CO_EXPECT_EQ(counter_get(&object->sum), 0);
		CO_EXPECT_EQ(co_channel_length(object->channel), 0);
		CO_EXPECT_EQ(co_channel_destroy(object->channel), 0);
		CO_EXPECT_EQ(co_lock_deinit(&object->lock), 0);
		uses += object->uses;
	}
	CO_EXPECT_EQ(uses, counter_get(&scene->uses));
	CO_EXPECT_EQ(co_loop_destroy(scene->home), 0);
}

static void one_round(uint64_t random)
{
	struct test_thread threads[LOOPS_MAX + 1];
	struct scene scene;

	begin_scene(&scene, random);
	for (size_t i = 0; i < scene.loops; i++)
		test_thread_start(&threads[i], NULL, loops_main, &scene);
	test_thread_start(&threads[scene.loops], NULL, outsider_main, &scene);
	for (size_t i = 0; i <= scene.loops; i++)
		test_thread_join(&threads[i]);
	end_scene(&scene);
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "strand");
	uint64_t done = 0;

	do {
		torture_enter("strand: one scene", 60);
		one_round(torture.seed + done++);
	} while (torture_goes_on(&torture, done, torture.end));
	test_expect_no_leak();

	return torture_end(&torture, done);
}
