/* SPDX-License-Identifier: MIT */

#include "test.h"

#include <sched.h>
#include <unistd.h>

#include "trap.h"

struct item {
	struct co_stack_node node;
	size_t number;
	volatile AO_t holders;	/* atomic: threads that hold it, 0 or 1 */
};

static struct item *item_of(struct co_stack_node *node)
{
	return (struct item *)(void *)node;
}

/* The number of the top item, 0 if there is none. */
static size_t pop_number(struct co_stack *stack)
{
	struct co_stack_node *node = co_stack_pop(stack);

	return node != NULL ? item_of(node)->number : 0;
}

/* Push the COUNT items, numbered from FIRST. */
static void push_items(struct co_stack *stack, struct item *items,
		size_t count, size_t first)
{
	for (size_t i = 0; i < count; i++) {
		items[i].number = first + i;
		items[i].holders = 0;
		co_stack_push(stack, &items[i].node);
	}
}

/* --- One thread ------------------------------------------------------- */

Test(stack, a_new_stack_is_empty)
{
	struct co_stack made, constant = CO_STACK_INIT;

	co_stack_init(&made);
	cr_assert(co_stack_is_empty(&made));
	cr_assert(co_stack_is_empty(&constant));
}

Test(stack, an_empty_stack_gives_nothing)
{
	struct co_stack stack = CO_STACK_INIT;

	cr_assert_null(co_stack_pop(&stack));
	cr_assert_null(co_stack_pop(&stack));
}

Test(stack, last_in_is_first_out)
{
	struct co_stack stack = CO_STACK_INIT;
	struct item items[5];

	push_items(&stack, items, 5, 1);
	for (size_t i = 5; i > 0; i--)
		cr_assert_eq(pop_number(&stack), i);
	cr_assert_null(co_stack_pop(&stack));
}

Test(stack, pushes_between_pops_go_on_top)
{
	struct co_stack stack = CO_STACK_INIT;
	struct item items[3];

	push_items(&stack, items, 2, 1);
	cr_assert_eq(pop_number(&stack), 2);
	push_items(&stack, items + 2, 1, 3);
	cr_assert_eq(pop_number(&stack), 3);
	cr_assert_eq(pop_number(&stack), 1);
}

Test(stack, it_is_empty_when_all_was_popped_and_not_before)
{
	struct co_stack stack = CO_STACK_INIT;
	struct item items[3];

	push_items(&stack, items, 3, 1);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_not(co_stack_is_empty(&stack));
		co_stack_pop(&stack);
	}
	cr_assert(co_stack_is_empty(&stack));
}

Test(stack, push_first_pushes_on_an_empty_stack)
{
	struct co_stack stack = CO_STACK_INIT;
	struct item item = { .number = 1 };

	cr_assert_eq(co_stack_push_first(&stack, &item.node), 1);
	cr_assert_eq(pop_number(&stack), 1);
	cr_assert(co_stack_is_empty(&stack));
}

Test(stack, push_first_leaves_another_stack_alone)
{
	struct co_stack stack = CO_STACK_INIT;
	struct item items[2], late = { .number = 3 };

	push_items(&stack, items, 2, 1);
	cr_assert_eq(co_stack_push_first(&stack, &late.node), 0);
	cr_assert_eq(pop_number(&stack), 2);
	cr_assert_eq(pop_number(&stack), 1);
	cr_assert(co_stack_is_empty(&stack));
}

Test(stack, a_node_that_was_popped_is_the_callers_again)
{
	struct co_stack stack = CO_STACK_INIT;
	struct item items[2];

	push_items(&stack, items, 2, 1);
	memset(co_stack_pop(&stack), 0xa5, sizeof items[0]);
	push_items(&stack, items + 1, 1, 3);
	cr_assert_eq(pop_number(&stack), 3);
	cr_assert_eq(pop_number(&stack), 1);
}

/* --- Several threads -------------------------------------------------- */

enum { THREADS = 4, MAGIC = 0x600d };

/* Threads that do the same until some time has passed, however fast they are:
 * it takes a while until they get into each other's way. */
struct team {
	struct co_stack stack;
	co_time end;
	struct test_counter winners, pushed, popped;
	pthread_barrier_t start;
	pthread_t threads[THREADS];
};

/* Whether the round after ROUND rounds is to be. */
static bool goes_on(struct team *team, size_t round)
{
	if (round == 0)
		pthread_barrier_wait(&team->start);
	return round % 128 != 127
			|| (co_now() < team->end && test_failures() == 0);
}

/* Half of the threads run ODD, the others EVEN. */
static void run_team(struct team *team, void *(*odd)(void *),
		void *(*even)(void *))
{
	test_or_die(pthread_barrier_init(&team->start, NULL, THREADS));
	team->end = co_after(CO_SECOND / 4);
	for (size_t i = 0; i < THREADS; i++)
		test_or_die(pthread_create(&team->threads[i], NULL,
				i % 2 == 0 ? even : odd, team));
	for (size_t i = 0; i < THREADS; i++)
		test_or_die(pthread_join(team->threads[i], NULL));
	pthread_barrier_destroy(&team->start);
}

