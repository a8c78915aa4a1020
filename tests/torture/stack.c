/* SPDX-License-Identifier: MIT */

/*
 * stack.c - many threads push and pop
 *
 * Each node is overwritten and freed as soon as it is popped, and its memory
 * comes back soon as another node: a pop that looks into a node which it
 * doesn't own, or takes one address for one node, goes astray.  What was pushed
 * and what was popped have the same number and sum.
 */

#include "torture.h"

enum { THREADS = 4, THREADS_MAX = 64 };
enum { STEPS = 20000, HELD_MAX = 8, STAMP = 0x57ac };

struct item {
	struct co_stack_node node;
	size_t number;
	size_t stamp;
};

struct books {
	size_t count;
	size_t sum;
};

struct member {
	struct co_stack *stack;
	uint64_t random;
	struct books pushed, popped;	/* owner: this thread */
	struct item *held[HELD_MAX];	/* popped, to be pushed again */
	size_t held_count;
	pthread_t thread;
};

static void write_down(struct books *books, const struct item *item)
{
	books->count++;
	books->sum += item->number;
}

static struct item *make_item(uint64_t *random)
{
	struct item *item = malloc(sizeof *item);

	test_die_unless(item != NULL, "malloc", __FILE__, __LINE__);
	item->number = (size_t)test_random(random);
	item->stamp = item->number ^ STAMP;

	return item;
}

/* Nobody else may look at it any more, so that's what it must withstand. */
static void destroy_item(struct item *item)
{
	memset(item, 0x5a, sizeof *item);
	free(item);
}

/* Push an item, a new one or one that was popped before. */
static void push_one(struct member *self)
{
	struct item *item = self->held_count > 0
			? self->held[--self->held_count]
			: make_item(&self->random);
	struct item copy = *item;

	if (test_random_below(&self->random, 8) > 0) {
		co_stack_push(self->stack, &item->node);
	} else if (!co_stack_push_first(self->stack, &item->node)) {
		destroy_item(item);
		return;
	}
	write_down(&self->pushed, &copy);
}

static void pop_one(struct member *self)
{
	struct co_stack_node *node = co_stack_pop(self->stack);
	struct item *item = (struct item *)(void *)node;

	if (item == NULL || !CO_EXPECT_EQ(item->stamp, item->number ^ STAMP))
		return;
	write_down(&self->popped, item);
	/* While it is kept, its link is garbage. */
	memset(&item->node, 0x5a, sizeof item->node);
	if (self->held_count < HELD_MAX
			&& test_random_below(&self->random, 2) > 0)
		self->held[self->held_count++] = item;
	else
		destroy_item(item);
}

static void *push_and_pop(void *arg)
{
	struct member *self = arg;
	size_t i;

	for (i = 0; i < STEPS && test_failures() == 0; i++) {
		if (test_random_below(&self->random, 2) > 0)
			push_one(self);
		else
			pop_one(self);
		if (test_random_below(&self->random, 2000) == 0)
			torture_dawdle(&self->random);
	}
	while (self->held_count > 0)
		destroy_item(self->held[--self->held_count]);

	return NULL;
}

static void close_books(struct co_stack *stack, struct member *members,
		size_t count)
{
	struct books pushed = { 0, 0 }, popped = { 0, 0 };
	struct member rest = { .stack = stack };
	size_t i;

	while (!co_stack_is_empty(stack) && test_failures() == 0) {
		rest.held_count = HELD_MAX;	/* so that all is freed */
		pop_one(&rest);
	}
	popped = rest.popped;
	for (i = 0; i < count; i++) {
		pushed.count += members[i].pushed.count;
		pushed.sum += members[i].pushed.sum;
		popped.count += members[i].popped.count;
		popped.sum += members[i].popped.sum;
	}
	CO_EXPECT(pushed.count > 0);
	CO_EXPECT_EQ(popped.count, pushed.count);
	CO_EXPECT_EQ(popped.sum, pushed.sum);
}

static void run_round(const struct torture *torture, uint64_t *random)
{
	static struct member members[THREADS_MAX];
	struct co_stack stack = CO_STACK_INIT;
	size_t i;

	memset(members, 0, sizeof members);
	for (i = 0; i < torture->threads; i++) {
		members[i].stack = &stack;
		members[i].random = test_random(random);
		test_or_die(pthread_create(&members[i].thread, NULL,
				push_and_pop, &members[i]));
	}
	for (i = 0; i < torture->threads; i++)
		test_or_die(pthread_join(members[i].thread, NULL));
	if (test_failures() == 0)
		close_books(&stack, members, torture->threads);
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "stack");
	uint64_t random = torture.seed, round = 0;

	if (torture.threads == 0 || torture.threads > THREADS_MAX)
		torture.threads = THREADS;
	do {
		torture_enter("stack: push and pop", 60);
		run_round(&torture, &random);
		round++;
	} while (torture_goes_on(&torture, round, torture.end));

	return torture_end(&torture, round);
}
