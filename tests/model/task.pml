/* SPDX-License-Identifier: MIT */

/*
 * task.pml - the end of a task, and who joins or detaches it: lib/task.c
 *
 * Sizes       One task ends; another joins it, with a deadline that may end the
 *             wait, joins once more, or detaches it, at once or after that.
 *             Then the memory is a new task's.
 *             6,900 states.
 *
 * Steps       claim_joiner, co__task_finish, co__slot_raise_unless: of who ends
 *             join_state, wait_for_end, take_result, inherit, co_detach: of who
 *             joins
 *             S1 S2 S4, back: wait_for_child, and the hook of co__slot_wait,
 *             see slot.pml, where the fences are; not the way by which who
 *             joins a task that is about to run gets into its slot, with nobody
 *             else there
 *
 * Proved      The memory is released once, after its last use, and not under a
 *             task that is still on its stack; a result is taken after it was
 *             written; who joins is woken.  Nothing is done to the next task in
 *             the same memory.
 *
 * MUTANT_LATE_DETACH  assertion  the end looks for `detached' before it raises
 *                                the slot, not while: co_detach comes between
 * MUTANT_TOUCH_LATE   assertion  the end counts itself after it raised the slot
 * MUTANT_ON_STACK     assertion  the slot is raised before the switch
 * MUTANT_RESULT_LATE  assertion  the result is written after the slot is raised
 * MUTANT_HEIR_FIRST   assertion  the joiner is readied before its slot is changed
 * MUTANT_STAYS        assertion  a join that timed out stays in the slot
 * MUTANT_DETACH_STORES deadlock  co_detach doesn't compare
 * MUTANT_DETACH_LEAVES deadlock  co_detach of an ended task doesn't release it
 */

#define EMPTY 0
#define READY 1
#define DETACHED 2
#define RELEASED 3
#define JOINER 4

byte joined;
bool has_result;
bool in_use = true;
bool has_left;			/* ghost: the ending task is off its stack */
bool is_released;		/* ghost */
bool has_ended;			/* ghost: the hook has */

/* Of who joins: its wait, on the task or on something else. */
bool armed;
byte epoch;
bool timed_out;			/* outcome */
bool inherited;			/* outcome: the task is its own to release */
bool ready;
bool parked;			/* for its hook */

inline release()
{
	atomic {
		assert(!is_released && has_left && !in_use);
		is_released = true;
		joined = RELEASED
	}
}

/* Claim the joiner, to OK. */
inline claim(ok)
{
	atomic {
		ok = armed;
		if
		:: ok -> armed = false; epoch++
		:: else
		fi
	}
}

inline ready_joiner()
{
	assert(!ready);
	ready = true
}

/* --- The task that ends --------------------------------------------------- */

/* co__slot_raise_unless; what it finds, to WAS. */
inline raise(was, ok)
{
	do
	:: was = joined;
	   if
#ifndef MUTANT_LATE_DETACH
	   :: was == DETACHED -> break
#endif
	   :: else
	   fi;
	   atomic {						/* R1 */
		if
		:: joined == was ->
			assert(!is_released);
			joined = READY;
			break
		:: else
		fi
	   }
	od;
	if
	:: was == EMPTY || was == DETACHED
#ifdef MUTANT_LATE_DETACH
		-> assert(was != DETACHED)	/* for it is no task to claim */
#endif
	:: else ->
		claim(ok);					/* R3 */
		if
		:: ok -> ready_joiner()
		:: else
		fi
	fi
}

inline leave_stack()
{
	has_left = true
}

active proctype ending()
{
	byte was;
	bool heir, ok;

#ifndef MUTANT_RESULT_LATE
	has_result = true;
#endif
	/* claim_joiner */
	was = joined;
	if
	:: was == JOINER ->
		claim(heir);
		if
		:: heir -> inherited = true
		:: else
		fi
	:: else
	fi;
#ifndef MUTANT_ON_STACK
	leave_stack();
#endif
	/* co__task_finish */
#ifndef MUTANT_TOUCH_LATE
	in_use = false;
#endif
	if
	:: heir ->
#ifdef MUTANT_HEIR_FIRST
		ready_joiner();
#endif
		atomic { assert(!is_released); joined = RELEASED };
#ifndef MUTANT_HEIR_FIRST
		ready_joiner()
#endif
	:: else ->
#ifdef MUTANT_LATE_DETACH
		was = joined;
		if
		:: was == DETACHED -> release()
		:: else -> raise(was, ok)
		fi
#else
		raise(was, ok);
		if
		:: was == DETACHED -> release()
		:: else
		fi
#endif
	fi;
#ifdef MUTANT_ON_STACK
	leave_stack();
#endif
#ifdef MUTANT_RESULT_LATE
	has_result = true;
#endif
#ifdef MUTANT_TOUCH_LATE
	atomic { assert(!is_released); in_use = false };
#endif
	has_ended = true
}

/* --- Who joins ------------------------------------------------------------ */

/* wait_in. */
active [2] proctype hook()
{
	byte ticket;
	bool ok;

end:	do
	:: atomic { parked -> parked = false; ticket = epoch };
	   atomic {						/* S1 */
		ok = (joined == EMPTY);
		if
		:: ok -> joined = JOINER
		:: else
		fi
	   };
	   if
	   :: !ok -> ready_joiner()
	   :: else ->
		armed = true;					/* S2 */
		if
		:: joined != JOINER ->				/* S4 */
			atomic {
				ok = armed && epoch == ticket;
				if
				:: ok -> armed = false; epoch++
				:: else
				fi
			};
			if
			:: ok -> ready_joiner()
			:: else
			fi
		:: else
		fi
	   fi;
	   ok = false
	od
}

/* The deadline of the first wait, which may be late. */
active proctype timer()
{
end:	atomic { armed && epoch == 0 -> armed = false; epoch++ };
	timed_out = true;
	ready_joiner()
}

/* join_state, to RC: what the slot says. */
inline join_state(rc)
{
	atomic {
		rc = joined;
		assert(!is_released && (rc == EMPTY || rc == READY))
	}
}

inline take_result()
{
	atomic {
		assert(has_result && joined == READY);
		joined = RELEASED
	};
	release()
}

inline inherit()
{
	assert(has_result && joined == RELEASED);
	release()
}

/* co_join, to RC; EMPTY: it timed out. */
inline join_task(rc)
{
	do
	:: join_state(rc);
	   if
	   :: rc == READY -> take_result(); break
	   :: else
	   fi;
	   parked = true;
	   atomic { ready -> ready = false };
#ifndef MUTANT_STAYS
	   atomic {						/* back */
		assert(!is_released);
		joined = (joined == JOINER -> EMPTY : joined)
	   };
#endif
	   if
	   :: inherited -> inherit(); rc = READY; break
	   :: timed_out -> timed_out = false; rc = EMPTY; break
	   :: else
	   fi
	od
}

inline detach(rc)
{
#ifdef MUTANT_DETACH_STORES
	joined = DETACHED
#else
	do
	:: atomic {
		if
		:: joined == EMPTY -> joined = DETACHED; break
		:: else
		fi
	   };
	   join_state(rc);
	   if
	   :: rc == READY ->
#ifndef MUTANT_DETACH_LEAVES
		take_result();
#endif
		break
	   :: else
	   fi
	od
#endif
}

active proctype joiner()
{
	byte rc;

	do
	:: is_released -> break
	:: !is_released -> join_task(rc)
	:: !is_released -> detach(rc); break
	od;
	/* The next task begins in the same memory, and nobody touches it. */
	atomic { is_released -> joined = EMPTY };
	has_ended;
	assert(joined == EMPTY)
}
