/* SPDX-License-Identifier: MIT */

/*
 * x86_64_sysv.S - how a context begins, for x86-64 with the System V ABI
 *
 * The rest is in x86_64_sysv.h.
 */

#if defined __x86_64__ && !defined __ILP32__ && !defined CO_CONTEXT_UCONTEXT

	.text

/*
 * Where a made context begins.  Its stack has, lowest first, the entry, its
 * argument, and the return address, which is that of the nop: nothing called
 * the entry, so unwinding ends here, and unwinders look up the byte before a
 * return address.  A jump rather than a call: as no `ret' comes back here, it
 * would leave the processor's return stack out of step with the calls.
 */
	.globl co__context_begin
	.hidden co__context_begin
	.globl co__context_end
	.hidden co__context_end
	.type co__context_begin, @function
	.p2align 4
co__context_begin:
	.cfi_startproc
	.cfi_undefined %rip
	popq %rax
	popq %rdi
	notrack jmp *%rax
	nop
co__context_end:
	ud2
	.cfi_endproc
	.size co__context_begin, . - co__context_begin

#endif

#include "notes.inc"
