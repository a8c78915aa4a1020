/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BENCH_COUNT_LINES_H
#define COLOOP_BENCH_COUNT_LINES_H

/*
 * lines.h - what the lines that move belong to
 */

#include <stdint.h>

struct co_loop;

/* Call VISIT for each part of LOOP whose lines have moved. */
void count_each_part(struct co_loop *loop,
		void (*visit)(const char *part, uint64_t moves));

#endif
