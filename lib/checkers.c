/* SPDX-License-Identifier: MIT */

/* checkers.c - what the sanitizers are told; see checkers.h */

#include "checkers.h"

/* In a normal build they are the program's.  Where one of a sanitizer is, the
 * others are. */
#define OF_PROGRAM __attribute__((weak, visibility("default")))

#ifdef CO__ASAN_MAY_BE_THERE

#ifdef CO__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
extern void __sanitizer_finish_switch_fiber(void *fake_stack,
		const void **ret_bottom, size_t *ret_size) OF_PROGRAM;
extern void __asan_unpoison_memory_region(const volatile void *bottom,
		size_t size) OF_PROGRAM;
extern void __lsan_unregister_root_region(const void *bottom, size_t size)
		OF_PROGRAM;
#endif

void co__asan_leave(struct co__checked *self, const struct co__checked *next,
		bool last)
{
	/* What runs here next finds the stack as if nobody had used it. */
	if (last) {
		__asan_unpoison_memory_region(self->bottom, self->size);
		self->fake_stack = NULL;
	}
	__sanitizer_start_switch_fiber(last ? NULL : &self->fake_stack,
			next->bottom, next->size);
}

void co__asan_enter(struct co__checked *self, struct co__checked *previous)
{
	const void *bottom = NULL;
	size_t size = 0;

	__sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
	/* Of a thread that was made behind its back it knows nothing. */
	if (previous != NULL && previous->bottom == NULL && bottom != NULL) {
		previous->bottom = bottom;
		previous->size = size;
		/* While the thread is on another stack, this one is none that
		 * it looks for pointers in. */
		__lsan_register_root_region(bottom, size);
	}
}

void co__asan_leave_system(struct co__checked *self)
{
	if (self->bottom != NULL)
		__lsan_unregister_root_region(self->bottom, self->size);
	self->bottom = NULL;
}

/* Let go of what belongs to SELF, a stack that was left but not for the last
 * time: only who is on it can, so seem to be there for a moment. */
static void drop_fake_stack(struct co__checked *self)
{
	void *fake_stack = NULL;
	const void *bottom = NULL;
	size_t size = 0;

	__sanitizer_start_switch_fiber(&fake_stack, self->bottom, self->size);
	__sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
	__sanitizer_start_switch_fiber(NULL, bottom, size);
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
	self->fake_stack = NULL;
}

static size_t size_of(const void *bottom, const void *end)
{
	return (size_t)((const char *)end - (const char *)bottom);
}

void co__asan_stack_made(const void *bottom, const void *end)
{
	/* What only a parked stack points to isn't leaked. */
	__lsan_register_root_region(bottom, size_of(bottom, end));
}

void co__asan_stack_gone(struct co__checked *self, const void *bottom,
		const void *end)
{
	__lsan_unregister_root_region(bottom, size_of(bottom, end));
	if (!co__checked_by_asan())
		return;
	if (self->fake_stack != NULL)
		drop_fake_stack(self);
	__asan_unpoison_memory_region(bottom, size_of(bottom, end));
}

#else

/* A file without anything isn't C. */
typedef int co__no_asan;

#endif

#ifdef CO__TSAN_MAY_BE_THERE

extern void *__tsan_get_current_fiber(void) OF_PROGRAM;
extern void *__tsan_create_fiber(unsigned flags) OF_PROGRAM;
extern void __tsan_destroy_fiber(void *fiber) OF_PROGRAM;
extern void __tsan_acquire(void *at) OF_PROGRAM;
extern void __tsan_release(void *at) OF_PROGRAM;

/* Whether what the fiber did that is left is seen by the next. */
enum { IN_ORDER = 0, IN_NO_ORDER = 1 };

void co__tsan_acquire(const void *at)
{
	__tsan_acquire((void *)at);
}

void co__tsan_release(const void *at)
{
	__tsan_release((void *)at);
}

void co__tsan_adopt(struct co__checked *self)
{
	self->fiber = __tsan_get_current_fiber();
	self->hooks = __tsan_create_fiber(0);
}

void co__tsan_leave_system(struct co__checked *self)
{
	/* What hooks did is over before whatever the thread does next. */
	__tsan_switch_to_fiber(self->hooks, IN_NO_ORDER);
	__tsan_switch_to_fiber(self->fiber, IN_ORDER);
	__tsan_destroy_fiber(self->hooks);
}

void co__tsan_begin(struct co__checked *self, const void *end)
{
	void *here = __tsan_get_current_fiber();

	self->fiber = __tsan_create_fiber(0);
	/* Only who runs there can see anything, so seem to for a moment. */
	__tsan_switch_to_fiber(self->fiber, IN_NO_ORDER);
	co__tsan_acquire(end);
	__tsan_switch_to_fiber(here, IN_NO_ORDER);
}

void co__tsan_end(struct co__checked *self, const void *end)
{
	co__tsan_release(end);
	__tsan_destroy_fiber(self->fiber);
}

void co__tsan_leave(const struct co__checked *next)
{
	if (next->size == 0) {
		__tsan_switch_to_fiber(next->hooks, IN_ORDER);
	} else {
		__tsan_switch_to_fiber(next->fiber, IN_NO_ORDER);
		co__tsan_acquire(next);
	}
}

void co__tsan_end_hook(const struct co__checked *self)
{
	__tsan_switch_to_fiber(self->fiber, IN_NO_ORDER);
}

#endif
