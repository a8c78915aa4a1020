/* SPDX-License-Identifier: MIT */

/*
 * aarch64_aapcs64.S - the switch for 64-bit ARM with the AAPCS64
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  x19 to x28
 *               80  x29, x30: the frame pointer, and where to go on
 *               96  d8 to d15: of v8 to v15, the ABI preserves the lower half
 *              160  fpcr, padding
 *              176  the stack pointer there
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     To write fpcr may drain the pipeline, and it seldom differs, so
 * word        it is compared first.
 *
 * Leaving     By ret, though it is predicted to go to the caller, which here
 *             it never does.  What is landed on follows a bl and is no
 *             landing pad, and in a page guarded by BTI a br there faults
 *             whatever its register; only ret may land anywhere.
 */

#if defined __aarch64__ && !defined __ILP32__ && !defined CO_CONTEXT_UCONTEXT

/* A no-operation by its old name, bti c by its new one. */
#if defined __ARM_FEATURE_BTI_DEFAULT
#define LANDING hint #34
#else
#define LANDING
#endif

#define FRAME_SIZE 176
#define FPCR 160

	.text

/* void co__context_switch(from: x0, to: x1) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, %function
	.p2align 4
co__context_switch:
	.cfi_startproc
	LANDING
	sub sp, sp, #FRAME_SIZE
	.cfi_adjust_cfa_offset FRAME_SIZE
	stp x19, x20, [sp, #0]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	stp x21, x22, [sp, #16]
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	stp x23, x24, [sp, #32]
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	stp x25, x26, [sp, #48]
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	stp x27, x28, [sp, #64]
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	stp x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp d8, d9, [sp, #96]
	.cfi_rel_offset d8, 96
	.cfi_rel_offset d9, 104
	stp d10, d11, [sp, #112]
	.cfi_rel_offset d10, 112
	.cfi_rel_offset d11, 120
	stp d12, d13, [sp, #128]
	.cfi_rel_offset d12, 128
	.cfi_rel_offset d13, 136
	stp d14, d15, [sp, #144]
	.cfi_rel_offset d14, 144
	.cfi_rel_offset d15, 152
	mrs x9, fpcr
	str x9, [sp, #FPCR]

	mov x10, sp
	str x10, [x0]
	ldr x10, [x1]
	mov sp, x10
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

	ldr x11, [sp, #FPCR]
	cmp x9, x11
	b.eq .Lfpcr_is_right
	msr fpcr, x11
.Lfpcr_is_right:

	ldp d14, d15, [sp, #144]
	.cfi_restore d14
	.cfi_restore d15
	ldp d12, d13, [sp, #128]
	.cfi_restore d12
	.cfi_restore d13
	ldp d10, d11, [sp, #112]
	.cfi_restore d10
	.cfi_restore d11
	ldp d8, d9, [sp, #96]
	.cfi_restore d8
	.cfi_restore d9
	ldp x29, x30, [sp, #80]
	.cfi_restore x29
	.cfi_restore x30
	ldp x27, x28, [sp, #64]
	.cfi_restore x27
	.cfi_restore x28
	ldp x25, x26, [sp, #48]
	.cfi_restore x25
	.cfi_restore x26
	ldp x23, x24, [sp, #32]
	.cfi_restore x23
	.cfi_restore x24
	ldp x21, x22, [sp, #16]
	.cfi_restore x21
	.cfi_restore x22
	ldp x19, x20, [sp, #0]
	.cfi_restore x19
	.cfi_restore x20
	add sp, sp, #FRAME_SIZE
	.cfi_adjust_cfa_offset -FRAME_SIZE
	ret
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in x19 and its argument in x20.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.
 */
	.type enter, %function
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined x30
	nop
.Lenter:
	mov x0, x20
	blr x19
	brk #1
	.cfi_endproc
	.size enter, . - enter

/* void co__context_make(context: x0, base: x1, size: x2, entry: x3,
 *		arg: x4) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, %function
	.p2align 4
co__context_make:
	.cfi_startproc
	LANDING
	add x9, x1, x2
	sub x9, x9, #FRAME_SIZE
	adr x10, .Lenter

	/* A control word of 0 is what a program begins with.  No frame
	 * pointer: 0 ends the chain of those who follow it. */
	stp x3, x4, [x9, #0]
	stp xzr, xzr, [x9, #16]
	stp xzr, xzr, [x9, #32]
	stp xzr, xzr, [x9, #48]
	stp xzr, xzr, [x9, #64]
	stp xzr, x10, [x9, #80]
	stp xzr, xzr, [x9, #96]
	stp xzr, xzr, [x9, #112]
	stp xzr, xzr, [x9, #128]
	stp xzr, xzr, [x9, #144]
	stp xzr, xzr, [x9, #FPCR]
	str x9, [x0]
	ret
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
