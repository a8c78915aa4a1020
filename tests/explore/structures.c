/* SPDX-License-Identifier: MIT */

/* structures.c - queue, stack, run queue, door, strand, inject queue: nothing is
 * lost, doubled, or out of order */

#include "explore.h"

#include <stdlib.h>
#include <string.h>

#include <coloop/queue.h>
#include <coloop/stack.h>

#include "bias.h"
#include "inject.h"
#include "runq.h"
#include "strand.h"

/* --- The explorer --------------------------------------------------------- */

static AO_t steps_done;		/* atomic: pairs with itself */
static unsigned noted;		/* plain: written before the last step */

static void *take_step(void *arg)
{
	bool is_first = AO_fetch_and_add1_acquire(&steps_done) == 0;

	(void)arg;
	/* The fault that the explorer is to find, if it is asked for one. */
	if (is_first || getenv("CO_TEST_FAULT") != NULL)
		noted++;

	return NULL;
}

static void run_steps(void)
{
	int others[2];

	AO_store(&steps_done, 0);
	noted = 0;
	for (unsigned i = 0; i < 2; i++)
		others[i] = explore_thread(take_step, NULL);
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
	explore_expect(noted, 1);
}

/* --- The queue ------------------------------------------------------------ */

#define PUTTERS 2
#define EACH 2

struct item {
	struct co_queue_node node;
	unsigned number;	/* plain: what was written is to be seen */
};

static struct co_queue queue;
static struct item items[PUTTERS][EACH];

static void *put_items(void *arg)
{
	struct item *mine = arg;

	for (unsigned i = 0; i < EACH; i++) {
		mine[i].number = 1 + i;
		co_queue_put(&queue, &mine[i].node);
	}

	return NULL;
}

/* Those of one putter come in its order. */
static void get_item(unsigned *seen)
{
	struct item *item = (struct item *)(void *)co_queue_get(&queue);
	ptrdiff_t putter;

	if (item == NULL) {
		explore_step();
		return;
	}
	putter = (item - &items[0][0]) / EACH;
	explore_expect(item->number, seen[putter] + 1);
	seen[putter]++;
}

static void run_queue(void)
{
	unsigned seen[PUTTERS] = { 0, 0 };
	int putters[PUTTERS];

	memset(items, 0, sizeof items);
	co_queue_init(&queue);
	for (unsigned i = 0; i < PUTTERS; i++)
		putters[i] = explore_thread(put_items, items[i]);
	for (unsigned i = 0; i < PUTTERS * EACH; i++)
		get_item(seen);
	for (unsigned i = 0; i < PUTTERS; i++)
		explore_join(putters[i]);
	for (unsigned i = 0; i < PUTTERS * EACH; i++)
		get_item(seen);
	for (unsigned i = 0; i < PUTTERS; i++)
		explore_expect(seen[i], EACH);
	explore_check(co_queue_is_empty(&queue));
}

static AO_t all_put;		/* atomic: how many have put all */

static void *put_and_tell(void *arg)
{
	put_items(arg);
	/* Release: pairs with run_complete. */
	AO_fetch_and_add_release(&all_put, 1);

	return NULL;
}

/* A get that begins after a put has returned finds something, whatever else is
 * being put and got. */
static void run_complete(void)
{
	unsigned got = 0;
	int putters[PUTTERS];

	memset(items, 0, sizeof items);
	co_queue_init(&queue);
	AO_store(&all_put, 0);
	for (unsigned i = 0; i < PUTTERS; i++)
		putters[i] = explore_thread(put_and_tell, items[i]);
	while (got < PUTTERS * EACH) {
		/* Acquire: pairs with put_and_tell. */
		AO_t all = AO_load_acquire(&all_put);

		if (co_queue_get(&queue) != NULL) {
			got++;
		} else {
			explore_check(got >= all * EACH);
			co__atomic_pause();
		}
	}
	for (unsigned i = 0; i < PUTTERS; i++)
		explore_join(putters[i]);
}

/* --- The stack ------------------------------------------------------------ */

#define NODES 3

struct plate {
	struct co_stack_node node;
	unsigned owner;		/* plain: 1 while somebody has it */
};

static struct co_stack stack;
static struct plate plates[NODES];

static struct plate *take_plate(void)
{
	struct plate *plate = (struct plate *)(void *)co_stack_pop(&stack);

	if (plate == NULL)
		return NULL;
	explore_expect(plate->owner, 0);
	plate->owner = 1;
	/* Whoever takes it next reads what it holds, not what we read. */
	plate->node.next_ = NULL;

	return plate;
}

