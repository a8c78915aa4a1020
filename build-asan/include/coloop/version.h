/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_VERSION_H
#define COLOOP_VERSION_H

/* The version of libcoloop.                                   co_version(3) */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CO_VERSION_MAJOR 0
#define CO_VERSION_MINOR 1
#define CO_VERSION_PATCH 0
#define CO_VERSION "0.1.0"

/* The version of the library that the program runs with, such as "0.1.0".
 * It may be newer than CO_VERSION, the one it was compiled with. */
CO_API const char *co_version(void);

#ifdef __cplusplus
}
#endif

#endif
