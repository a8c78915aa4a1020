/* SPDX-License-Identifier: MIT */

/* frame.c - see frame.h */

#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loop.h"
#include "timer.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102		/* Linux 6.13 */
#endif
#ifndef MAP_STACK
#define MAP_STACK 0
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define SLAB_MIN ((size_t)4 << 20)	/* bytes of the first slab of a size */
/* None grows larger than this, unless by a single stack. */
#if SIZE_MAX > 0xffffffff
#define SLAB_MAX ((size_t)8 << 30)
#else
#define SLAB_MAX ((size_t)64 << 20)
#endif
#define COLOUR 128u			/* bytes */

/* With more of them, the control block, a buffer of 2 KiB and the calls that
 * lead to a wait would not always be in one page. */
#define COLOURS 8u
#define BATCH 8u			/* frames made at once */

static size_t page_size;		/* constant after probe_guards */
static bool guards_are_advice;		/* constant after probe_guards */
static pthread_once_t probed = PTHREAD_ONCE_INIT;

/* Whether the page at ADDRESS can't be read: the kernel says so to write(2),
 * and nobody gets a signal. */
static bool is_unreadable(const void *address)
{
	int ends[2];
	bool refused;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	refused = write(ends[1], address, 1) < 0 && errno == EFAULT;
	close(ends[0]);
	close(ends[1]);

	return refused;
}

/* Find out whether guard regions work.  Emulators answer 0 to advice that they
 * don't know, so the answer alone proves nothing. */
static void probe_guards(void)
{
	void *page;

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	page = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return;
	if (madvise(page, page_size, MADV_GUARD_INSTALL) == 0)
		guards_are_advice = is_unreadable(page);
	munmap(page, page_size);
}

/* Of locked memory, see mlockall(2), the system takes no advice. */
static int install_guard(struct co_loop *loop, char *base)
{
	int rc = -1;

	if (guards_are_advice)
		rc = madvise(base, page_size, MADV_GUARD_INSTALL);
	if (rc < 0)
		rc = mprotect(base, page_size, PROT_NONE);
	if (rc < 0 && !(loop->flags & CO_LOOP_UNGUARDED_STACKS))
		return -ENOMEM;

	return 0;
}

size_t co__frame_page_size(void)
{
	return page_size;
}

unsigned co__frame_class(size_t size)
{
	/* Beside the guard page there is at least another. */
	size_t least = 2 * (size_t)sysconf(_SC_PAGESIZE);
	unsigned size_class = CO__STACK_CLASS_MIN;

	if (least < co__checked_stack_least())
		least = co__checked_stack_least();
	if (size < ((size_t)1 << CO__STACK_CLASS_MIN)
			|| size > ((size_t)1 << CO__STACK_CLASS_MAX))
		return 0;
	while (((size_t)1 << size_class) < size
			|| ((size_t)1 << size_class) < least)
		size_class++;

	return size_class;
}

/* The control block in frame number INDEX of SLAB. */
static struct co_task *frame_task(const struct co__slab *slab, size_t index)
{
	size_t size = (size_t)1 << slab->size_class;
	size_t block = (sizeof(struct co_task) + 63) & ~(size_t)63;
	char *top = slab->base + (index + 1) * size;

	return (void *)(top - (index % COLOURS) * COLOUR - block);
}

/* The bytes of a slab of COUNT frames and their timers. */
static size_t slab_size(size_t count, unsigned size_class)
{
	size_t timers = count * sizeof(struct co__timer);

	return (count << size_class)
			+ (timers + page_size - 1) / page_size * page_size;
}

/* The timer of frame number INDEX of SLAB: they lie behind the last frame. */
static struct co__timer *frame_timer(const struct co__slab *slab, size_t index)
{
	char *timers = slab->base + (slab->count << slab->size_class);

	return (struct co__timer *)(void *)timers + index;
}

/* Map COUNT frames, or as many as there is room for. */
static char *map_frames(unsigned size_class, size_t *count)
{
	for (; *count > 0; *count /= 2) {
		void *base = mmap(NULL, slab_size(*count, size_class),
				PROT_READ | PROT_WRITE, MAP_PRIVATE
				| MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
				-1, 0);

		if (base != MAP_FAILED)
			return base;
	}

	return NULL;
}

