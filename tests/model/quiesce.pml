/* SPDX-License-Identifier: MIT */

/*
 * quiesce.pml - when a loop has ended, or is stuck, and may be destroyed:
 *               lib/idle.c, lib/loop.c, lib/tick.c
 *
 * Sizes       Two workers; a task that waits, and a thread that has a reference
 *             to the loop.  The thread may wake the task, and gives up the
 *             reference.  A third thread runs the loop and destroys it.
 *             950,000 states.
 *
 * Steps       visit       co__loop_enter, co__loop_leave
 *             wake        co__ready from outside: co__ready_foreign
 *             unref       co_loop_unref
 *             I1 I2 I3    co__idle_sleep, and co__loop_quiesce after it
 *             why_end     is atomic but for what changes without the lock
 *             end         co__loop_end, co__idle_wake_all
 *             destroy     co_loop_run has returned; co_loop_destroy
 *             The store buffers are those of idle.inc.
 *
 * Proved      The loop ends, and in time: stuck if the task was never woken,
 *             and else when it has ended.  Nobody touches the loop after it was
 *             destroyed.
 *
 * MUTANT_LAST_ONLY       deadlock   only who joins the list last judges the end
 * MUTANT_JUDGE_EARLY     deadlock   the end is judged before I2
 * MUTANT_JUDGE_UNLOCKED  assertion  it is judged without the lock
 * MUTANT_REFS_LAST       assertion  the references are read after the queues
 * MUTANT_UNREF_SILENT    deadlock   who gives up the last one tells nobody
 * MUTANT_UNREF_FIRST     assertion  the last one is given up before the wake
 * MUTANT_END_NO_FENCE    deadlock   no fence between `stop' and the waking
 * MUTANT_STOP_UNSEEN     deadlock   I3 doesn't look at `stop'
 * MUTANT_NO_VISIT        assertion  unref is no visit
 * MUTANT_ENTER_LATE      assertion  the visit begins after the unref
 * MUTANT_LEAVE_EARLY     assertion  the visit ends before the telling
 * MUTANT_NO_VISIT_WAIT   assertion  destroy doesn't wait for visitors
 */

#define WORKERS 2

byte injected;			/* the task, in the inject queue */
byte tasks = 1;
byte refs = 1;
byte visitors;
byte stop;
#define DONE 1
#define STUCK 2
byte returned;			/* workers that have */
bool gone;			/* ghost: the loop was destroyed */
bool is_woken;			/* ghost: the thread wakes the task */
bool adding;			/* `stop', in the buffer of who ends the loop */
byte reason_buffered;
bool surprise = true;		/* once the poller wakes for nothing */

#define has_work (injected > 0)

inline poll_ended(polls)
{
	skip
}

#include "idle.inc"

/* --- The thread ----------------------------------------------------------- */

#define HERE assert(!gone)	/* the loop is touched */

inline wake_task()
{
	visitors++;
	injected++;						/* N1 */
	notify(false, v, polled);
	atomic { HERE; visitors-- }
}

inline unref()
{
#if !defined MUTANT_NO_VISIT && !defined MUTANT_ENTER_LATE
	visitors++;
#endif
	atomic { HERE; refs-- };
#ifdef MUTANT_ENTER_LATE
	visitors++;
#endif
#ifdef MUTANT_LEAVE_EARLY
	visitors--;
#endif
#ifndef MUTANT_UNREF_SILENT
	HERE;
	notify(false, v, polled);
	HERE;
#endif
#if !defined MUTANT_NO_VISIT && !defined MUTANT_LEAVE_EARLY
	visitors--
#endif
}

active proctype thread()
{
	byte v;
	bool polled;

	if
	:: is_woken = true;
#ifdef MUTANT_UNREF_FIRST
		unref();
		wake_task()
#else
		wake_task();
		unref()
#endif
	:: unref()
	fi
}

/* --- The workers ---------------------------------------------------------- */

