/* SPDX-License-Identifier: MIT */

/* timer.c - see timer.h */

#include "timer.h"

#include <errno.h>

#include "probes.h"
#include "wait.h"
#include "worker.h"

#define NEAR_SHIFT 12		/* log2 of the lists of level 0 */
#define LEVEL_SHIFT 6		/* and of those above */
#define BATCH 32		/* timers that go off under the lock at once */

_Static_assert(CO__WHEEL_NEAR == 1u << NEAR_SHIFT
		&& CO__WHEEL_NEAR / 64 == 64 && CO__WHEEL_SLOTS == 64,
		"a word of bits holds what it must");

/* The first tick that isn't before WHEN. */
static uint64_t tick_of(co_time when)
{
	return when <= 0 ? 0
		: ((uint64_t)when + ((1u << CO__TICK_SHIFT) - 1))
		>> CO__TICK_SHIFT;
}

void co__wheel_init(struct co__wheel *wheel, co_time now)
{
	wheel->lock.word = 0;
	wheel->count = 0;
	wheel->now = (uint64_t)now >> CO__TICK_SHIFT;
	wheel->near = 0;
	for (unsigned i = 0; i < CO__WHEEL_LISTS / 64; i++)
		wheel->occupied[i] = 0;
	for (unsigned i = 0; i < CO__WHEEL_LISTS; i++)
		co__list_init(&wheel->lists[i]);
}

/* How many ticks a list of LEVEL stands for, as a shift. */
static unsigned shift_of(unsigned level)
{
	return level == 0 ? 0 : NEAR_SHIFT + (level - 1) * LEVEL_SHIFT;
}

/* The index of the list for TICK: its level is where TICK differs from now
 * highest. */
static unsigned list_of(const struct co__wheel *wheel, uint64_t tick)
{
	uint64_t differs = tick ^ wheel->now;
	unsigned level;

	if (differs < CO__WHEEL_NEAR)
		return tick % CO__WHEEL_NEAR;
	level = 1 + (63 - (unsigned)__builtin_clzll(differs) - NEAR_SHIFT)
			/ LEVEL_SHIFT;

	return CO__WHEEL_NEAR + (level - 1) * CO__WHEEL_SLOTS
			+ (tick >> shift_of(level)) % CO__WHEEL_SLOTS;
}

static void mark(struct co__wheel *wheel, unsigned index)
{
	wheel->occupied[index / 64] |= (uint64_t)1 << index % 64;
	if (index < CO__WHEEL_NEAR)
		wheel->near |= (uint64_t)1 << index / 64;
}

static void unmark(struct co__wheel *wheel, unsigned index)
{
	uint64_t *word = &wheel->occupied[index / 64];

	*word &= ~((uint64_t)1 << index % 64);
	if (index < CO__WHEEL_NEAR && *word == 0)
		wheel->near &= ~((uint64_t)1 << index / 64);
}

static struct co__timer *timer_of(const struct co__list *link)
{
	return co__container_of(link, struct co__timer, link);
}

/* Put TIMER into its list.  The lock is held.  Inlined, as what else there is
 * on the way to sleep: who sleeps among very many should use no more lines of
 * its stack than it needs to park. */
static co__always_inline void link_timer(struct co__wheel *wheel,
		struct co__timer *timer)
{
	uint64_t tick = timer->tick > wheel->now ? timer->tick
			: wheel->now + 1;
	unsigned index = list_of(wheel, tick);

	timer->tick = tick;
	co__list_append(&wheel->lists[index], &timer->link);
	mark(wheel, index);
}

/* Take TIMER out of its list.  The lock is held. */
static void unlink_timer(struct co__wheel *wheel, struct co__timer *timer)
{
	struct co__list *next = timer->link.next;

	co__list_remove(&timer->link);
	/* If the list is empty, its head is `next'. */
	if (next->next == next)
		unmark(wheel, (unsigned)(next - wheel->lists));
}

/* The first list of LEVEL that isn't empty, or CO__WHEEL_LISTS. */
static unsigned first_of(const struct co__wheel *wheel, unsigned level)
{
	unsigned word = CO__WHEEL_NEAR / 64 + level - 1;

	if (level == 0) {
		if (wheel->near == 0)
			return CO__WHEEL_LISTS;
		word = (unsigned)__builtin_ctzll(wheel->near);
	}
	if (wheel->occupied[word] == 0)
		return CO__WHEEL_LISTS;

	return word * 64 + (unsigned)__builtin_ctzll(wheel->occupied[word]);
}

