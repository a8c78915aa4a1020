/* SPDX-License-Identifier: MIT */

/*
 * x86_64_sysv.h - the switch for x86-64 with the System V ABI
 *
 * Inline      A processor predicts where a `ret' goes from the calls that it
 *             has seen, in its return stack.  A switch that is called, and left
 *             by a jump, leaves an entry there that no `ret' takes away: each
 *             of the returns that follow is then predicted to go where the one
 *             before it went, and costs some 5 ns.  One that is left by `ret'
 *             keeps the balance, but is itself wrong wherever tasks park in
 *             different places, or begin.  So the switch is not called: what
 *             is suspended is the middle of a function, and all the returns of
 *             those who park by the same way are foreseen.
 *
 * Registers   All that the ABI has a function preserve are declared to be
 *             destroyed, so that the compiler saves those that are in use, in
 *             the frame of the function, where unwinders find them.  Only the
 *             frame pointer can't be declared so.
 *
 * Control     The ABI preserves the control bits of mxcsr and of the x87
 * words       control word.  To load the latter is slow, so it is compared
 *             first, and nearly always the same.  Not so for mxcsr: its
 *             stored value can be read back only after so long a wait that
 *             loading costs less than finding that it isn't needed.
 *
 * Message     It stays in a register, so that what follows the switch needs
 *             to wait for nothing that it loads.
 *
 * Landing     What is jumped to has no endbr64: notrack.
 */

#include <stddef.h>

struct co__context {
	void *saved;		/* where to go on; NULL: not made */
	void *stack_pointer;
	void *frame_pointer;
	unsigned mxcsr;
	unsigned short x87;
};

#if defined __AVX512F__
#define CO__CONTEXT_AVX512 , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", \
	"xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
	"xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", \
	"k6", "k7"
#else
#define CO__CONTEXT_AVX512
#endif

/* Look at the x87 control word of this, in rdi, and go on with that in rsi. */
#define CO__CONTEXT_GO_ON \
	"fnstcw 28(%%rdi)\n\t" \
	"movzwl 28(%%rdi), %%eax\n\t" \
	"movq (%%rsi), %%rdx\n\t" \
	"movq 8(%%rsi), %%rsp\n\t" \
	"movq 16(%%rsi), %%rbp\n\t" \
	"ldmxcsr 24(%%rsi)\n\t" \
	"cmpw 28(%%rsi), %%ax\n\t" \
	"jne 2f\n\t" \
	"notrack jmp *%%rdx\n" \
	"2:\n\t" \
	"fldcw 28(%%rsi)\n\t" \
	"notrack jmp *%%rdx\n"

/* As in context.h, all of these. */

/* The registers that were saved take 56 bytes, and who called has some more. */
static inline void co__context_prefetch(const struct co__context *context)
{
	__builtin_prefetch(context->stack_pointer);
	__builtin_prefetch((const char *)context->stack_pointer + 64);
}

static inline __attribute__((always_inline)) void *co__context_switch_with(
		struct co__context *from, const struct co__context *to,
		void *message)
{
	__asm__ volatile(
		"leaq 1f(%%rip), %%rax\n\t"
		"movq %%rax, (%%rdi)\n\t"
		"movq %%rsp, 8(%%rdi)\n\t"
		"movq %%rbp, 16(%%rdi)\n\t"
		"stmxcsr 24(%%rdi)\n\t"
		CO__CONTEXT_GO_ON
		"1:"
		: "+D"(from), "+S"(to), "+c"(message)
		:
		: "rax", "rbx", "rdx", "r8", "r9", "r10", "r11", "r12",
		  "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
		  "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		  "xmm12", "xmm13", "xmm14", "xmm15" CO__CONTEXT_AVX512,
		  "cc", "memory");

	return message;
}

/* What isn't kept needs no registers to be declared, either. */
static inline __attribute__((always_inline, noreturn)) void co__context_leave(
		struct co__context *from, const struct co__context *to,
		void *message)
{
	__asm__ volatile(CO__CONTEXT_GO_ON
		:
		: "D"(from), "S"(to), "c"(message)
		: "rax", "rdx", "cc", "memory");
	__builtin_unreachable();
}

static inline __attribute__((always_inline)) void co__context_switch(
		struct co__context *from, const struct co__context *to)
{
	co__context_switch_with(from, to, NULL);
}

extern const char co__context_begin[] __attribute__((visibility("hidden")));
extern const char co__context_end[] __attribute__((visibility("hidden")));

static inline void co__context_make(struct co__context *context, void *base,
		size_t size, void (*entry)(void *arg), void *arg)
{
	/* ENTRY finds its stack as after a call: aligned, less 8. */
	void **stack = (void **)(void *)((char *)base + size) - 5;

	__builtin_memcpy(&stack[0], &entry, sizeof entry);
	stack[1] = arg;
	stack[2] = (void *)(size_t)co__context_end;
	context->saved = (void *)(size_t)co__context_begin;
	context->stack_pointer = stack;
	context->frame_pointer = NULL;	/* ends the chain of frames */
	context->mxcsr = 0x1f80;
	context->x87 = 0x37f;
}
