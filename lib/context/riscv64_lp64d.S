/* SPDX-License-Identifier: MIT */

/*
 * riscv64_lp64d.S - the switch for 64-bit RISC-V with doubles in registers
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  s0 to s11
 *               96  ra: where to go on
 *              104  fs0 to fs11
 *              200  frm: the rounding mode
 *              208  the stack pointer there
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     To write frm may drain the pipeline, and it seldom differs, so it
 * word        is compared first.  The other part of fcsr, exceptions that were
 *             seen, no function preserves.
 *
 * Leaving     The processor predicts that a jump by ra or t0 goes to the
 *             caller, which here it never does.  So it is by t1.
 */

#if defined __riscv && __riscv_xlen == 64 && defined __riscv_float_abi_double \
	&& !defined CO_CONTEXT_UCONTEXT

#define FRAME_SIZE 208
#define RA 96
#define FS 104
#define FRM 200

	.text

/* void co__context_switch(from: a0, to: a1) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, @function
	.p2align 4
co__context_switch:
	.cfi_startproc
	addi sp, sp, -FRAME_SIZE
	.cfi_adjust_cfa_offset FRAME_SIZE
	sd s0, 0(sp)
	.cfi_rel_offset s0, 0
	sd s1, 8(sp)
	.cfi_rel_offset s1, 8
	sd s2, 16(sp)
	.cfi_rel_offset s2, 16
	sd s3, 24(sp)
	.cfi_rel_offset s3, 24
	sd s4, 32(sp)
	.cfi_rel_offset s4, 32
	sd s5, 40(sp)
	.cfi_rel_offset s5, 40
	sd s6, 48(sp)
	.cfi_rel_offset s6, 48
	sd s7, 56(sp)
	.cfi_rel_offset s7, 56
	sd s8, 64(sp)
	.cfi_rel_offset s8, 64
	sd s9, 72(sp)
	.cfi_rel_offset s9, 72
	sd s10, 80(sp)
	.cfi_rel_offset s10, 80
	sd s11, 88(sp)
	.cfi_rel_offset s11, 88
	sd ra, RA(sp)
	.cfi_rel_offset ra, RA
	fsd fs0, FS(sp)
	.cfi_rel_offset fs0, FS
	fsd fs1, FS + 8(sp)
	.cfi_rel_offset fs1, FS + 8
	fsd fs2, FS + 16(sp)
	.cfi_rel_offset fs2, FS + 16
	fsd fs3, FS + 24(sp)
	.cfi_rel_offset fs3, FS + 24
	fsd fs4, FS + 32(sp)
	.cfi_rel_offset fs4, FS + 32
	fsd fs5, FS + 40(sp)
	.cfi_rel_offset fs5, FS + 40
	fsd fs6, FS + 48(sp)
	.cfi_rel_offset fs6, FS + 48
	fsd fs7, FS + 56(sp)
	.cfi_rel_offset fs7, FS + 56
	fsd fs8, FS + 64(sp)
	.cfi_rel_offset fs8, FS + 64
	fsd fs9, FS + 72(sp)
	.cfi_rel_offset fs9, FS + 72
	fsd fs10, FS + 80(sp)
	.cfi_rel_offset fs10, FS + 80
	fsd fs11, FS + 88(sp)
	.cfi_rel_offset fs11, FS + 88
	frrm t2
	sd t2, FRM(sp)

	sd sp, 0(a0)
	ld sp, 0(a1)
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

	ld t3, FRM(sp)
	beq t2, t3, .Lfrm_is_right
	fsrm t3
.Lfrm_is_right:

	ld t1, RA(sp)
	.cfi_register ra, t1
	ld s0, 0(sp)
	.cfi_restore s0
	ld s1, 8(sp)
	.cfi_restore s1
	ld s2, 16(sp)
	.cfi_restore s2
	ld s3, 24(sp)
	.cfi_restore s3
	ld s4, 32(sp)
	.cfi_restore s4
	ld s5, 40(sp)
	.cfi_restore s5
	ld s6, 48(sp)
	.cfi_restore s6
	ld s7, 56(sp)
	.cfi_restore s7
	ld s8, 64(sp)
	.cfi_restore s8
	ld s9, 72(sp)
	.cfi_restore s9
	ld s10, 80(sp)
	.cfi_restore s10
	ld s11, 88(sp)
	.cfi_restore s11
	fld fs0, FS(sp)
	.cfi_restore fs0
	fld fs1, FS + 8(sp)
	.cfi_restore fs1
	fld fs2, FS + 16(sp)
	.cfi_restore fs2
	fld fs3, FS + 24(sp)
	.cfi_restore fs3
	fld fs4, FS + 32(sp)
	.cfi_restore fs4
	fld fs5, FS + 40(sp)
	.cfi_restore fs5
	fld fs6, FS + 48(sp)
	.cfi_restore fs6
	fld fs7, FS + 56(sp)
	.cfi_restore fs7
	fld fs8, FS + 64(sp)
	.cfi_restore fs8
	fld fs9, FS + 72(sp)
	.cfi_restore fs9
	fld fs10, FS + 80(sp)
	.cfi_restore fs10
	fld fs11, FS + 88(sp)
	.cfi_restore fs11
	addi sp, sp, FRAME_SIZE
	.cfi_adjust_cfa_offset -FRAME_SIZE
	jr t1
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in s1 and its argument in s2.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.
 */
	.type enter, @function
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined ra
	nop
.Lenter:
	mv a0, s2
	jalr s1
	ebreak
	.cfi_endproc
	.size enter, . - enter

/* void co__context_make(context: a0, base: a1, size: a2, entry: a3,
 *		arg: a4) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, @function
	.p2align 4
co__context_make:
	.cfi_startproc
	add a1, a1, a2
	addi a1, a1, -FRAME_SIZE
	sd a1, 0(a0)

	/* A control word of 0 is what a program begins with.
	 * No frame pointer: 0 ends the chain of those who follow it. */
	sd zero, FRM(a1)
	sd zero, 0(a1)
	sd a3, 8(a1)
	sd a4, 16(a1)
	lla t1, .Lenter
	sd t1, RA(a1)
	ret
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
