/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_H
#define COLOOP_H

/*
 * libcoloop: stackful coroutines ("tasks") on a multi-threaded event loop.
 *
 * This header includes all the others.  coloop(7) is the place to start.
 */

#include <coloop/base.h>
#include <coloop/blocking.h>
#include <coloop/channel.h>
#include <coloop/errno.h>
#include <coloop/group.h>
#include <coloop/io.h>
#include <coloop/lock.h>
#include <coloop/locked.h>
#include <coloop/loop.h>
#include <coloop/queue.h>
#include <coloop/select.h>
#include <coloop/stack.h>
#include <coloop/task.h>
#include <coloop/tcp.h>
#include <coloop/time.h>
#include <coloop/version.h>

#endif
