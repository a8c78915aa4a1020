/* SPDX-License-Identifier: MIT */

/*
 * wait.pml - a wait that an event, a deadline, a cancellation or one of two
 *            cases ends: lib/wait.c, lib/timer.c
 *
 * Sizes       A task waits twice, each time with two waiters of one ticket, as
 *             a select has; a cancellation that the task may hide; and either
 *             two events, or one and a clock of three times, which may stop.
 *             Its deadline may come, move to earlier or later, or go.
 *             575,000 states.
 *
 * Steps       prepare     co__wait_prepare, co__timer_set
 *             arm         co__wait_arm, settle; the task's hook, which here is
 *                         the task: it does nothing until it is claimed
 *             claim       co__wait_claim
 *             cancel      co_cancel
 *             go_off      of lib/timer.c, under the wheel's lock
 *             withdraw    what each primitive does after co__park
 *             One look at the word and the compare-and-swap after it are two
 *             steps.  Neither needs a fence: it is one word.
 *
 * Proved      A wait is ended once, by what its outcome says; an event that did
 *             not end it keeps its item; and no cancellation and no deadline is
 *             missed: when nothing happens any more the task waits only if
 *             there is none, or it is still to come.
 *
 * MUTANT_ARM_STORES     assertion  arming doesn't compare: news is lost
 * MUTANT_ARM_BLIND      assertion  arming doesn't look for CANCEL
 * MUTANT_ARM_EXPIRED    assertion  arming doesn't look for EXPIRED
 * MUTANT_CLAIM_STORES   assertion  a claim is a look and a store
 * MUTANT_CLAIM_ANY      assertion  a claim doesn't compare the epoch
 * MUTANT_EPOCH_STAYS    assertion  a claim doesn't count the epoch up
 * MUTANT_CANCEL_TWICE   assertion  CANCEL is set by a second compare-and-swap
 * MUTANT_HIDE_NOTHING   assertion  a hidden cancellation ends the wait
 * MUTANT_UNTOLD         assertion  a timer that finds nobody armed says nothing
 * MUTANT_NOT_SET_ANEW   assertion  nor is it set to the later deadline
 * MUTANT_NOT_EARLIER    assertion  a deadline that is earlier sets no timer
 * MUTANT_SETTLE_CLEARS  assertion  settle clears EXPIRED and sets no timer
 * MUTANT_OLD_DEADLINE   assertion  a wait without one leaves the last one there
 */

#define NEVER 9
#define ARMED 1
#define CANCEL 2
#define EXPIRED 4
#define MASKED 8
#define EPOCH 16

byte word;
byte now;			/* 0 .. 2 */
byte wait_deadline = NEVER;
byte timer = NEVER;		/* when it goes off; NEVER: it is in no wheel */
bool wheel_lock;
bool is_masked;

/* Two waiters, in the lists of two objects, each under a strand of its own. */
bool linked[2];
byte ticket;			/* of both */
bool served[2];
byte served_in;			/* ghost: the ticket of who served */
bool ready;			/* co__ready */
#define NONE 0
#define EVENT 1
#define TIMED_OUT 2
#define CANCELLED 3
byte outcome;
bool is_cancelled;		/* ghost: co_cancel has returned */
bool is_waiting;		/* ghost: the task has parked */
byte deadline = NEVER;		/* the task's */
bool has_clock;			/* ghost: one event and deadlines, or two */

#define epoch_of(w) (w / EPOCH)
#define claimed_of(w) ((epoch_of(w) + 1) * EPOCH + (w & (CANCEL | EXPIRED)))

inline make_ready(why)
{
	atomic {
		assert(!ready && is_waiting);
		outcome = why;
		ready = true
	}
}

/* co__wait_claim, to OK. */
inline claim(number, seen, ok)
{
	do
	:: seen = word;
#ifdef MUTANT_CLAIM_ANY
	   ok = (seen & ARMED) != 0;
#else
	   ok = (seen & ARMED) && epoch_of(seen) == number;
#endif
	   if
	   :: !ok -> break
	   :: else
	   fi;
	   atomic {
		if
#ifdef MUTANT_CLAIM_STORES
		:: true ->
#else
		:: word == seen ->
#endif
#ifdef MUTANT_EPOCH_STAYS
			word = seen & ~ARMED;
#else
			word = claimed_of(seen);
#endif
			break
#ifndef MUTANT_CLAIM_STORES
		:: else
#endif
		fi
	   }
	od;
	seen = 0
}

/* An event for one of the objects takes its waiter out, and serves it. */
active [2] proctype event()
{
	byte seen, number;
	bool ok;

end:	atomic { linked[_pid] && !(has_clock && _pid == 1) ->
		linked[_pid] = false; number = ticket };
	claim(number, seen, ok);
	if
	:: ok ->
		assert(!served[1 - _pid]);
		atomic { served[_pid] = true; served_in = number };
		make_ready(EVENT)
	:: else			/* the item goes elsewhere */
	fi;
	atomic { number = 0; ok = false }
}

active proctype canceller()
{
	byte seen;
	bool ok;

	if
	:: true
	:: true -> goto not_now
	fi;
	do
	:: seen = word;
	   ok = (seen & ARMED) && !(seen & MASKED);
#ifdef MUTANT_HIDE_NOTHING
	   ok = (seen & ARMED) != 0;
#endif
	   atomic {
		if
		:: word == seen ->
#ifdef MUTANT_CANCEL_TWICE
			word = (ok -> claimed_of(seen) : seen);
#else
			word = (ok -> claimed_of(seen) : seen) | CANCEL;
#endif
			break
		:: else
		fi
	   }
	od;
#ifdef MUTANT_CANCEL_TWICE
	word = word | CANCEL;
#endif
	is_cancelled = true;
	if
	:: ok -> make_ready(CANCELLED)
	:: else
	fi;
not_now: skip
}

