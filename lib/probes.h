/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_PROBES_H
#define COLOOP_LIB_PROBES_H

/*
 * probes.h - places where a tracer may look on: static probes of SystemTap,
 * which bpftrace, perf and gdb know as well
 *
 * provider coloop:
 *
 *   probe    arguments               when
 *
 *   spawn    task, fn, loop          a task has been made
 *   begin    task, fn                it runs for the first time
 *   park     task, kind, object      it is about to wait: enum co__wait_kind
 *   ready    task, outcome           its wait is over, and it may run
 *   resume   task, outcome           it goes on after the wait
 *   end      task, result            its function has returned
 *   steal    thief, victim, count    workers, by index; tasks taken
 *   poll     loop, timeout, events   the system was asked: nanoseconds or -1
 *   timer    task, due               its timer went off; due: and ended a wait
 *
 * One is a nop, and a note that says where it is and in which registers or
 * memory its arguments are.  So give only what is at hand there: what must be
 * worked out is worked out each time.
 */

#if defined CO_PROBES && !defined CO_EXPLORE
#ifdef __clang__
/* Given the choice, it stores each register to have it in memory. */
#define STAP_SDT_ARG_CONSTRAINT nr
#endif
#include <sys/sdt.h>
#define CO__PROBE2(name, a, b) DTRACE_PROBE2(coloop, name, a, b)
#define CO__PROBE3(name, a, b, c) DTRACE_PROBE3(coloop, name, a, b, c)
#else
#define CO__PROBE2(name, a, b) ((void)(a), (void)(b))
#define CO__PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
