/* SPDX-License-Identifier: MIT */

/*
 * s390x_elf.S - the switch for 64-bit z/Architecture
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  f8 to f15
 *               64  fpc, padding
 *               80  the stack pointer there, whose lowest 160 bytes belong to
 *                   who is called:
 *              128  r6 to r15, where r14 says where to go on
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     To write fpc drains the pipeline, and its masks and modes seldom
 * word        differ, so they are compared first.  The others, exceptions that
 *             were seen, no function preserves.
 *
 * Leaving     By br of r14, as any return: how this processor predicts it does
 *             not depend on the register.
 */

#if defined __s390x__ && !defined CO_CONTEXT_UCONTEXT

#define OWN_SIZE 80
#define CALLEE_SIZE 160
#define FPC 64
#define CORE 128

	.text

/* void co__context_switch(from: r2, to: r3) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, @function
	.p2align 4
co__context_switch:
	.cfi_startproc
	stmg %r6, %r15, CORE - OWN_SIZE(%r15)
	.cfi_rel_offset %r6, CORE - OWN_SIZE
	.cfi_rel_offset %r7, CORE - OWN_SIZE + 8
	.cfi_rel_offset %r8, CORE - OWN_SIZE + 16
	.cfi_rel_offset %r9, CORE - OWN_SIZE + 24
	.cfi_rel_offset %r10, CORE - OWN_SIZE + 32
	.cfi_rel_offset %r11, CORE - OWN_SIZE + 40
	.cfi_rel_offset %r12, CORE - OWN_SIZE + 48
	.cfi_rel_offset %r13, CORE - OWN_SIZE + 56
	.cfi_rel_offset %r14, CORE - OWN_SIZE + 64
	.cfi_rel_offset %r15, CORE - OWN_SIZE + 72
	aghi %r15, -OWN_SIZE
	.cfi_adjust_cfa_offset OWN_SIZE
	std %f8, 0(%r15)
	.cfi_rel_offset %f8, 0
	std %f9, 8(%r15)
	.cfi_rel_offset %f9, 8
	std %f10, 16(%r15)
	.cfi_rel_offset %f10, 16
	std %f11, 24(%r15)
	.cfi_rel_offset %f11, 24
	std %f12, 32(%r15)
	.cfi_rel_offset %f12, 32
	std %f13, 40(%r15)
	.cfi_rel_offset %f13, 40
	std %f14, 48(%r15)
	.cfi_rel_offset %f14, 48
	std %f15, 56(%r15)
	.cfi_rel_offset %f15, 56
	efpc %r0
	st %r0, FPC(%r15)

	stg %r15, 0(%r2)
	lg %r15, 0(%r3)
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

	l %r1, FPC(%r15)
	xr %r0, %r1
	nilf %r0, 0xff0000ff
	jz .Lfpc_is_right
	sfpc %r1
.Lfpc_is_right:

	ld %f8, 0(%r15)
	.cfi_restore %f8
	ld %f9, 8(%r15)
	.cfi_restore %f9
	ld %f10, 16(%r15)
	.cfi_restore %f10
	ld %f11, 24(%r15)
	.cfi_restore %f11
	ld %f12, 32(%r15)
	.cfi_restore %f12
	ld %f13, 40(%r15)
	.cfi_restore %f13
	ld %f14, 48(%r15)
	.cfi_restore %f14
	ld %f15, 56(%r15)
	.cfi_restore %f15
	lmg %r6, %r15, CORE(%r15)
	.cfi_adjust_cfa_offset -OWN_SIZE
	.cfi_restore %r6
	.cfi_restore %r7
	.cfi_restore %r8
	.cfi_restore %r9
	.cfi_restore %r10
	.cfi_restore %r11
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	br %r14
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in r6 and its argument in r7.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.
 */
	.type enter, @function
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined %r14
	nopr %r7
.Lenter:
	lgr %r2, %r7
	basr %r14, %r6
	.word 0
	.cfi_endproc
	.size enter, . - enter

/* void co__context_make(context: r2, base: r3, size: r4, entry: r5,
 *		arg: r6) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, @function
	.p2align 4
co__context_make:
	.cfi_startproc
	agr %r3, %r4
	aghi %r3, -CALLEE_SIZE
	lgr %r1, %r3
	aghi %r3, -OWN_SIZE
	stg %r3, 0(%r2)

	/* A control word of 0 is what a program begins with.
	 * No frame before: 0 ends the chain of those who follow it. */
	xc FPC(4, %r3), FPC(%r3)
	stg %r5, CORE(%r3)
	stg %r6, CORE + 8(%r3)
	larl %r0, .Lenter
	stg %r0, CORE + 64(%r3)
	stg %r1, CORE + 72(%r3)
	lghi %r0, 0
	stg %r0, 0(%r1)
	stg %r0, CORE + 40(%r3)
	br %r14
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