active proctype clock()
{
end:	do
	:: has_clock && now < 2 -> now++
	:: break
	od
}

/* The wheel of a worker: go_off. */
active proctype wheel()
{
	byte seen, when;
	bool is_armed, due;

end:	do
	:: atomic { timer <= now && !wheel_lock ->
		wheel_lock = true; timer = NEVER };
	   do
	   :: seen = word;
	      is_armed = (seen & ARMED) != 0;
	      when = (is_armed -> wait_deadline : NEVER);
	      due = is_armed && when <= now;
	      atomic {
		if
		:: word == seen ->
#ifdef MUTANT_UNTOLD
			word = (due -> (claimed_of(seen) | EXPIRED) : seen);
#else
			word = (due -> claimed_of(seen) : seen) | EXPIRED;
#endif
			break
		:: else
		fi
	      }
	   od;
	   atomic {
		if
#ifndef MUTANT_NOT_SET_ANEW
		:: is_armed && !due && when != NEVER -> timer = when
#endif
		:: else
		fi;
		wheel_lock = false
	   };
	   if
	   :: due -> make_ready(TIMED_OUT)
	   :: else
	   fi;
	   atomic { seen = 0; when = 0; is_armed = false; due = false }
	od
}

/* --- The task ------------------------------------------------------------- */

byte timer_when = NEVER;

/* co__timer_set. */
inline set_timer()
{
	atomic { !wheel_lock -> timer = NEVER };		/* unset */
	word = word & ~EXPIRED;
	timer_when = deadline;
	atomic { !wheel_lock -> timer = deadline }
}

/* co__wait_prepare, to RC. */
inline prepare(rc)
{
	rc = NONE;
	if
	:: (word & CANCEL) && !is_masked -> rc = CANCELLED
	:: else ->
		if
		:: deadline == NEVER
		:: deadline <= now -> rc = TIMED_OUT
		:: else ->
#ifndef MUTANT_NOT_EARLIER
			if
			:: deadline < timer_when || (word & EXPIRED) ->
				set_timer()
			:: else
			fi;
#else
			if
			:: timer_when == NEVER || (word & EXPIRED) ->
				set_timer()
			:: else
			fi;
#endif
			wait_deadline = deadline
		fi
	fi
}

#ifdef MUTANT_ARM_BLIND
#define UNWELCOME EXPIRED
#else
#ifdef MUTANT_ARM_EXPIRED
#define UNWELCOME (CANCEL * (1 - is_masked))
#else
#define UNWELCOME (EXPIRED + CANCEL * (1 - is_masked))
#endif
#endif

/* co__wait_arm, to RC. */
inline arm(seen, rc)
{
#ifndef MUTANT_OLD_DEADLINE
	if
	:: deadline == NEVER -> wait_deadline = NEVER
	:: else
	fi;
#endif
	do
	:: seen = word;
	   if
	   :: (seen & UNWELCOME) != 0 ->			/* settle */
		if
		:: (word & CANCEL) && !is_masked -> rc = CANCELLED; break
		:: else
		fi;
		if
		:: deadline <= now -> rc = TIMED_OUT; break
		:: else
		fi;
#ifdef MUTANT_SETTLE_CLEARS
		word = word & ~EXPIRED
#else
		set_timer()
#endif
	   :: else ->
		atomic {
			if
#ifdef MUTANT_ARM_STORES
			:: true ->
#else
			:: word == seen ->
#endif
				word = seen | (ARMED + MASKED * is_masked);
				break
#ifndef MUTANT_ARM_STORES
			:: else
#endif
			fi
		}
	   fi
	od;
	seen = 0
}

/* One call that waits in two objects, to RC. */
inline call(seen, rc)
{
	prepare(rc);
	if
	:: rc != NONE
	:: else ->
		atomic {	/* the strands are held until it is armed */
			ticket = epoch_of(word);
			is_waiting = true
		};
		arm(seen, rc);
		if
		:: rc != NONE -> is_waiting = false
		:: else ->
			atomic { linked[0] = true; linked[1] = true };
end_wait:		atomic { ready -> ready = false; is_waiting = false };
			rc = outcome;
			atomic {			/* withdraw */
				linked[0] = false;
				linked[1] = false;
				check(rc);
				served[0] = false;
				served[1] = false;
				served_in = 0;
				outcome = NONE
			}
		fi
	fi
}

inline check(rc)
{
	assert((rc == EVENT) == (served[0] || served[1]));
	assert(!served[0] || !served[1]);
	assert(rc != EVENT || served_in == ticket);
	assert(rc != TIMED_OUT || deadline <= now);
	assert(rc != CANCELLED || ((word & CANCEL) && !is_masked))
}

inline choose_deadline()
{
	if
	:: has_clock -> deadline = 1
	:: has_clock -> deadline = 2
	:: deadline = NEVER
	fi
}

active proctype task()
{
	byte seen, rc, calls;

	if
	:: has_clock = true
	:: true
	fi;
	do
	:: calls < 2 ->
		choose_deadline();
		if
		:: calls == 0 -> is_masked = true
		:: is_masked = false
		fi;
		call(seen, rc);
		calls++
	:: else -> break
	od
}

/* When nothing more happens, the task waits only if nothing is to end it. */
active proctype judge()
{
	timeout ->
	assert(!is_waiting || ((is_masked || !is_cancelled)
		&& deadline > now && !ready))
}
