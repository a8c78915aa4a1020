/* SPDX-License-Identifier: MIT */

/*
 * mips64_n64.S - the switch for 64-bit MIPS with the n64 ABI
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  s0 to s7
 *               64  gp, s8
 *               80  ra: where to go on
 *               88  f24 to f31
 *              152  fcsr: its control bits, padding
 *              160  the stack pointer there
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     To write fcsr drains the pipeline, and its enabled exceptions
 * word        and modes seldom differ, so they are compared first.  The others,
 *             which no function preserves, are results and exceptions that
 *             were seen; to write those back may raise the exceptions anew.
 *
 * Leaving     The processor predicts that a jump by ra goes to the caller,
 *             which here it never does.  So it is by t9.
 */

#if defined __mips64 && _MIPS_SIM == _ABI64 && defined __mips_hard_float \
	&& !defined CO_CONTEXT_UCONTEXT

#define FRAME_SIZE 160
#define GP 64
#define S8 72
#define RA 80
#define FPR 88
#define FCSR 152
#define FCSR_CONTROL 0x01000f83

	.set noreorder
	.set nomicromips
	.set nomips16
	.text

/* void co__context_switch(from: $4, to: $5) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, @function
	.ent co__context_switch
	.p2align 4
co__context_switch:
	.cfi_startproc
	daddiu $sp, $sp, -FRAME_SIZE
	.cfi_adjust_cfa_offset FRAME_SIZE
	.irp n, 16, 17, 18, 19, 20, 21, 22, 23
	sd $\n, 8 * (\n - 16)($sp)
	.cfi_rel_offset \n, 8 * (\n - 16)
	.endr
	sd $28, GP($sp)
	.cfi_rel_offset 28, GP
	sd $30, S8($sp)
	.cfi_rel_offset 30, S8
	sd $31, RA($sp)
	.cfi_rel_offset 31, RA
	.irp n, 24, 25, 26, 27, 28, 29, 30, 31
	sdc1 $f\n, FPR + 8 * (\n - 24)($sp)
	.cfi_rel_offset 32 + \n, FPR + 8 * (\n - 24)
	.endr
	cfc1 $12, $31
	li $13, FCSR_CONTROL
	and $12, $12, $13
	sw $12, FCSR($sp)

	sd $sp, 0($4)
	ld $sp, 0($5)
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

	lw $13, FCSR($sp)
	beq $12, $13, .Lfcsr_is_right
	nop
	ctc1 $13, $31
.Lfcsr_is_right:

	ld $25, RA($sp)
	.cfi_register 31, 25
	.irp n, 16, 17, 18, 19, 20, 21, 22, 23
	ld $\n, 8 * (\n - 16)($sp)
	.cfi_restore \n
	.endr
	ld $28, GP($sp)
	.cfi_restore 28
	ld $30, S8($sp)
	.cfi_restore 30
	.irp n, 24, 25, 26, 27, 28, 29, 30, 31
	ldc1 $f\n, FPR + 8 * (\n - 24)($sp)
	.cfi_restore 32 + \n
	.endr
	daddiu $sp, $sp, FRAME_SIZE
	.cfi_adjust_cfa_offset -FRAME_SIZE
	jr $25
	nop
	.cfi_endproc
	.end co__context_switch
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in s0 and its argument in s1.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.  The entry
 * finds its global pointer by its own address, in t9.
 */
	.type enter, @function
	.ent enter
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined 31
	nop
.Lenter:
	move $25, $16
	jalr $25
	move $4, $17
	break
	.cfi_endproc
	.end enter
	.size enter, . - enter

/* void co__context_make(context: $4, base: $5, size: $6, entry: $7,
 *		arg: $8) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, @function
	.ent co__context_make
	.p2align 4
co__context_make:
	.cfi_startproc
	daddu $5, $5, $6
	daddiu $5, $5, -FRAME_SIZE
	sd $5, 0($4)

	/* A control word of 0 is what a program begins with.
	 * No frame pointer: 0 ends the chain of those who follow it. */
	sw $0, FCSR($5)
	sd $7, 0($5)
	sd $8, 8($5)
	sd $28, GP($5)
	sd $0, S8($5)

	/* There is no address relative to what runs: a call tells where it
	 * is. */
	move $14, $31
	.cfi_register 31, 14
	bal .Lhere
	nop
.Lhere:
	daddiu $15, $31, .Lenter - .Lhere
	sd $15, RA($5)
	move $31, $14
	.cfi_restore 31
	jr $31
	nop
	.cfi_endproc
	.end co__context_make
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
