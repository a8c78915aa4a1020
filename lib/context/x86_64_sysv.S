/* SPDX-License-Identifier: MIT */

/*
 * x86_64_sysv.S - the switch for x86-64 with the System V ABI
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  mxcsr (4 bytes), x87 control word (2), padding (2)
 *                8  r15, r14, r13, r12, rbx, rbp
 *               56  where to go on
 *               64  the stack pointer there
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     The ABI preserves the control bits of mxcsr and of the x87
 * words       control word.  To load the latter is slow, so it is compared
 *             first, and nearly always the same.  Not so for mxcsr: its
 *             stored value can be read back only after so long a wait that
 *             loading costs less than finding that it isn't needed.
 *
 * Leaving     The processor predicts that a ret goes to the caller, which here
 *             it never does, so the way out is an indirect jump.  What
 *             it lands on follows a call and has no endbr64: notrack.
 */

#if defined __x86_64__ && !defined __ILP32__ && !defined CO_CONTEXT_UCONTEXT

#if defined __CET__ && (__CET__ & 1)
#define LANDING endbr64
#else
#define LANDING
#endif

#define FRAME_SIZE 64

	.text

/* void co__context_switch(from: rdi, to: rsi) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, @function
	.p2align 4
co__context_switch:
	.cfi_startproc
	LANDING
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr (%rsp)
	fnstcw 4(%rsp)

	movzwl 4(%rsp), %ecx

	movq %rsp, (%rdi)
	movq (%rsi), %rsp

	ldmxcsr (%rsp)
	cmpw 4(%rsp), %cx
	jne .Lload_x87
.Lx87_is_right:

	.cfi_remember_state
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq %rdx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rdx
	notrack jmp *%rdx

.Lload_x87:
	.cfi_restore_state
	fldcw 4(%rsp)
	jmp .Lx87_is_right
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in rbx and its argument in r12.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.
 */
	.type enter, @function
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined %rip
	nop
.Lenter:
	movq %r12, %rdi
	call *%rbx
	ud2
	.cfi_endproc
	.size enter, . - enter

/* void co__context_make(context: rdi, base: rsi, size: rdx, entry: rcx,
 *		arg: r8) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, @function
	.p2align 4
co__context_make:
	.cfi_startproc
	LANDING
	leaq -FRAME_SIZE(%rsi, %rdx), %rax
	leaq .Lenter(%rip), %rdx
	xorl %esi, %esi

	/* The control words are the maker's, as a thread's are its creator's.
	 * No frame pointer: 0 ends the chain of those who follow it. */
	movq %rsi, (%rax)
	stmxcsr (%rax)
	fnstcw 4(%rax)
	movq %rsi, 8(%rax)
	movq %rsi, 16(%rax)
	movq %rsi, 24(%rax)
	movq %r8, 32(%rax)
	movq %rcx, 40(%rax)
	movq %rsi, 48(%rax)
	movq %rdx, 56(%rax)
	movq %rax, (%rdi)
	ret
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