static void put_plate(struct plate *plate)
{
	plate->owner = 0;
	co_stack_push(&stack, &plate->node);
}

/* Take two, and put back the first first: the way to ABA. */
static void *juggle(void *arg)
{
	struct plate *first = take_plate(), *second = take_plate();

	(void)arg;
	if (first != NULL)
		put_plate(first);
	if (second != NULL)
		put_plate(second);

	return NULL;
}

static void run_stack(void)
{
	int others[2];
	unsigned found = 0;

	memset(plates, 0, sizeof plates);
	co_stack_init(&stack);
	for (unsigned i = 0; i < NODES; i++)
		co_stack_push(&stack, &plates[i].node);
	for (unsigned i = 0; i < 2; i++)
		others[i] = explore_thread(juggle, NULL);
	juggle(NULL);
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
	while (take_plate() != NULL)
		found++;
	explore_expect(found, NODES);
}

/* Whoever pushes onto the empty stack is told so, once for each time. */
static void *push_first(void *arg)
{
	struct plate *plate = arg;

	plate->owner = 0;
	if (!co_stack_push_first(&stack, &plate->node))
		co_stack_push(&stack, &plate->node);
	else
		plate->owner = 2;

	return NULL;
}

static void run_push_first(void)
{
	int others[2];
	unsigned found = 0;

	memset(plates, 0, sizeof plates);
	co_stack_init(&stack);
	for (unsigned i = 0; i < 2; i++)
		others[i] = explore_thread(push_first, &plates[i]);
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
	explore_check((plates[0].owner == 2) + (plates[1].owner == 2) == 1);
	while (co_stack_pop(&stack) != NULL)
		found++;
	explore_expect(found, 2);
}

/* --- The run queue -------------------------------------------------------- */

#define TASKS 6

static struct co__runq runq;
static unsigned taken[TASKS + 1], content[TASKS + 1];

/* The queue never looks into a task: a number does, and 0 is none. */
static void push_number(size_t number)
{
	content[number] = (unsigned)number;
	explore_check(co__runq_push(&runq, (struct co_task *)number));
}

static void note_taken(const struct co_task *task)
{
	size_t number = (size_t)task;

	if (number == 0)
		return;
	explore_check(number <= TASKS);
	explore_expect(content[number], number);
	taken[number]++;
}

static void *steal_some(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		struct co_task *stolen[2];
		unsigned n = co__runq_steal(&runq, stolen, 2);

		for (unsigned k = 0; k < n; k++)
			note_taken(stolen[k]);
	}

	return NULL;
}

/* What is stolen comes oldest first, so it rises. */
static void *steal_in_order(void *arg)
{
	size_t last = 0;

	(void)arg;
	for (unsigned i = 0; i < 3; i++) {
		struct co_task *stolen[1];

		if (co__runq_steal(&runq, stolen, 1) == 0)
			continue;
		explore_check((size_t)stolen[0] > last);
		last = (size_t)stolen[0];
		note_taken(stolen[0]);
	}

	return NULL;
}

static void begin_runq(void)
{
	memset(&runq, 0, sizeof runq);
	memset(taken, 0, sizeof taken);
	memset(content, 0, sizeof content);
}

static void end_runq(void)
{
	for (unsigned i = 0; i < TASKS; i++)
		note_taken(co__runq_pop(&runq));
	explore_expect(co__runq_length(&runq), 0);
	for (unsigned i = 1; i <= TASKS; i++)
		explore_expect(taken[i], 1);
}

static void run_runq(void)
{
	int thieves[2];

	begin_runq();
	for (unsigned i = 0; i < 2; i++)
		thieves[i] = explore_thread(steal_some, NULL);
	for (size_t number = 1; number <= TASKS; number++) {
		push_number(number);
		if (number % 2 == 0)
			note_taken(co__runq_pop(&runq));
	}
	for (unsigned i = 0; i < 2; i++)
		explore_join(thieves[i]);
	end_runq();
}

/* The owner takes from the end where it adds, so places are used anew. */
static void run_newest(void)
{
	int thief;

	begin_runq();
	thief = explore_thread(steal_some, NULL);
	for (size_t number = 1; number <= TASKS; number += 2) {
		push_number(number);
		push_number(number + 1);
		note_taken(co__runq_pop_newest(&runq));
		if (explore_choose(2))
			note_taken(co__runq_pop_newest(&runq));
	}
	explore_join(thief);
	end_runq();
}

static void run_order(void)
{
	int thief;

	begin_runq();
	thief = explore_thread(steal_in_order, NULL);
	for (size_t number = 1; number <= TASKS; number++)
		push_number(number);
	explore_join(thief);
	end_runq();
}

