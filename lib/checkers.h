/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_CHECKERS_H
#define COLOOP_LIB_CHECKERS_H

/*
 * checkers.h - tell memory and thread checkers of stacks and switches
 *
 * AddressSanitizer and ThreadSanitizer follow the stack pointer and the
 * synchronisation of a thread; a switch must be announced to them.  valgrind
 * must know what is a stack.
 *
 * A normal build knows valgrind's requests, which cost a few nops when a stack
 * is made, and the calls of the sanitizers, as weak symbols: they are there if
 * the program was built with one.  To look for that at each switch would cost
 * all programs something; so then each switch goes by way of the scheduler,
 * which looks, and tells it.  LeakSanitizer may be there alone, and wants to
 * know of the stacks only.
 *
 * ThreadSanitizer sees neither the library's atomic operations nor its plain
 * accesses, but what it has the C library do, such as to copy an item.  So it
 * is told, beside the switches, of what orders a program's own accesses.  What
 * was done before a _release is seen after an _acquire of the same address:
 *
 *   a strand              who held it          who holds it next
 *   co_queue, co_stack    who puts             who gets
 *   a task's `checked'    who wakes it         the task, when it goes on
 *   a task's `joined'     its end              who joins it; and the next task
 *                                              in the same memory
 *   a blocking call       who makes it         the thread that carries it out
 *   a co_io               who uses it          who closes it
 *   a watched one         who has it watched   ready(), and who ends the watch
 *   a loop's `visitors'   who tells it things  who destroys it
 *
 * What a task did is also seen by the hook that acts for it when it was left.
 * Nothing is said of co_yield, and nothing that came before is seen by who only
 * follows in the same thread, or by the scheduler, which wakes others by the
 * clock and for events: else tasks would seem to be in an order that they only
 * happened to have.  So a worker has two fibers, one that its hooks seem to run
 * on and the scheduler's.  Threads, mutexes, and what goes through a descriptor
 * it sees by itself.
 */

#include <stdbool.h>
#include <stddef.h>

#include "assert.h"

#if defined __SANITIZE_ADDRESS__
#define CO__ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define CO__ASAN 1
#endif
#endif
#if defined CO_EXPLORE || defined CO_COUNT
/* The sanitizer's calls are answered elsewhere: see atomic.h. */
#elif defined __SANITIZE_THREAD__
#define CO__TSAN_FIBERS 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define CO__TSAN_FIBERS 1
#endif
#endif

/* AddressSanitizer is there, may be, isn't. */
#if defined CO__ASAN
#define CO__ASAN_ALWAYS true
#define CO__ASAN_MAY_BE_THERE 1
#else
#define CO__ASAN_ALWAYS false
#if !defined CO__TSAN_FIBERS && !defined CO_EXPLORE && !defined CO_COUNT \
		&& defined __ELF__
#define CO__ASAN_MAY_BE_THERE 1
#define CO__TSAN_MAY_BE_THERE 1
/* The program's, whose header need not be here. */
extern void __sanitizer_start_switch_fiber(void **fake_stack,
		const void *bottom, size_t size)
		__attribute__((weak, visibility("default")));
extern void __lsan_register_root_region(const void *bottom, size_t size)
		__attribute__((weak, visibility("default")));
extern void __tsan_switch_to_fiber(void *fiber, unsigned flags)
		__attribute__((weak, visibility("default")));
#endif
#endif

#ifdef CO__TSAN_FIBERS
#include <sanitizer/tsan_interface.h>
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

/* Whether AddressSanitizer checks this program. */
static inline bool co__checked_by_asan(void)
{
#if defined CO__ASAN_MAY_BE_THERE && !defined CO__ASAN
	return __sanitizer_start_switch_fiber != NULL;
#else
	return CO__ASAN_ALWAYS;
#endif
}

/* Whether ThreadSanitizer checks this program, and has to be told what it can't
 * see. */
static inline bool co__checked_by_tsan(void)
{
#ifdef CO__TSAN_MAY_BE_THERE
	return __tsan_switch_to_fiber != NULL;
#else
	return false;
#endif
}

