/* SPDX-License-Identifier: MIT */

/*
 * ppc64_elfv2.S - the switch for 64-bit POWER with the ELFv2 ABI
 *
 * Frame       A suspended context is the address of this, lowest first:
 *
 *                0  the address of the frame above, padding
 *               24  r2: the table of contents
 *               32  r14 to r31
 *              176  f14 to f31
 *              320  fpscr, padding
 *              336  v20 to v31
 *              528  the stack pointer there, whose first words belong to who
 *                   is called:
 *              536  cr
 *              544  lr: where to go on
 *
 *             Both stacks have that shape while one is exchanged for the
 *             other, so one description (.cfi) is right before and after.
 *
 * Control     To write fpscr drains the pipeline, and its enabled exceptions
 * word        and modes seldom differ, so they are compared first.  The others,
 *             which no function preserves, are results and exceptions that
 *             were seen.
 *
 * Leaving     The processor predicts that a branch to lr goes to the caller,
 *             which here it never does.  So it is to ctr.
 *
 * Registers   have plain numbers here; to unwinders lr is 65, cr2 to cr4 are
 *             stored as 70, and the first vector register is 77.
 */

#if defined __powerpc64__ && defined _CALL_ELF && _CALL_ELF == 2 \
	&& defined __ALTIVEC__ && !defined CO_CONTEXT_UCONTEXT

#define HEADER_SIZE 32
#define FRAME_SIZE 528
#define CR 8
#define LR 16
#define TOC 24
#define GPR 32
#define FPR 176
#define FPSCR 320
#define VR 336

#define SAVED_GPR_FPR 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, \
	28, 29, 30, 31
#define SAVED_VR 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

	.machine power8
	.text

/* void co__context_switch(from: r3, to: r4) */
	.globl co__context_switch
	.hidden co__context_switch
	.type co__context_switch, @function
	.p2align 4
co__context_switch:
	.cfi_startproc
	mflr 0
	std 0, LR(1)
	.cfi_offset 65, LR
	mfcr 0
	stw 0, CR(1)
	.cfi_offset 70, CR
	stdu 1, -FRAME_SIZE(1)
	.cfi_adjust_cfa_offset FRAME_SIZE
	std 2, TOC(1)
	.irp n, SAVED_GPR_FPR
	std \n, GPR + 8 * (\n - 14)(1)
	.cfi_rel_offset \n, GPR + 8 * (\n - 14)
	stfd \n, FPR + 8 * (\n - 14)(1)
	.cfi_rel_offset 32 + \n, FPR + 8 * (\n - 14)
	.endr
	.irp n, SAVED_VR
	li 9, VR + 16 * (\n - 20)
	stvx \n, 9, 1
	.cfi_rel_offset 77 + \n, VR + 16 * (\n - 20)
	.endr
	mffs 0
	stfd 0, FPSCR(1)
	ld 5, FPSCR(1)

	std 1, 0(3)
	ld 1, 0(4)
	.globl co__context_parked
	.hidden co__context_parked
co__context_parked:

	/* The modes of binary numbers and the exceptions are the lowest byte,
	 * that of decimal numbers the lowest three bits of the upper half. */
	ld 6, FPSCR(1)
	xor 5, 5, 6
	rldicl 6, 5, 32, 61
	andi. 5, 5, 0xff
	or. 5, 5, 6
	beq+ .Lfpscr_is_right
	lfd 0, FPSCR(1)
	mtfsf 255, 0, 1, 0
.Lfpscr_is_right:

	ld 0, FRAME_SIZE + LR(1)
	mtctr 0
	lwz 0, FRAME_SIZE + CR(1)
	mtcrf 0x38, 0
	ld 2, TOC(1)
	.irp n, SAVED_GPR_FPR
	ld \n, GPR + 8 * (\n - 14)(1)
	.cfi_restore \n
	lfd \n, FPR + 8 * (\n - 14)(1)
	.cfi_restore 32 + \n
	.endr
	.irp n, SAVED_VR
	li 9, VR + 16 * (\n - 20)
	lvx \n, 9, 1
	.cfi_restore 77 + \n
	.endr
	addi 1, 1, FRAME_SIZE
	.cfi_adjust_cfa_offset -FRAME_SIZE
	bctr
	.cfi_endproc
	.size co__context_switch, . - co__context_switch

/*
 * Where a made context begins, with the entry in r14 and its argument in r15.
 * Nothing called this, so unwinding ends here.  Unwinders look up the byte
 * before a return address: the nop makes it one of this function's.  The entry
 * finds its table of contents by its own address, in r12.
 */
	.type enter, @function
	.p2align 4
enter:
	.cfi_startproc
	.cfi_undefined 65
	nop
.Lenter:
	mr 3, 15
	mr 12, 14
	mtctr 12
	bctrl
	trap
	.cfi_endproc
	.size enter, . - enter

/* void co__context_make(context: r3, base: r4, size: r5, entry: r6,
 *		arg: r7) */
	.globl co__context_make
	.hidden co__context_make
	.type co__context_make, @function
	.p2align 4
co__context_make:
	.cfi_startproc
	add 4, 4, 5
	addi 4, 4, -HEADER_SIZE
	addi 5, 4, -FRAME_SIZE
	std 5, 0(3)

	/* A control word of 0 is what a program begins with. */
	li 0, 0
	std 0, FPSCR(5)
	std 2, TOC(5)
	std 6, GPR(5)
	std 7, GPR + 8(5)
	std 4, 0(5)

	/* No frame above: 0 ends the chain. */
	std 0, 0(4)
	std 0, CR(4)

	/* There is no address relative to what runs: a call tells where it
	 * is, of the form that isn't taken for one by the prediction. */
	mflr 0
	.cfi_register 65, 0
	bcl 20, 31, .Lhere
.Lhere:
	mflr 9
	mtlr 0
	.cfi_restore 65
	addi 9, 9, .Lenter - .Lhere
	std 9, LR(4)
	blr
	.cfi_endproc
	.size co__context_make, . - co__context_make

#endif

#include "notes.inc"