static void *push_pop_and_free(void *arg)
{
	struct team *team = arg;

	for (size_t i = 0; goes_on(team, i); i++) {
		struct item *item = malloc(sizeof *item);
		struct co_stack_node *node;

		test_die_unless(item != NULL, "malloc", __FILE__, __LINE__);
		item->number = MAGIC;
		co_stack_push(&team->stack, &item->node);
		node = co_stack_pop(&team->stack);
		if (!CO_EXPECT(node != NULL))
			break;
		CO_EXPECT_EQ(item_of(node)->number, MAGIC);
		memset(node, 0xa5, sizeof *item);
		free(node);
	}

	return NULL;
}

/* A popper that looks into a node without owning it finds it freed. */
Test(stack, a_node_may_be_freed_as_soon_as_it_is_popped)
{
	struct team team = { .stack = CO_STACK_INIT };

	run_team(&team, push_pop_and_free, push_pop_and_free);
	cr_assert(co_stack_is_empty(&team.stack));
}

/* Take an item, and see that nobody else has it. */
static struct item *hold_item(struct co_stack *stack)
{
	struct co_stack_node *node = co_stack_pop(stack);

	if (node == NULL)
		return NULL;
	CO_EXPECT_EQ(AO_fetch_and_add1_full(&item_of(node)->holders), 0);
	return item_of(node);
}

static void put_back(struct co_stack *stack, struct item *item)
{
	if (item == NULL)
		return;
	CO_EXPECT_EQ(AO_fetch_and_sub1_full(&item->holders), 1);
	co_stack_push(stack, &item->node);
}

/* Put something else beneath the top, by turns more and less: *KEPT goes there
 * or comes from there. */
static void exchange(struct co_stack *stack, struct item **kept)
{
	struct item *top = hold_item(stack);

	if (*kept != NULL) {
		put_back(stack, *kept);
		*kept = NULL;
	} else {
		*kept = hold_item(stack);
	}
	put_back(stack, top);
}

static void *shuffle(void *arg)
{
	struct team *team = arg;
	struct item *kept = NULL;

	for (size_t i = 0; goes_on(team, i); i++)
		exchange(&team->stack, &kept);
	put_back(&team->stack, kept);

	return NULL;
}

/* A popper that only compares addresses takes the same top with something
 * else beneath for the top that it read the link of. */
Test(stack, no_node_is_lost_or_popped_twice)
{
	enum { ITEMS = 6 };
	struct team team = { .stack = CO_STACK_INIT };
	struct item items[ITEMS];
	size_t sum = 0, number;

	push_items(&team.stack, items, ITEMS, 1);
	run_team(&team, shuffle, shuffle);
	while ((number = pop_number(&team.stack)) != 0)
		sum += number;
	cr_assert_eq(sum, ITEMS * (ITEMS + 1) / 2);
}

static void *push_and_keep_count(void *arg)
{
	struct team *team = arg;
	struct item *item = calloc(1, sizeof *item);

	test_die_unless(item != NULL, "calloc", __FILE__, __LINE__);
	for (size_t i = 0; goes_on(team, i); i++) {
		if (!co_stack_push_first(&team->stack, &item->node)) {
			sched_yield();
			continue;
		}
		/* Among those who find it empty, one at a time gets in. */
		CO_EXPECT_EQ(counter_add(&team->winners, 1), 0);
		counter_add(&team->winners, (size_t)-1);
		item = item_of(co_stack_pop(&team->stack));
	}
	free(item);

	return NULL;
}

Test(stack, only_one_at_a_time_is_first)
{
	struct team team = { .stack = CO_STACK_INIT };

	run_team(&team, push_and_keep_count, push_and_keep_count);
	cr_assert(co_stack_is_empty(&team.stack));
}

static void *push_numbers(void *arg)
{
	struct team *team = arg;

	for (size_t i = 0; goes_on(team, i); i++) {
		struct item *item = malloc(sizeof *item);

		test_die_unless(item != NULL, "malloc", __FILE__, __LINE__);
		item->number = MAGIC;
		co_stack_push(&team->stack, &item->node);
		counter_add(&team->pushed, 1);
		if (i % 16 == 0)
			sched_yield();
	}

	return NULL;
}

static bool pop_a_number(struct team *team)
{
	struct co_stack_node *node = co_stack_pop(&team->stack);

	if (node == NULL)
		return false;
	CO_EXPECT_EQ(item_of(node)->number, MAGIC);
	free(node);
	counter_add(&team->popped, 1);

	return true;
}

static void *pop_numbers(void *arg)
{
	struct team *team = arg;

	for (size_t i = 0; goes_on(team, i); i++)
		if (!pop_a_number(team))
			sched_yield();

	return NULL;
}