/* With few places left, what is added goes where something was stolen. */
static void run_full(void)
{
	int thieves[2];

	begin_runq();
	runq.head = 1;
	runq.tail = CO__RUNQ_SIZE;
	for (unsigned i = 0; i < CO__RUNQ_SIZE; i++)
		runq.ring[i] = 0;
	for (unsigned i = 0; i < 2; i++)
		thieves[i] = explore_thread(steal_some, NULL);
	for (size_t number = 1; number <= TASKS;) {
		content[number] = (unsigned)number;
		if (co__runq_push(&runq, (struct co_task *)number))
			number++;
		else
			note_taken(co__runq_pop(&runq));
	}
	for (unsigned i = 0; i < 2; i++)
		explore_join(thieves[i]);
	for (unsigned i = 0; i < CO__RUNQ_SIZE; i++)
		note_taken(co__runq_pop(&runq));
	end_runq();
}

/* --- The door ------------------------------------------------------------- */

static struct co__bias bias;
static AO_t passed;		/* atomic: plain for who is alone */
static AO_t passages;		/* atomic: how often somebody was inside */
static unsigned notes[3];	/* plain: of each guest, for who is alone; and of
				 * who is alone, for the guests */

static void pass_alone(void)
{
	AO_fetch_and_add1(&passages);
	AO_store(&passed, AO_load(&passed) + 1);
	explore_check(notes[0] <= 2 && notes[1] <= 2);
	notes[2]++;
}

static void pass(void)
{
	AO_fetch_and_add1(&passages);
	AO_fetch_and_add1(&passed);
}

static void *visit(void *arg)
{
	unsigned *note = arg;

	for (unsigned i = 0; i < 2; i++) {
		if (!co__bias_visit(&bias))
			continue;
		pass();
		explore_check(notes[2] <= 4);
		++*note;
		co__bias_end_visit(&bias);
	}

	return NULL;
}

static void begin_bias(void)
{
	memset(&bias, 0, sizeof bias);
	co__bias_set(&bias, CO__BIAS_OWNED);
	AO_store(&passed, 0);
	AO_store(&passages, 0);
	memset(notes, 0, sizeof notes);
}

/* What the owner of a door may do before it goes through. */
static void choose_bias(void)
{
	switch (explore_choose(3)) {
	case 1:
		co__bias_set(&bias, CO__BIAS_OWNED);
		break;
	case 2:
		co__bias_set(&bias, CO__BIAS_SHARED);
		break;
	}
}

static void run_bias(void)
{
	int guests[2];

	begin_bias();
	explore_with_failing_barriers();
	for (unsigned i = 0; i < 2; i++)
		guests[i] = explore_thread(visit, &notes[i]);
	for (unsigned i = 0; i < 4; i++) {
		choose_bias();
		if (co__bias_enter(&bias)) {
			pass_alone();
			co__bias_leave(&bias);
		} else {
			pass();
		}
	}
	for (unsigned i = 0; i < 2; i++)
		explore_join(guests[i]);
	explore_expect(AO_load(&passed), AO_load(&passages));
}

static void *steal_as_guest(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		struct co_task *stolen[2];
		unsigned n = 0;

		if (co__bias_visit(&bias)) {
			n = co__runq_steal(&runq, stolen, 2);
			co__bias_end_visit(&bias);
		}
		for (unsigned k = 0; k < n; k++)
			note_taken(stolen[k]);
	}

	return NULL;
}

static struct co_task *take_as_owner(bool newest)
{
	struct co_task *task;

	if (!co__bias_enter(&bias))
		return newest ? co__runq_pop_newest(&runq)
				: co__runq_pop(&runq);
	task = newest ? co__runq_pop_newest_alone(&runq)
			: co__runq_take_alone(&runq, false);
	co__bias_leave(&bias);

	return task;
}

/* Oldest and newest, alone and not, and a thief. */
static void run_alone(void)
{
	int thief;

	begin_runq();
	begin_bias();
	thief = explore_thread(steal_as_guest, NULL);
	for (size_t number = 1; number <= TASKS; number += 2) {
		push_number(number);
		push_number(number + 1);
		note_taken(take_as_owner(true));
		if (explore_choose(2))
			co__bias_set(&bias, CO__BIAS_OWNED);
		note_taken(take_as_owner(false));
	}
	explore_join(thief);
	end_runq();
}

/* --- Strands --------------------------------------------------------------- */

#define STRANDS 2

static struct co__strand strands[STRANDS];
static unsigned uses[STRANDS];		/* strand */
static AO_t total;			/* atomic: of all uses */

