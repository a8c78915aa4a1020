/* SPDX-License-Identifier: MIT */

/*
 * limit_switch.S - the least that a switch of stacks can be
 *
 * void limit_switch(void **save, void *to): keep the registers that the ABI
 * preserves on this stack and its address in *SAVE, then go on on the stack at
 * TO.  No control words, nothing for debuggers.  It is left by a jump, for a
 * return would always be predicted wrongly.  Below a new stack's top there are
 * LIMIT_FRAME bytes, of which the last word but LIMIT_ENTRY says where to go.
 */

#if defined __x86_64__ && !defined __ILP32__
	.text
	.globl limit_switch
	.type limit_switch, @function
	.p2align 5
limit_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	popq %rdx
	jmp *%rdx
	.size limit_switch, . - limit_switch
#elif defined __aarch64__ && !defined __ILP32__
	.text
	.globl limit_switch
	.type limit_switch, %function
	.p2align 5
limit_switch:
	stp x29, x30, [sp, #-160]!
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	ldp x29, x9, [sp], #160
	br x9
	.size limit_switch, . - limit_switch
#endif

#if defined __ELF__
	.section .note.GNU-stack, "", %progbits
#endif
