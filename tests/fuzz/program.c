/* SPDX-License-Identifier: MIT */

/* program.c - see program.h */

#include "program.h"

#include <string.h>

#include "fuzz.h"
#include "model.h"

co_time program_length(uint8_t b)
{
	if (b >= 0xf8)
		return b == 0xff ? CO_NEVER : (co_time)b - 0xfd;

	/* 1 to 8 times 1, 4, 16 ... nanoseconds. */
	return (co_time)(1 + b % 8) << b / 8 * 2 % 44;
}

co_time program_short_length(uint8_t b)
{
	return b == 0xff ? CO_NEVER : (co_time)(b % 8) << b / 8 % 16;
}

static void read_channels(struct program *program, struct fuzz_bytes *bytes)
{
	static const size_t sizes[] = { 8, 2, 40, 0 };

	for (unsigned i = 0; i < HISTORY_CHANNELS; i++) {
		uint8_t byte = fuzz_take(bytes);

		program->capacities[i] = byte % (CAPACITY_MAX + 1);
		program->item_sizes[i] = sizes[byte / 16 % 4];
	}
}

static void read_step(struct program *program, struct fuzz_bytes *bytes)
{
	uint8_t byte = fuzz_take(bytes);
	unsigned task = byte % HISTORY_TASKS;
	struct step *step = &program->steps[task][program->counts[task]++];

	step->operation = (enum operation)(byte / HISTORY_TASKS % OPERATIONS);
	step->a = fuzz_take(bytes);
	step->b = fuzz_take(bytes);
}

static void find_owners(struct program *program)
{
	for (unsigned task = 0; task < HISTORY_TASKS; task++)
		program->owners[task] = NO_OWNER;
	for (unsigned actor = 0; actor < HISTORY_TASKS; actor++) {
		for (unsigned i = 0; i < program->counts[actor]; i++) {
			const struct step *step = &program->steps[actor][i];
			unsigned task = step_task(step);

			if (step->operation == DO_RESUME)
				program->resumed[task] = true;
			if ((step->operation == DO_JOIN
					|| step->operation == DO_DETACH)
					&& program->owners[task] == NO_OWNER)
				program->owners[task] = actor;
		}
	}
}

void program_read(struct program *program, const uint8_t *data, size_t size,
		bool several)
{
	static const unsigned threads[] = { 2, 2, 3, 4 };
	struct fuzz_bytes bytes = { data, size };
	uint8_t byte = fuzz_take(&bytes);

	memset(program, 0, sizeof *program);
	program->backend = byte % 2 ? "poll" : "epoll";
	program->threads = several ? threads[byte / 2 % 4] : 1;
	program->start = (co_time)(byte / 2 % 16) * 17123456789;
	program->lateness = (co_time)(byte / 32) * 9876;
	program->at_once = fuzz_take(&bytes);
	read_channels(program, &bytes);
	for (unsigned i = 0; i < PROGRAM_STEPS && bytes.left > 0; i++)
		read_step(program, &bytes);
	find_owners(program);
}
