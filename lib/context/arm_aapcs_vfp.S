/* SPDX-License-Identifier: MIT */

/*
 * arm_aapcs_vfp.S - the switch for 32-bit ARM with hardware floating point
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  d8 to d15
 *               64  fpscr
 *               68  r4 to r11
 *              100  lr: where to go on
 *              104  the stack pointer there
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     To write fpscr drains the pipeline, and its control bits seldom
 * word        differ, so they are compared first.  The others, which no
 *             function preserves, differ nearly always: results of comparisons
 *             and of saturation (31 to 27), exceptions that were seen (7, 4 to
 *             0).
 *
 * Leaving     The processor predicts that bx lr, and pc loaded from the stack,
 *             goes to the caller, which here it never does.  So it is bx of
 *             another register; it also tells ARM code from Thumb.
 *
 * Unwinding   On this machine programs unwind by tables of their own (.fnstart
 *             ...), which hold for all of a function, and only at calls; so
 *             they speak of enter only.  The .cfi are for debuggers.
 */

#if defined __arm__ && defined __ARM_PCS_VFP && !defined CO_CONTEXT_UCONTEXT

#define FRAME_SIZE 104
#define FPSCR 64
#define CORE 68

	.syntax unified
	.arch armv7-a
	.fpu vfpv3-d16
	.arm
	.cfi_sections .debug_frame
	.text

/* void co__context_switch(from: r0, to: r1) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, %function
	.p2align 4
co__context_switch:
	.cfi_startproc
	push {r4-r11, lr}
	.cfi_adjust_cfa_offset 36
	.cfi_rel_offset r4, 0
	.cfi_rel_offset r5, 4
	.cfi_rel_offset r6, 8
	.cfi_rel_offset r7, 12
	.cfi_rel_offset r8, 16
	.cfi_rel_offset r9, 20
	.cfi_rel_offset r10, 24
	.cfi_rel_offset r11, 28
	.cfi_rel_offset lr, 32
	vmrs r2, fpscr
	str r2, [sp, #-4]!
	.cfi_adjust_cfa_offset 4
	vpush {d8-d15}
	.cfi_adjust_cfa_offset 64
	.cfi_rel_offset d8, 0
	.cfi_rel_offset d9, 8
	.cfi_rel_offset d10, 16
	.cfi_rel_offset d11, 24
	.cfi_rel_offset d12, 32
	.cfi_rel_offset d13, 40
	.cfi_rel_offset d14, 48
	.cfi_rel_offset d15, 56

	str sp, [r0]
	ldr sp, [r1]
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

	ldr r3, [sp, #FPSCR]
	eor r2, r2, r3
	bic r2, r2, #0xf8000000
	bics r2, r2, #0x9f
	vmsrne fpscr, r3

	vpop {d8-d15}
	.cfi_adjust_cfa_offset -64
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	add sp, sp, #4
	.cfi_adjust_cfa_offset -4
	pop {r4-r11, lr}
	.cfi_adjust_cfa_offset -36
	.cfi_restore r4
	.cfi_restore r5
	.cfi_restore r6
	.cfi_restore r7
	.cfi_restore r8
	.cfi_restore r9
	.cfi_restore r10
	.cfi_restore r11
	.cfi_restore lr
	mov r3, lr
	bx r3
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in r4 and its argument in r5.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.
 */
	.type enter, %function
	.p2align 4
enter:
	.fnstart
	.cantunwind
	.cfi_startproc
	.cfi_undefined lr
	nop
.Lenter:
	mov r0, r5
	blx r4
	udf #0
	.cfi_endproc
	.fnend
	.size enter, . - enter

/* void co__context_make(context: r0, base: r1, size: r2, entry: r3,
 *		arg: on the stack) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, %function
	.p2align 4
co__context_make:
	.cfi_startproc
	ldr r12, [sp]
	add r1, r1, r2
	sub r1, r1, #FRAME_SIZE
	str r1, [r0]

	/* A control word of 0 is what a program begins with.
	 * No frame pointer: 0 ends the chain of those who follow it. */
	mov r2, #0
	str r2, [r1, #FPSCR]
	str r3, [r1, #CORE]
	str r12, [r1, #CORE + 4]
	str r2, [r1, #CORE + 12]
	str r2, [r1, #CORE + 28]
	adr r2, .Lenter
	str r2, [r1, #CORE + 32]
	bx lr
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
