/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_WHERE_H
#define COLOOP_LIB_WHERE_H

/*
 * where.h - addresses of code, for people
 */

#include <stddef.h>

/* Room for most; what is longer is cut. */
#define CO__WHERE_SIZE 160

/* Where the call is that returns to ADDRESS, into TEXT, as
 *
 *	serve+0x41 (server+0x1241)
 *
 * if the symbol is known, which takes one that other modules may use; else what
 * is in the brackets, a file and an address in it that addr2line(1) takes;
 * or the address alone, if no module has it. */
void co__where(const void *address, char *text, size_t size);

#endif
