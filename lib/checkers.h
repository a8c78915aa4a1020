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
 * is made, and AddressSanitizer's calls, as weak symbols: they are there if the
 * program was built with it.  To look for that at each switch would cost all
 * programs something; so then each switch goes by way of the scheduler, which
 * looks, and tells it.  LeakSanitizer may be there alone, and wants to know of
 * the stacks only.  ThreadSanitizer can't be told of what was compiled without
 * it.
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
/* The program's, whose header need not be here. */
extern void __sanitizer_start_switch_fiber(void **fake_stack,
		const void *bottom, size_t size)
		__attribute__((weak, visibility("default")));
extern void __lsan_register_root_region(const void *bottom, size_t size)
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

/* Whether leaks are looked for: by AddressSanitizer, or LeakSanitizer alone. */
static inline bool co__checked_for_leaks(void)
{
#if defined CO__ASAN_MAY_BE_THERE && !defined CO__ASAN
	return __lsan_register_root_region != NULL;
#else
	return CO__ASAN_ALWAYS;
#endif
}

/* A report of AddressSanitizer is made on the stack of who is to blame, and
 * wants up to 20 KiB of it. */
#define CO__CHECKED_STACK_MIN ((size_t)64 << 10)

/* The least size of a stack, beside what else is to be heeded. */
static inline size_t co__checked_stack_least(void)
{
	return co__checked_by_asan() ? CO__CHECKED_STACK_MIN : 0;
}

/* Whether each switch has to go by way of the scheduler. */
static inline bool co__checked_by_scheduler(void)
{
	return !CO__ASAN_ALWAYS && co__checked_by_asan();
}

/* One stack, as the checkers see it. */
struct co__checked {
#ifdef CO__ASAN_MAY_BE_THERE
	void *fake_stack;
	const void *bottom;
	size_t size;
#endif
#ifdef CO__TSAN_FIBERS
	void *fiber;
#endif
	char unused;
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

/* SELF is the stack that this thread was given by the system. */
static inline void co__checked_adopt(struct co__checked *self)
{
	(void)self;
#ifdef CO__ASAN_MAY_BE_THERE
	self->fake_stack = NULL;
	self->bottom = NULL;
#endif
#ifdef CO__TSAN_FIBERS
	self->fiber = __tsan_get_current_fiber();
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

/* SELF begins anew. */
static inline void co__checked_begin(struct co__checked *self)
{
	(void)self;
#ifdef CO__TSAN_FIBERS
	self->fiber = __tsan_create_fiber(0);
#endif
}

/* SELF was left for the last time; called on another stack. */
static inline void co__checked_end(struct co__checked *self)
{
	(void)self;
#ifdef CO__TSAN_FIBERS
	__tsan_destroy_fiber(self->fiber);
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
