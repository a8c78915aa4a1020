/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_CHECKERS_H
#define COLOOP_LIB_CHECKERS_H

/*
 * checkers.h - tell memory and thread checkers of stacks and switches
 *
 * AddressSanitizer and ThreadSanitizer follow the stack pointer and the
 * synchronisation of a thread; a switch must be announced to them.  valgrind
 * must know what is a stack.  In a normal build all of it is empty, but for
 * valgrind's requests, which cost a few nops when a stack is made.
 */

#include <stddef.h>

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

#ifdef CO__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef CO__TSAN_FIBERS
#include <sanitizer/tsan_interface.h>
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

/* One stack, as the checkers see it. */
struct co__checked {
#ifdef CO__ASAN
	void *fake_stack;
	const void *bottom;
	size_t size;
#endif
#ifdef CO__TSAN_FIBERS
	void *fiber;
#endif
	char unused;
};

/* SELF is the stack that this thread was given by the system. */
static inline void co__checked_adopt(struct co__checked *self)
{
	(void)self;
#ifdef CO__ASAN
	self->fake_stack = NULL;
	self->bottom = NULL;
#endif
#ifdef CO__TSAN_FIBERS
	self->fiber = __tsan_get_current_fiber();
#endif
}

/* SELF is a new stack of SIZE bytes at BOTTOM, about to be used first. */
static inline void co__checked_begin(struct co__checked *self, void *bottom,
		size_t size)
{
	(void)self;
	(void)bottom;
	(void)size;
#ifdef CO__ASAN
	__asan_unpoison_memory_region(bottom, size);
	self->fake_stack = NULL;
	self->bottom = bottom;
	self->size = size;
#endif
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

/* The next instructions switch from SELF to NEXT; LAST: never back. */
static inline void co__checked_leave(struct co__checked *self,
		const struct co__checked *next, int last)
{
	(void)self;
	(void)next;
	(void)last;
#ifdef CO__TSAN_FIBERS
	__tsan_switch_to_fiber(next->fiber, 0);
#endif
#ifdef CO__ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &self->fake_stack,
			next->bottom, next->size);
#endif
}

/* SELF is running; PREVIOUS, if not NULL, is the system's stack of this
 * thread, whose bounds are known from now on. */
static inline void co__checked_enter(struct co__checked *self,
		struct co__checked *previous)
{
	(void)self;
	(void)previous;
#ifdef CO__ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
	if (previous != NULL && previous->bottom == NULL) {
		previous->bottom = bottom;
		previous->size = size;
	}
#endif
}

/* There is a stack from BOTTOM to TOP.  Returns what _stack_gone() wants. */
static inline unsigned co__checked_stack_made(void *bottom, void *top)
{
	(void)bottom;
	(void)top;
#ifdef CO__ASAN
	/* What only a parked stack points to isn't leaked. */
	__lsan_register_root_region(bottom, (size_t)((char *)top
			- (char *)bottom));
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
	return (unsigned)VALGRIND_STACK_REGISTER(bottom, top);
#else
	return 0;
#endif
}

static inline void co__checked_stack_gone(unsigned id, void *bottom, void *top)
{
	(void)id;
	(void)bottom;
	(void)top;
#ifdef CO__ASAN
	__lsan_unregister_root_region(bottom, (size_t)((char *)top
			- (char *)bottom));
	__asan_unpoison_memory_region(bottom, (size_t)((char *)top
			- (char *)bottom));
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
	VALGRIND_STACK_DEREGISTER(id);
#endif
}

#endif