/* The earliest list that isn't empty: the tick at which it begins, and its
 * index.  UINT64_MAX if all are empty.  The lock is held.
 *
 * Lower levels are earlier, with one exception: the list of a higher level that
 * begins just now, and from which not all have been taken yet. */
static uint64_t earliest(const struct co__wheel *wheel, unsigned *ret_index)
{
	uint64_t first = UINT64_MAX;

	for (unsigned level = 0; level < CO__WHEEL_LEVELS; level++) {
		unsigned shift = shift_of(level), above = shift_of(level + 1);
		unsigned index = first_of(wheel, level);
		uint64_t slot, tick;

		if (index == CO__WHEEL_LISTS)
			continue;
		slot = level == 0 ? index : index % CO__WHEEL_SLOTS;
		tick = (wheel->now >> above << above) | slot << shift;
		if (tick < first) {
			first = tick;
			*ret_index = index;
		}
	}

	return first;
}

co_time co__wheel_next(struct co__wheel *wheel)
{
	unsigned index;
	uint64_t tick;

	if (AO_load(&wheel->count) == 0)
		return CO_NEVER;
	co__spin_acquire(&wheel->lock);
	tick = earliest(wheel, &index);
	co__spin_release(&wheel->lock);

	return tick > (uint64_t)CO_NEVER >> CO__TICK_SHIFT ? CO_NEVER
			: (co_time)(tick << CO__TICK_SHIFT);
}

/* Tell the task of TIMER, which has gone off, or let it go off again at the
 * deadline that the task has by now.  The lock is held, TIMER is in no list.
 * Returns whether the task was claimed; then it is the caller's. */
static bool go_off(struct co__wheel *wheel, struct co__timer *timer,
		co_time now)
{
	struct co_task *task = timer->task;
	co_time deadline;
	AO_t word, next;
	bool armed, due;

	do {
		/* Acquire: wait_deadline is that of the armed wait. */
		word = AO_load_acquire(&task->wait);
		armed = (word & CO__WAIT_ARMED) && !(word & CO__WAIT_DEAF);
		deadline = armed ? co__atomic_load_wide(task->wait_deadline)
				: CO_NEVER;
		due = armed && deadline <= now;
		next = (due ? co__wait_claimed(word) : word)
				| CO__WAIT_EXPIRED;
		/* Acquire and release: as co__wait_claim. */
	} while (!AO_compare_and_swap_full(&task->wait, word, next));
	if (armed && !due && deadline != CO_NEVER) {
		timer->tick = tick_of(deadline);
		link_timer(wheel, timer);
		return false;
	}
	CO__PROBE2(timer, task, due);
	AO_store(&wheel->count, AO_load(&wheel->count) - 1);
	/* Release: TIMER is untouched from here; pairs with unset. */
	AO_store_release(&task->wheel, 0);
	if (due)
		task->outcome = -ETIMEDOUT;

	return due;
}

/* Have the memory fetched that TASK needs to be told, and to run. */
static inline void prefetch(const struct co_task *task)
{
	__builtin_prefetch(task, 1);
	__builtin_prefetch(&task->kind, 1);
}

/* Take timers out of the list at INDEX: those that go off now, at most BATCH,
 * to TIMERS, the others to lists of lower levels.  Returns the number of the
 * former.  The lock is held. */
static unsigned take_batch(struct co__wheel *wheel, unsigned index,
		struct co__timer **timers)
{
	struct co__list *list = &wheel->lists[index];
	unsigned n = 0;

	while (n < BATCH && !co__list_is_empty(list)) {
		struct co__timer *timer = timer_of(list->next);

		unlink_timer(wheel, timer);
		if (timer->tick > wheel->now) {
			link_timer(wheel, timer);
			continue;
		}
		prefetch(timer->task);
		timers[n++] = timer;
	}

	return n;
}

/* Let the timers of the list at INDEX go off, or move them down; all, or BATCH
 * of the former.  Claimed tasks go to TASKS.  Returns their number.  The lock
 * is held. */
static unsigned run_list(struct co__wheel *wheel, unsigned index, co_time now,
		struct co_task **tasks, unsigned *gone_off)
{
	struct co__timer *timers[BATCH];
	unsigned n = 0, count = take_batch(wheel, index, timers);