Test(stack, the_popper_sees_what_the_pusher_wrote_before)
{
	struct team team = { .stack = CO_STACK_INIT };

	run_team(&team, push_numbers, pop_numbers);
	while (pop_a_number(&team))
		;
	cr_assert_eq(counter_get(&team.popped), counter_get(&team.pushed));
}

/* --- A call that is interrupted --------------------------------------- */

static struct item *make_item(size_t number, void (*spring)(void))
{
	struct item *item = make_trap(spring);

	item->number = number;

	return item;
}

static struct co_stack interrupted = CO_STACK_INIT;
static struct item other = { .number = 2 };

static void push_other(void)
{
	co_stack_push(&interrupted, &other.node);
}

Test(stack, a_push_amid_a_push_goes_beneath)
{
	struct item *item = make_item(1, push_other);

	arm_trap();
	co_stack_push(&interrupted, &item->node);
	cr_assert_eq(pop_number(&interrupted), 1);
	cr_assert_eq(pop_number(&interrupted), 2);
	cr_assert(co_stack_is_empty(&interrupted));
}

static void pop_other(void)
{
	CO_EXPECT_EQ(pop_number(&interrupted), 2);
}

Test(stack, a_pop_amid_a_push_takes_what_is_there)
{
	struct item *item = make_item(1, pop_other);

	push_other();
	arm_trap();
	co_stack_push(&interrupted, &item->node);
	cr_assert_eq(pop_number(&interrupted), 1);
	cr_assert(co_stack_is_empty(&interrupted));
}

Test(stack, a_push_amid_a_push_first_is_the_first)
{
	struct item *item = make_item(1, push_other);

	arm_trap();
	cr_assert_eq(co_stack_push_first(&interrupted, &item->node), 0);
	cr_assert_eq(pop_number(&interrupted), 2);
	cr_assert(co_stack_is_empty(&interrupted));
}

/* While one pop has stopped in the middle, do the same in another thread. */
static struct {
	pthread_t thread;
	struct test_counter begun, done;
	size_t number;		/* of what it popped */
	bool pushes;		/* another item, before */
} rival;

static void *pop_as_rival(void *arg)
{
	if (rival.pushes)
		push_other();
	counter_set(&rival.begun, 1);
	rival.number = pop_number(&interrupted);
	counter_set(&rival.done, 1);

	return arg;
}

/* Give the rival more time than it needs. */
static void let_rival_try(void)
{
	co_time end;

	counter_set(&rival.begun, 0);
	counter_set(&rival.done, 0);
	test_or_die(pthread_create(&rival.thread, NULL, pop_as_rival, NULL));
	while (counter_get(&rival.begun) == 0)
		sched_yield();
	end = co_after(CO_SECOND / 20);
	while (co_now() < end && counter_get(&rival.done) == 0)
		sched_yield();
	CO_EXPECT_EQ(counter_get(&rival.done), 0);
}

/* If a pop may look into a node that another one takes, then it looks into
 * one that was freed, or goes on with an outdated link. */
Test(stack, a_pop_waits_while_another_one_looks_into_a_node)
{
	struct item *item = make_item(1, let_rival_try);

	push_other();
	co_stack_push(&interrupted, &item->node);
	arm_trap();
	cr_assert_eq(pop_number(&interrupted), 1);
	test_or_die(pthread_join(rival.thread, NULL));
	cr_assert_eq(rival.number, 2);
}

Test(stack, a_push_amid_a_pop_does_not_let_another_pop_in)
{
	struct item *item = make_item(1, let_rival_try);

	rival.pushes = true;
	co_stack_push(&interrupted, &item->node);
	arm_trap();
	cr_assert_eq(pop_number(&interrupted), 2);
	test_or_die(pthread_join(rival.thread, NULL));
	cr_assert_eq(rival.number, 1);
}

Test(stack, a_push_does_not_wait_for_a_pop)
{
	struct item *item = make_item(1, push_other);

	co_stack_push(&interrupted, &item->node);
	arm_trap();
	cr_assert_eq(pop_number(&interrupted), 2);
	cr_assert_eq(pop_number(&interrupted), 1);
	cr_assert(co_stack_is_empty(&interrupted));
}

static struct item refused = { .number = 3 };

static void push_first_in_vain(void)
{
	CO_EXPECT_EQ(co_stack_push_first(&interrupted, &refused.node), 0);
	CO_EXPECT_EQ(co_stack_is_empty(&interrupted), 0);
}

Test(stack, it_is_not_empty_until_the_last_pop_is_done)
{
	struct item *item = make_item(1, push_first_in_vain);

	co_stack_push(&interrupted, &item->node);
	arm_trap();
	cr_assert_eq(pop_number(&interrupted), 1);
	cr_assert(co_stack_is_empty(&interrupted));
}