/* A slab of SIZE_CLASS larger than LAST, which may be NULL. */
static struct co__slab *make_slab(struct co_loop *loop, unsigned size_class,
		const struct co__slab *last)
{
	size_t most = SLAB_MAX >> size_class;
	size_t count = last != NULL ? last->count * 2 : SLAB_MIN >> size_class;
	struct co__slab *slab = co__loop_allocate(loop, sizeof *slab);

	if (slab == NULL)
		return NULL;
	if (count > most)
		count = most;
	if (count == 0)
		count = 1;
	slab->base = map_frames(size_class, &count);
	if (slab->base == NULL) {
		co__loop_release(loop, slab, sizeof *slab);
		return NULL;
	}
	slab->count = count;
	slab->made = 0;
	slab->size_class = size_class;

	return slab;
}

static void unmap_slab(struct co_loop *loop, struct co__slab *slab)
{
	munmap(slab->base, slab_size(slab->count, slab->size_class));
	co__loop_release(loop, slab, sizeof *slab);
}

/* A slab of SIZE_CLASS with room for a frame, or NULL.  `making' is held. */
static struct co__slab *open_slab(struct co_loop *loop, unsigned size_class)
{
	struct co__frames *frames = &loop->frames;
	unsigned i = size_class - CO__STACK_CLASS_MIN;
	struct co__slab *slab = frames->open[i];

	if (slab != NULL && AO_load(&slab->made) < slab->count)
		return slab;
	slab = make_slab(loop, size_class, slab);
	if (slab == NULL)
		return NULL;
	slab->next = (struct co__slab *)AO_load(&frames->slabs);
	frames->open[i] = slab;
	/* Release: the slab is complete; pairs with co__frames_visit. */
	AO_store_release(&frames->slabs, (AO_t)slab);
	AO_store(&frames->bytes, AO_load(&frames->bytes)
			+ (slab->count << size_class));

	return slab;
}

/* Where the frame of TASK ends. */
static void *frame_end(const struct co_task *task)
{
	return (char *)task->stack_bottom - page_size
			+ ((size_t)1 << task->size_class);
}

/* A frame that was never used, or NULL.  `making' is held. */
static struct co_task *make_frame(struct co_loop *loop, unsigned size_class)
{
	struct co__slab *slab = open_slab(loop, size_class);
	struct co_task *task;
	size_t index;
	char *base;

	if (slab == NULL)
		return NULL;
	index = AO_load(&slab->made);
	base = slab->base + (index << size_class);
	if (install_guard(loop, base) < 0)
		return NULL;
	task = frame_task(slab, index);
	task->stack_bottom = base + page_size;
	task->size_class = (unsigned char)size_class;
	task->loop = loop;
	task->timer = frame_timer(slab, index);
	task->timer->task = task;
	co__checked_init(&task->checked, task->stack_bottom, task);
	task->stack_id = co__checked_stack_made(task->stack_bottom, task,
			frame_end(task));
	AO_store(&loop->frames.stacks, AO_load(&loop->frames.stacks) + 1);
	/* Release: the control block is one; pairs with co__frames_visit. */
	AO_store_release(&slab->made, index + 1);

	return task;
}

static void swap_magazines(struct co__frame_cache *cache, unsigned i)
{
	struct co__magazine loaded = cache->loaded[i];

	cache->loaded[i] = cache->spare[i];
	cache->spare[i] = loaded;
}

/* One new frame for the caller, and some more for CACHE. */
static int make_frames(struct co_loop *loop, struct co__frame_cache *cache,
		unsigned size_class, struct co_task **ret_task)
{
	struct co__magazine *loaded =
			&cache->loaded[size_class - CO__STACK_CLASS_MIN];
	struct co_task *task, *more;

	pthread_once(&probed, probe_guards);
	pthread_mutex_lock(&loop->frames.making);
	task = make_frame(loop, size_class);
	for (unsigned n = 1; task != NULL && n < BATCH; n++) {
		more = make_frame(loop, size_class);
		if (more == NULL)
			break;
		co__magazine_push(loaded, more);
	}
	pthread_mutex_unlock(&loop->frames.making);
	if (task == NULL)
		return -ENOMEM;
	*ret_task = task;

	return 0;
}