static void use_strand(unsigned which, struct co__seat *seat)
{
	struct co__strand *strand = &strands[which];
	unsigned before;

	while (!co__strand_try(strand, seat)
			&& !co__strand_try_hold(strand, seat))
		co__atomic_pause();
	before = uses[which];
	AO_fetch_and_add1(&total);	/* where another may go on */
	uses[which] = before + 1;
	co__strand_release(strand, seat);
}

/* Mostly the first, so that it is owned soon. */
static void *use_strands(void *seat)
{
	for (unsigned i = 0; i < 5; i++)
		use_strand(explore_choose(4) == 0, seat);

	return NULL;
}

static void begin_strands(void)
{
	memset(strands, 0, sizeof strands);
	memset(uses, 0, sizeof uses);
	AO_store(&total, 0);
}

static void end_strands(void)
{
	for (unsigned i = 0; i < STRANDS; i++)
		use_strand(i, co__seat_none);
	explore_expect(uses[0] + uses[1], AO_load(&total));
}

/* Two who may own them, and one who may not. */
static void run_strand(void)
{
	struct co__seat *seats[2];
	int others[2];

	begin_strands();
	for (unsigned i = 0; i < 2; i++)
		seats[i] = co__seat_take();
	others[0] = explore_thread(use_strands, seats[0]);
	others[1] = explore_thread(use_strands, co__seat_none);
	use_strands(seats[1]);
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
	end_strands();
	for (unsigned i = 0; i < 2; i++)
		co__seat_give(seats[i]);
}

/* Takes a seat, uses what is its own, and leaves it to the next. */
static void *use_and_leave(void *arg)
{
	struct co__seat *seat = co__seat_take();

	(void)arg;
	use_strands(seat);
	co__seat_give(seat);

	return NULL;
}

static void run_inherited(void)
{
	int other, others[2];

	begin_strands();
	other = explore_thread(use_and_leave, NULL);
	for (unsigned i = 0; i < 2; i++)
		others[i] = explore_thread(use_and_leave, NULL);
	explore_join(other);
	use_and_leave(NULL);
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
	end_strands();
}

/* --- The inject queue ----------------------------------------------------- */

static struct co__inject inject;
static struct co_tick ticks[TASKS];
static unsigned ran[TASKS];

static void *inject_some(void *arg)
{
	size_t first = (size_t)arg;

	for (size_t i = first; i < first + TASKS / 2; i++) {
		ran[i] = 0;
		co__inject_put(&inject, &ticks[i]);
	}

	return NULL;
}

static void *take_some(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 3; i++) {
		struct co_tick *got[2];
		unsigned n = co__inject_take(&inject, got, 2);

		for (unsigned k = 0; k < n; k++)
			explore_expect(ran[got[k] - ticks]++, 0);
	}

	return NULL;
}

static void run_inject(void)
{
	int others[4];

	memset(&inject, 0, sizeof inject);
	memset(ran, 0xff, sizeof ran);
	co_queue_init(&inject.queue);
	for (unsigned i = 0; i < 2; i++) {
		others[i] = explore_thread(inject_some,
				(void *)(size_t)(i * TASKS / 2));
		others[2 + i] = explore_thread(take_some, NULL);
	}
	for (unsigned i = 0; i < 4; i++)
		explore_join(others[i]);
	for (unsigned i = 0; co__inject_has_some(&inject); i++) {
		explore_check(i < TASKS);
		take_some(NULL);
	}
	for (unsigned i = 0; i < TASKS; i++)
		explore_expect(ran[i], 1);
}

const struct explore_scenario explore_structures[] = {
	{ "explorer: two take a step, one writes", run_steps, 50, true },
	{ "queue: two put, one gets", run_queue, 2000, true },
	{ "queue: a get finds what was put before", run_complete, 1000, true },
	{ "stack: three take two and put them back", run_stack, 2000, true },
	{ "stack: two push first", run_push_first, 500, true },
	{ "runq: owner and two thieves", run_runq, 2000, true },
	{ "runq: the newest, and a thief", run_newest, 3000, true },
	{ "runq: what is stolen is in order", run_order, 1000, true },
	{ "runq: hardly a place is free", run_full, 1000, false },
	{ "bias: an owner and two guests", run_bias, 3000, true },
	{ "bias: a run queue, and a thief", run_alone, 3000, true },
	{ "strand: two who may own it, and one", run_strand, 3000, true },
	{ "strand: a seat is inherited", run_inherited, 2000, true },
	{ "inject: two put, two take", run_inject, 2000, true },
	{ NULL, NULL, 0, false },
};
