/* SPDX-License-Identifier: MIT */

/*
 * idle.pml - workers sleep without losing a wake-up: lib/idle.c, lib/find.c
 *
 * Sizes       Two workers.  Of four ways to have work one is chosen: two
 *             threads put a task each into the inject queue; one puts a task
 *             that spawns two others; one puts a task that sets a timer; one
 *             readies a task that is pinned to the second worker.  Once, a
 *             descriptor wakes the poller.
 *             3,400,000 states.
 *
 * Steps       N1 N2 N3    co__ready_foreign, co__near_add, take_injected;
 *                         co__idle_notify
 *             I1          begin_idle: join, in idle.inc
 *             I2 I3       co__idle_sleep
 *             look        co__find_task, co__near_pick, take_injected,
 *                         steal_from, run_timers, take_pinned
 *             The store buffers are those of idle.inc.
 *
 * Proved      Each task ends though it ends only when all others run too: so
 *             each wake-up that is needed comes, and not just when the worker
 *             that is awake has nothing else to do.  (The monitor isn't here to
 *             help.)  A signal is sent for each worker that is taken off the
 *             list, and waited for; `searching' never falls below 0.
 *
 * MUTANT_NO_N2           deadlock   no fence after the put
 * MUTANT_NO_I2           deadlock   no fence before the last look
 * MUTANT_NO_RECHECK      deadlock   no last look
 * MUTANT_LOOK_FIRST      deadlock   I3 before I1
 * MUTANT_COUNT_LATE      deadlock   searching - 1 after I3
 * MUTANT_PHANTOM         deadlock   a waker counts itself as a searcher until
 *                                   it has found out that nobody is idle
 * MUTANT_UNCOUNTED       assertion  the woken isn't counted by who wakes it
 * MUTANT_NO_LAST_LOOK    deadlock   the last searcher finds work, and that's it
 * MUTANT_NO_FOUND_FENCE  deadlock   no fence before it looks once more
 * MUTANT_SIGNAL_LEFT     assertion  a signal that is owed isn't waited for
 * MUTANT_ROLE_LATE       assertion  how to signal is looked up after unlocking
 * MUTANT_TAKER_SILENT    deadlock   who takes several tasks tells nobody
 * MUTANT_PINNED_TO_ANY   deadlock   a pinned task wakes one, if none searches
 * MUTANT_NO_RECOMPUTE    deadlock   a new timer doesn't wake the poller
 */

#define WORKERS 2

byte injected;			/* in the inject queue */
bool inject_lock;
byte queued[WORKERS];		/* in the run queues */
byte pinned;			/* of worker 1 */
bool timer;			/* is set, in the wheel of `timer_of' */
byte timer_of;
byte poll_until;		/* lock */
#define NOW 0			/* nobody sleeps in the poller */
#define TIMER 1
#define NEVER 2
bool surprise = true;		/* a descriptor may become ready */

byte expected;			/* ghost: tasks that run until all do */
byte running;			/* ghost: of these */
byte first_does;		/* what the first task does */
#define RUNS 0
#define SPAWNS 1
#define SETS_TIMER 2

bool adding[2];			/* N1 of the threads, in the buffer */
bool spawning[WORKERS];		/* N1 of the workers, in the buffer */

#define has_work (injected > 0 || queued[0] > 0 || queued[1] > 0)
#define sees_work(w) (has_work || (w == 1 && pinned > 0))

inline poll_ended(polls)
{
	if
	:: polls -> poll_until = NOW
	:: else
	fi
}

#include "idle.inc"

/* --- The threads ---------------------------------------------------------- */

proctype adder(byte id)
{
	byte v;
	bool polled;

	adding[id] = true;					/* N1 */
	notify(adding[id], v, polled)
}

proctype pinned_adder()
{
	byte v;
	bool polled;

	pinned++;						/* N1 */
#ifdef MUTANT_PINNED_TO_ANY
	notify(false, v, polled)
#else
	if
	:: count == 0						/* N3 */
	:: else ->
		acquire();
		if
		:: is_idle[1] ->
			atomic { !SEARCHING_IS_BUFFERED -> searching++ };
			leave_and_unlock(1, polled);
			send_signal(1, polled)
		:: else -> lock = false
		fi
	fi
#endif
}

/* --- The workers ---------------------------------------------------------- */

/* co__near_add: append one, and tell the idle if it isn't the only one. */
inline spawn(w)
{
	spawning[w] = true;					/* N1 */
	if
	:: queued[w] >= 1 -> notify(spawning[w], v, polled)
	:: else -> !spawning[w]
	fi
}

/* A task runs. */
inline execute(w)
{
	if
	:: first_does == SPAWNS ->
		first_does = RUNS;
		spawn(w);
		spawn(w)
	:: first_does == SETS_TIMER ->
		first_does = RUNS;
		timer_of = w;
		timer = true
	:: else ->
		running++;
		running == expected
	fi
}