static int get_frame(struct co_loop *loop, struct co__frame_cache *cache,
		unsigned size_class, struct co_task **ret_task)
{
	unsigned i = size_class - CO__STACK_CLASS_MIN;
	struct co_task *task = co__magazine_pop(&cache->loaded[i]);

	if (co__likely(task != NULL)) {
		*ret_task = task;
		return 0;
	}
	if (cache->spare[i].count > 0)
		swap_magazines(cache, i);
	else if (!co__depot_take(&loop->frames.depot, i,
			&cache->loaded[i]))
		return make_frames(loop, cache, size_class, ret_task);
	*ret_task = co__magazine_pop(&cache->loaded[i]);

	return 0;
}

static void put_frame(struct co_loop *loop, struct co__frame_cache *cache,
		struct co_task *task)
{
	unsigned i = task->size_class - CO__STACK_CLASS_MIN;

	if (cache->loaded[i].count == CO__MAGAZINE) {
		if (cache->spare[i].count > 0)
			co__depot_give(&loop->frames.depot, i,
					&cache->spare[i]);
		swap_magazines(cache, i);
	}
	co__magazine_push(&cache->loaded[i], task);
}

int co__frame_get_slowly(struct co_loop *loop, struct co__frame_cache *cache,
		unsigned size_class, struct co_task **ret_task)
{
	int rc;

	if (co__likely(cache != NULL))
		return get_frame(loop, cache, size_class, ret_task);
	pthread_mutex_lock(&loop->frames.outside);
	rc = get_frame(loop, &loop->frames.shared, size_class, ret_task);
	pthread_mutex_unlock(&loop->frames.outside);

	return rc;
}

void co__frame_put_slowly(struct co_loop *loop, struct co__frame_cache *cache,
		struct co_task *task)
{
	if (co__likely(cache != NULL)) {
		put_frame(loop, cache, task);
		return;
	}
	pthread_mutex_lock(&loop->frames.outside);
	put_frame(loop, &loop->frames.shared, task);
	pthread_mutex_unlock(&loop->frames.outside);
}

void co__frames_init(struct co_loop *loop)
{
	co__depot_init(&loop->frames.depot);
	pthread_mutex_init(&loop->frames.making, NULL);
	pthread_mutex_init(&loop->frames.outside, NULL);
}

static void forget_stack(struct co_task *task, void *arg)
{
	(void)arg;
	co__checked_stack_gone(&task->checked, task->stack_id,
			task->stack_bottom, frame_end(task));
}

void co__frames_destroy(struct co_loop *loop)
{
	struct co__slab *slab = (struct co__slab *)AO_load(&loop->frames.slabs);

	co__frames_visit(loop, forget_stack, NULL);
	while (slab != NULL) {
		struct co__slab *next = slab->next;

		unmap_slab(loop, slab);
		slab = next;
	}
	pthread_mutex_destroy(&loop->frames.making);
	pthread_mutex_destroy(&loop->frames.outside);
}

void co__frames_visit(struct co_loop *loop,
		void (*visit)(struct co_task *task, void *arg), void *arg)
{
	/* Acquire: pairs with open_slab. */
	struct co__slab *slab = (struct co__slab *)AO_load_acquire(
			&loop->frames.slabs);

	for (; slab != NULL; slab = slab->next) {
		/* Acquire: pairs with make_frame. */
		size_t made = AO_load_acquire(&slab->made);

		for (size_t i = 0; i < made; i++)
			visit(frame_task(slab, i), arg);
	}
}

struct co_task *co__frame_guarded(struct co_loop *loop, const void *address)
{
	/* Acquire: pairs with open_slab. */
	struct co__slab *slab = (struct co__slab *)AO_load_acquire(
			&loop->frames.slabs);

	for (; slab != NULL; slab = slab->next) {
		size_t offset = (size_t)((const char *)address - slab->base);
		size_t index = offset >> slab->size_class;

		if ((const char *)address < slab->base
				|| index >= AO_load(&slab->made))
			continue;
		if (offset - (index << slab->size_class) < page_size)
			return frame_task(slab, index);
	}

	return NULL;
}
