/* SPDX-License-Identifier: MIT */

/* fault.c - which call fails, and what the library has: see fault.h */

#include "fault.h"

#include <atomic_ops.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ERRORS_MAX = 24 };

/* A row of calls.inc. */
struct row {
	enum fault_call call;
	int outcome;
	const char *names;
	int errors[ERRORS_MAX];		/* until 0 */
};

static const struct row rows[] = {
#define FAULTS(call, outcome, ...)                                           \
	{ FAULT_##call, outcome, #__VA_ARGS__, { __VA_ARGS__ } },
#include "calls.inc"
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const char *const call_names[FAULT_CALLS] = {
	[FAULT_NONE] = "nothing",
#define CALL(call, symbol, pages) [FAULT_##call] = #call,
#include "calls.inc"
};

static struct {
	struct fault fault;		/* constant while armed */
	size_t first, last;		/* constant while armed: its calls */
	void (*hook)(void *arg);	/* constant while armed; or NULL */
	void *hook_arg;			/* constant while armed */
	volatile AO_t armed;		/* atomic: the fields above count */
	volatile AO_t fired;		/* atomic: calls that have failed */
	volatile AO_t calls[FAULT_CALLS];	/* atomic */
	volatile AO_t always[FAULT_CALLS];	/* atomic: an error, or 0 */
	volatile AO_t counted[FAULT_COUNTED];	/* atomic */
} state;

const struct fault *fault_list(size_t *ret_count)
{
	static struct fault list[FAULTS_MAX];
	size_t n = 0, row, i;

	for (row = 0; row < ROWS; row++)
		for (i = 0; rows[row].errors[i] != 0 && n < FAULTS_MAX; i++)
			list[n++] = (struct fault){ rows[row].call,
				rows[row].errors[i], rows[row].outcome };
	*ret_count = n;

	return list;
}

const char *fault_call_name(enum fault_call call)
{
	return call_names[call];
}

/* Number INDEX of the names in LIST, which are separated by commas. */
static const char *name_in(const char *list, size_t index)
{
	static char name[32];

	for (; index > 0; index--)
		list = strchr(list, ',') + 1;
	list += strspn(list, " ");
	snprintf(name, sizeof name, "%.*s", (int)strcspn(list, ","), list);

	return name;
}

const char *fault_error_name(int error)
{
	static char number[16];
	size_t row, i;

	for (row = 0; row < ROWS; row++)
		for (i = 0; rows[row].errors[i] != 0; i++)
			if (rows[row].errors[i] == error)
				return name_in(rows[row].names, i);
	snprintf(number, sizeof number, "%d", error);

	return number;
}

void fault_arm(const struct fault *fault, size_t nth, size_t times)
{
	state.fault = *fault;
	state.first = AO_load(&state.calls[fault->call]) + nth;
	state.last = state.first + times - 1;
	AO_store(&state.fired, 0);
	AO_store_release(&state.armed, 1);	/* pairs with is_due() */
}

void fault_set_hook(void (*hook)(void *arg), void *arg)
{
	state.hook = hook;
	state.hook_arg = arg;
}

size_t fault_fired(void)
{
	return AO_load(&state.fired);
}

size_t fault_disarm(void)
{
	AO_store(&state.armed, 0);

	return fault_fired();
}

void fault_always(enum fault_call call, int error)
{
	AO_store(&state.always[call], (AO_t)error);
}

size_t fault_calls(enum fault_call call)
{
	return AO_load(&state.calls[call]);
}

/* Whether the fault that is armed is for the CALL that is number NUMBER of its
 * kind. */
static bool is_due(enum fault_call call, size_t number)
{
	if (!AO_load_acquire(&state.armed))	/* pairs with fault_arm() */
		return false;

	return state.fault.call == call && number >= state.first
			&& number <= state.last;
}

int fault_hit(enum fault_call call, bool can_be_partial)
{
	size_t number;

	if (!can_be_partial && AO_load_acquire(&state.armed)  /* as above */
			&& state.fault.call == call
			&& state.fault.error == PARTIAL)
		return 0;
	number = AO_fetch_and_add1(&state.calls[call]) + 1;
	if (!is_due(call, number))
		return (int)AO_load(&state.always[call]);
	AO_fetch_and_add1(&state.fired);
	if (state.hook != NULL)
		state.hook(state.hook_arg);

	return state.fault.error;
}

void fault_count(enum fault_counted what, size_t amount)
{
	AO_fetch_and_add(&state.counted[what], amount);
}

static size_t count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t n = 0;

	if (directory == NULL)
		return 0;
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);

	return n;
}

struct fault_balance fault_balance(void)
{
	return (struct fault_balance){
		.blocks = AO_load(&state.counted[BLOCKS]),
		.bytes = AO_load(&state.counted[BYTES]),
		.mapped = AO_load(&state.counted[MAPPED]),
		.threads = AO_load(&state.counted[THREADS]),
		.objects = AO_load(&state.counted[OBJECTS]),
		.fds = count_fds(),
		.misuses = AO_load(&state.counted[MISUSES]),
	};
}