/* take_injected: all into the own queue. */
inline take_injected(w)
{
	atomic {
		if
		:: inject_lock -> n = 0
		:: else -> n = injected; injected = 0; inject_lock = n > 0
		fi
	};
	if
	:: n == 0
	:: else ->
		atomic {
			inject_lock = false;
			queued[w] = queued[w] + n;
			n = 0
		};
#ifndef MUTANT_TAKER_SILENT
		if
		:: injected > 0 || queued[w] > 1 -> notify(false, v, polled)
		:: else
		fi
#endif
	fi
}

/* run_timers, of all workers; the time may have come or not. */
inline run_timers(w)
{
	if
	:: timer -> timer = false; queued[w]++
	:: true
	fi
}

/* Take one of the own queue, to `task'. */
inline pick_near(w)
{
	if
	:: queued[w] > 0 -> queued[w]--; task = true
	:: else
	fi
}

/* Half of the other's queue is one: there are never three. */
inline steal(w)
{
	atomic {
		if
		:: queued[1 - w] > 0 -> queued[1 - w]--; task = true
		:: else
		fi
	}
}

inline take_pinned(w)
{
	if
	:: w == 1 && pinned > 0 -> pinned--; task = true
	:: else
	fi
}

inline begin_idle(w)
{
	atomic {						/* I1 */
		acquire();
		join(w, polls);
		if
		:: polls -> poll_until = (timer -> TIMER : NEVER)
#ifndef MUTANT_NO_RECOMPUTE
		:: !polls && timer && timer_of == w && poll_until == NEVER ->
			told = true
#endif
		:: else
		fi
	}
}

inline count_down_and_fence(w)
{
	if
	:: is_searching[w] -> count_down(w)
	:: else
	fi;
#ifndef MUTANT_NO_I2
	!IN_BUFFER(w)						/* I2 */
#endif
}

inline wait(w)
{
	if
	:: polls ->
end_poll:	if
		:: told -> told = false
		:: timer && poll_until == TIMER
		:: surprise -> surprise = false
		fi
	:: else ->
end_sleep:	atomic { sem[w] > 0 -> sem[w]--; waited = true }
	fi
}

/* co__idle_sleep. */
inline idle_sleep(w)
{
	get_poller(w, polls);
#ifdef MUTANT_LOOK_FIRST
	last = sees_work(w);
	begin_idle(w);
	count_down_and_fence(w);
#else
	begin_idle(w);
#ifndef MUTANT_COUNT_LATE
	count_down_and_fence(w);
#else
	!IN_BUFFER(w);
#endif
#ifdef MUTANT_NO_RECHECK
	last = false;
#else
	last = sees_work(w);					/* I3 */
#endif
#endif
#ifdef MUTANT_COUNT_LATE
	count_down_and_fence(w);
#endif
	if
	:: last -> last = false
	:: else -> wait(w)
	fi;
	end_idle(w, polls, signalled);
	if
	:: signalled ->
		is_searching[w] = true;
#ifndef MUTANT_SIGNAL_LEFT
		if
		:: !polls && !waited -> atomic { sem[w] > 0 -> sem[w]-- }
		:: else
		fi
#endif
	:: else
	fi;
	atomic { polls = false; waited = false; signalled = false }
}

proctype worker(byte w)
{
	bool task, polls, waited, signalled, last, polled;
	byte n, v;

	do
	:: atomic {
		take_pinned(w);
		if
		:: !task -> pick_near(w)
		:: else
		fi;
		if
		:: !task -> run_timers(w)
		:: else
		fi
	   };
	   if
	   :: !task ->
		take_injected(w);
		atomic { pick_near(w) }
	   :: else
	   fi;
	   if
	   :: !task ->
		search(w);
		steal(w)
	   :: else
	   fi;
	   if
	   :: task ->
		task = false;
		found(w, last, v, polled);
		execute(w)
	   :: else -> idle_sleep(w)
	   fi
	od
}

/* The store buffers. */
active proctype memory()
{
end:	do
	:: flush(0)
	:: flush(1)
	:: flush_searching(0)
	:: flush_searching(1)
	:: atomic { adding[0] -> adding[0] = false; injected++ }
	:: atomic { adding[1] -> adding[1] = false; injected++ }
	:: atomic { spawning[0] -> spawning[0] = false; queued[0]++ }
	:: atomic { spawning[1] -> spawning[1] = false; queued[1]++ }
	od
}

init {
	atomic {
		run worker(0);
		run worker(1);
		if
		:: expected = 1; run pinned_adder()
		:: expected = 2; run adder(0); run adder(1)
		:: expected = 2; first_does = SPAWNS; run adder(0)
		:: expected = 1; first_does = SETS_TIMER; run adder(0)
		fi
	};
	running == expected
}