/* why_end, to `reason'. */
inline why_end()
{
	if
	:: count != WORKERS -> reason = 0
#ifdef MUTANT_REFS_LAST
	:: else ->
		reason = (has_work -> 0 : DONE);
		if
		:: reason == 0 || refs != 0 -> reason = 0
#else
	:: else ->
		reason = refs;
		if
		:: reason != 0 || has_work -> reason = 0
#endif
		:: else -> reason = (tasks == 0 -> DONE : STUCK)
		fi
	fi
}

/* co__loop_end. */
inline end_loop()
{
	atomic {
		if
		:: stop == 0 && !adding ->
			adding = true;
			reason_buffered = reason
		:: else
		fi
	};
#ifndef MUTANT_END_NO_FENCE
	!adding;
#endif
	do
	:: wake_first(true, v, polled);
	   if
	   :: v == NOBODY -> v = 0; break
	   :: else -> v = 0
	   fi
	od
}

/* co__loop_quiesce. */
inline quiesce()
{
	if
	:: count != WORKERS
	:: else ->
#ifndef MUTANT_JUDGE_UNLOCKED
		acquire();
#endif
		why_end();
#ifndef MUTANT_JUDGE_UNLOCKED
		lock = false;
#endif
		if
		:: reason != 0 ->
			/* Stuck is what nobody will wake, and done is done. */
			assert(reason != STUCK || !is_woken);
			assert(reason != DONE || tasks == 0);
			end_loop();
			reason = 0
		:: else
		fi
	fi
}

/* Is it the last to join?  Asked under the lock. */
#ifdef MUTANT_LAST_ONLY
#define MAY_JUDGE last
#else
#define MAY_JUDGE true
#endif

inline wait(w)
{
	if
	:: polls ->
		if
		:: told -> told = false
		:: surprise -> surprise = false
		fi
	:: else -> atomic { sem[w] > 0 -> sem[w]--; waited = true }
	fi
}

inline idle_sleep(w)
{
	get_poller(w, polls);
	atomic {						/* I1 */
		acquire();
		join(w, polls);
		last = count + 1 == WORKERS
	};
#ifdef MUTANT_JUDGE_EARLY
	!IN_BUFFER(w);
	quiesce();
#endif
	if
	:: is_searching[w] -> count_down(w)
	:: else
	fi;
	!IN_BUFFER(w);						/* I2 */
#ifdef MUTANT_STOP_UNSEEN
	if
	:: has_work
#else
	if							/* I3 */
	:: has_work || stop != 0
#endif
	:: else ->
#ifndef MUTANT_JUDGE_EARLY
		if
		:: MAY_JUDGE -> quiesce()
		:: else
		fi;
#endif
		wait(w)
	fi;
	last = false;
	end_idle(w, polls, signalled);
	if
	:: signalled ->
		is_searching[w] = true;
		if
		:: !polls && !waited -> atomic { sem[w] > 0 -> sem[w]-- }
		:: else
		fi
	:: else
	fi;
	atomic { polls = false; waited = false; signalled = false }
}

/* take_injected, or a theft. */
inline take()
{
	atomic {
		if
		:: injected > 0 -> injected--; task = true
		:: else
		fi
	}
}

active [2] proctype worker()
{
	bool task, polls, waited, signalled, last, polled;
	byte v, reason;

	do
	:: stop != 0 -> break
	:: else ->
		take();
		if
		:: !task -> search(_pid - 1); take()
		:: else
		fi;
		if
		:: task ->
			found(_pid - 1, last, v, polled);
			tasks--;
			task = false
		:: else -> idle_sleep(_pid - 1)
		fi
	od;
	found(_pid - 1, last, v, polled);
	returned++
}

active proctype runner()
{
	returned == WORKERS;
	assert(stop == (is_woken -> DONE : STUCK));
	assert(tasks == (is_woken -> 0 : 1));
#ifndef MUTANT_NO_VISIT_WAIT
	visitors == 0;
#endif
	gone = true
}

active proctype memory()
{
end:	do
	:: flush(0)
	:: flush(1)
	:: flush_searching(0)
	:: flush_searching(1)
	:: atomic { adding -> adding = false; stop = reason_buffered }
	od
}