/* Whether leaks are looked for: by AddressSanitizer, or LeakSanitizer alone. */
static inline bool co__checked_for_leaks(void)
{
#if defined CO__ASAN_MAY_BE_THERE && !defined CO__ASAN
	return __lsan_register_root_region != NULL;
#else
	return CO__ASAN_ALWAYS;
#endif
}

/* A report of a sanitizer is made on the stack of who is to blame, and wants up
 * to 20 KiB of it. */
#define CO__CHECKED_STACK_MIN ((size_t)64 << 10)

/* The least size of a stack, beside what else is to be heeded. */
static inline size_t co__checked_stack_least(void)
{
	return co__checked_by_asan() || co__checked_by_tsan()
			? CO__CHECKED_STACK_MIN : 0;
}

/* Whether each switch has to go by way of the scheduler. */
static inline bool co__checked_by_scheduler(void)
{
	return !CO__ASAN_ALWAYS
			&& (co__checked_by_asan() || co__checked_by_tsan());
}

/* One stack, as the checkers see it. */
struct co__checked {
#ifdef CO__ASAN_MAY_BE_THERE
	union {
		void *fake_stack;	/* AddressSanitizer's */
		void *hooks;		/* a fiber, for the system's stack */
	};
	const void *bottom;
	size_t size;		/* 0: the system's, or not known */
#endif
	void *fiber;
};

#ifdef CO__ASAN_MAY_BE_THERE
/* What the functions below have done where it is there: checkers.c. */
void co__asan_leave(struct co__checked *self, const struct co__checked *next,
		bool last) __attribute__((cold));
void co__asan_enter(struct co__checked *self, struct co__checked *previous)
		__attribute__((cold));
void co__asan_leave_system(struct co__checked *self) __attribute__((cold));
void co__asan_stack_made(const void *bottom, const void *end);
void co__asan_stack_gone(struct co__checked *self, const void *bottom,
		const void *end);
#endif
#ifdef CO__TSAN_MAY_BE_THERE
void co__tsan_adopt(struct co__checked *self) __attribute__((cold));
void co__tsan_leave_system(struct co__checked *self) __attribute__((cold));
void co__tsan_begin(struct co__checked *self, const void *end)
		__attribute__((cold));
void co__tsan_end(struct co__checked *self, const void *end)
		__attribute__((cold));
void co__tsan_leave(const struct co__checked *next) __attribute__((cold));
void co__tsan_end_hook(const struct co__checked *self) __attribute__((cold));
void co__tsan_acquire(const void *at) __attribute__((cold));
void co__tsan_release(const void *at) __attribute__((cold));
#endif

/* See above; AT is only an address. */
static inline void co__checked_acquire(const void *at)
{
	(void)at;
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__unlikely(co__checked_by_tsan()))
		co__tsan_acquire(at);
#endif
}

static inline void co__checked_release(const void *at)
{
	(void)at;
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__unlikely(co__checked_by_tsan()))
		co__tsan_release(at);
#endif
}

/* SELF is the stack that this thread was given by the system. */
static inline void co__checked_adopt(struct co__checked *self)
{
	(void)self;
#ifdef CO__ASAN_MAY_BE_THERE
	self->fake_stack = NULL;
	self->bottom = NULL;
	self->size = 0;
#endif
#ifdef CO__TSAN_FIBERS
	self->fiber = __tsan_get_current_fiber();
#endif
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__checked_by_tsan())
		co__tsan_adopt(self);
#endif
}

/* SELF, which was adopted, is of no interest any more. */
static inline void co__checked_leave_system(struct co__checked *self)
{
	(void)self;
#ifdef CO__ASAN_MAY_BE_THERE
	if (co__checked_by_asan())
		co__asan_leave_system(self);
#endif
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__checked_by_tsan())
		co__tsan_leave_system(self);
#endif
}