	for (unsigned i = 0; i < count; i++)
		if (go_off(wheel, timers[i], now))
			tasks[n++] = timers[i]->task;
	*gone_off += count;

	return n;
}

/* Run the wheel up to NOW, or until some tasks have been claimed.  Who finds
 * it taken leaves that to the other, which runs it; or else only sets a timer,
 * and then the next look at it is soon enough: before it sleeps, the poller
 * waits for the lock to ask when the next timer is due. */
static unsigned run_batch(struct co__wheel *wheel, co_time now,
		struct co_task **tasks, unsigned *gone_off)
{
	uint64_t until = now < 0 ? 0 : (uint64_t)now >> CO__TICK_SHIFT, tick;
	unsigned index, n = 0;

	if (!co__spin_try(&wheel->lock))
		return 0;
	while (n == 0 && (tick = earliest(wheel, &index)) <= until) {
		if (tick > wheel->now)
			wheel->now = tick;
		n = run_list(wheel, index, now, tasks, gone_off);
	}
	if (n == 0 && until > wheel->now)
		wheel->now = until;
	co__spin_release(&wheel->lock);

	return n;
}

unsigned co__wheel_run(struct co__wheel *wheel, co_time now)
{
	struct co_task *tasks[BATCH];
	unsigned n, gone_off = 0;

	if (AO_load(&wheel->count) == 0)
		return 0;
	while ((n = run_batch(wheel, now, tasks, &gone_off)) > 0)
		for (unsigned i = 0; i < n; i++)
			co__ready(tasks[i]);

	return gone_off;
}

/* Whether a timer of LIST belongs to a task that waits for a deadline, or whose
 * wait was ended by somebody who has yet to make it ready: as no worker runs a
 * task, that is the only other reason why it isn't armed. */
static bool list_is_waited_for(const struct co__list *list)
{
	for (const struct co__list *link = list->next; link != list;
			link = link->next) {
		struct co_task *task = timer_of(link)->task;

		/* Acquire: as in go_off. */
		if (!(AO_load_acquire(&task->wait) & CO__WAIT_ARMED)
				|| co__atomic_load_wide(task->wait_deadline)
				!= CO_NEVER)
			return true;
	}

	return false;
}

bool co__wheel_is_waited_for(struct co__wheel *wheel)
{
	bool found = false;

	if (AO_load(&wheel->count) == 0)
		return false;
	co__spin_acquire(&wheel->lock);
	for (unsigned word = 0; word < CO__WHEEL_LISTS / 64; word++)
		for (uint64_t bits = wheel->occupied[word];
				bits != 0 && !found; bits &= bits - 1)
			found = list_is_waited_for(&wheel->lists[word * 64
					+ (unsigned)__builtin_ctzll(bits)]);
	co__spin_release(&wheel->lock);

	return found;
}

void co__timer_unset(struct co_task *task)
{
	/* Acquire: pairs with go_off, which may be the last to touch it. */
	struct co__wheel *wheel =
			(struct co__wheel *)AO_load_acquire(&task->wheel);

	if (wheel == NULL)
		return;
	co__spin_acquire(&wheel->lock);
	if (AO_load(&task->wheel) == (AO_t)wheel) {
		unlink_timer(wheel, task->timer);
		AO_store(&wheel->count, AO_load(&wheel->count) - 1);
		AO_store(&task->wheel, 0);
	}
	co__spin_release(&wheel->lock);
}

static void clear_expired(struct co_task *task)
{
	AO_t word;

	do {
		word = AO_load(&task->wait);
	} while ((word & CO__WAIT_EXPIRED) && !AO_compare_and_swap(&task->wait,
			word, word & ~CO__WAIT_EXPIRED));
}

void co__timer_set(struct co_task *task, struct co__wheel *wheel, co_time when)
{
	struct co__timer *timer = task->timer;

	co__timer_cancel(task);
	clear_expired(task);
	task->timer_when = when;
	if (when == CO_NEVER)
		return;
	co__spin_acquire(&wheel->lock);
	timer->tick = tick_of(when);
	link_timer(wheel, timer);
	AO_store(&wheel->count, AO_load(&wheel->count) + 1);
	AO_store(&task->wheel, (AO_t)wheel);
	co__spin_release(&wheel->lock);
}
