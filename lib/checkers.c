/* SPDX-License-Identifier: MIT */

/* checkers.c - what AddressSanitizer is told; see checkers.h */

#include "checkers.h"

#ifdef CO__ASAN_MAY_BE_THERE

#ifdef CO__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
/* As in checkers.h.  Where one of a sanitizer is, the others are. */
#define OF_PROGRAM __attribute__((weak, visibility("default")))
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