/* SELF is a stack from BOTTOM to TOP. */
static inline void co__checked_init(struct co__checked *self,
		const void *bottom, const void *top)
{
	(void)self;
	(void)bottom;
	(void)top;
#ifdef CO__ASAN_MAY_BE_THERE
	self->fake_stack = NULL;
	self->bottom = bottom;
	self->size = (size_t)((const char *)top - (const char *)bottom);
#endif
}

/* SELF begins anew; END is what was given at its last end, if there was one.
 * Returns whether it is to be told who makes SELF run. */
static inline bool co__checked_begin(struct co__checked *self, const void *end)
{
	(void)self;
	(void)end;
#ifdef CO__TSAN_FIBERS
	self->fiber = __tsan_create_fiber(0);
#endif
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__unlikely(co__checked_by_tsan())) {
		co__tsan_begin(self, end);
		return true;
	}
#endif
	return false;
}

/* SELF was left for the last time; called on another stack.  END is what tells
 * of that. */
static inline void co__checked_end(struct co__checked *self, const void *end)
{
	(void)self;
	(void)end;
#ifdef CO__TSAN_FIBERS
	__tsan_destroy_fiber(self->fiber);
#endif
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__unlikely(co__checked_by_tsan()))
		co__tsan_end(self, end);
#endif
}

/* The next instructions switch from SELF to NEXT; LAST: never back.  DIRECT:
 * from task to task.  Always inline: ThreadSanitizer notes the functions that
 * are entered and left, and one that is entered on SELF must not be left on
 * NEXT. */
static co__always_inline void co__checked_leave(struct co__checked *self,
		const struct co__checked *next, bool last, bool direct)
{
	(void)self;
	(void)next;
	(void)last;
	(void)direct;
#ifdef CO__TSAN_FIBERS
	__tsan_switch_to_fiber(next->fiber, 0);
#endif
#ifdef CO__ASAN_MAY_BE_THERE
	if (direct ? CO__ASAN_ALWAYS : co__unlikely(co__checked_by_asan()))
		co__asan_leave(self, next, last);
#endif
#ifdef CO__TSAN_MAY_BE_THERE
	if (!direct && co__unlikely(co__checked_by_tsan()))
		co__tsan_leave(next);
#endif
}

/* SELF is running, after such a switch; PREVIOUS, if not NULL, is the system's
 * stack of this thread, whose bounds are known from now on. */
static inline void co__checked_enter(struct co__checked *self,
		struct co__checked *previous, bool direct)
{
	(void)self;
	(void)previous;
	(void)direct;
#ifdef CO__ASAN_MAY_BE_THERE
	if (direct ? CO__ASAN_ALWAYS : co__unlikely(co__checked_by_asan()))
		co__asan_enter(self, previous);
#endif
}

/* The hook of the task that was left for SELF, the system's stack, is done. */
static inline void co__checked_end_hook(const struct co__checked *self)
{
	(void)self;
#ifdef CO__TSAN_MAY_BE_THERE
	if (co__unlikely(co__checked_by_tsan()))
		co__tsan_end_hook(self);
#endif
}

/* There is a stack from BOTTOM to TOP; from there to END is what may also point
 * to memory.  Returns what _stack_gone() wants. */
static inline unsigned co__checked_stack_made(void *bottom, void *top,
		void *end)
{
	(void)bottom;
	(void)top;
	(void)end;
#ifdef CO__ASAN_MAY_BE_THERE
	if (co__checked_for_leaks())
		co__asan_stack_made(bottom, end);
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
	return (unsigned)VALGRIND_STACK_REGISTER(bottom, top);
#else
	return 0;
#endif
}

/* SELF, that stack, isn't there any more; perhaps somebody was on it. */
static inline void co__checked_stack_gone(struct co__checked *self, unsigned id,
		void *bottom, void *end)
{
	(void)self;
	(void)id;
	(void)bottom;
	(void)end;
#ifdef CO__ASAN_MAY_BE_THERE
	if (co__checked_for_leaks())
		co__asan_stack_gone(self, bottom, end);
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
	VALGRIND_STACK_DEREGISTER(id);
#endif
}

#endif
