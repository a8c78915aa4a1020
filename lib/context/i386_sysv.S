/* SPDX-License-Identifier: MIT */

/*
 * i386_sysv.S - the switch for 32-bit x86 with the System V ABI
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  mxcsr (4 bytes), x87 control word (2), padding (2)
 *                8  edi, esi, ebx, ebp
 *               24  where to go on
 *               28  the stack pointer there
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     The ABI preserves the control bits of mxcsr and of the x87
 * words       control word.  To load the latter is slow, so it is compared
 *             first, and nearly always the same.  A library for processors
 *             without SSE has no instruction for mxcsr, and leaves it to the
 *             thread.
 *
 * Leaving     The processor predicts that a ret goes to the caller, which here
 *             it never does, so the way out is an indirect jump.  What
 *             it lands on follows a call and has no endbr32: notrack.
 */

#if defined __i386__ && !defined CO_CONTEXT_UCONTEXT

#if defined __CET__ && (__CET__ & 1)
#define LANDING endbr32
#else
#define LANDING
#endif

#define FRAME_SIZE 28

	.text

/* void co__context_switch(from: 4(esp), to: 8(esp)) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, @function
	.p2align 4
co__context_switch:
	.cfi_startproc
	LANDING
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl %ebp
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebp, 0
	pushl %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebx, 0
	pushl %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %esi, 0
	pushl %edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %edi, 0
	subl $8, %esp
	.cfi_adjust_cfa_offset 8
#if defined __SSE__
	stmxcsr (%esp)
#endif
	fnstcw 4(%esp)

	movzwl 4(%esp), %ecx

	movl %esp, (%eax)
	movl (%edx), %esp
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

#if defined __SSE__
	ldmxcsr (%esp)
#endif
	cmpw 4(%esp), %cx
	jne .Lload_x87
.Lx87_is_right:

	.cfi_remember_state
	addl $8, %esp
	.cfi_adjust_cfa_offset -8
	popl %edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %edi
	popl %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %esi
	popl %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebx
	popl %ebp
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebp
	popl %edx
	.cfi_adjust_cfa_offset -4
	.cfi_register %eip, %edx
	notrack jmp *%edx

.Lload_x87:
	.cfi_restore_state
	fldcw 4(%esp)
	jmp .Lx87_is_right
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in ebx and its argument in esi.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.  The stack
 * is aligned where the argument lies.
 */
	.type enter, @function
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined %eip
	nop
.Lenter:
	subl $12, %esp
	.cfi_adjust_cfa_offset 12
	pushl %esi
	.cfi_adjust_cfa_offset 4
	call *%ebx
	ud2
	.cfi_endproc
	.size enter, . - enter

/* void co__context_make(context: 4(esp), base: 8(esp), size: 12(esp),
 *		entry: 16(esp), arg: 20(esp)) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, @function
	.p2align 4
co__context_make:
	.cfi_startproc
	LANDING
	movl 8(%esp), %eax
	addl 12(%esp), %eax
	subl $FRAME_SIZE, %eax
	movl 4(%esp), %edx
	movl %eax, (%edx)

	/* The control words are what a program begins with.
	 * No frame pointer: 0 ends the chain of those who follow it. */
	movl $0x1f80, (%eax)
	movw $0x37f, 4(%eax)
	movl 20(%esp), %edx
	movl %edx, 12(%eax)
	movl 16(%esp), %edx
	movl %edx, 16(%eax)
	movl $0, 20(%eax)

	/* There is no address relative to eip: a call tells where it is. */
	call .Lhere
	.cfi_adjust_cfa_offset 4
.Lhere:
	popl %edx
	.cfi_adjust_cfa_offset -4
	addl $.Lenter - .Lhere, %edx
	movl %edx, 24(%eax)
	ret
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
