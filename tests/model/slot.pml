/* SPDX-License-Identifier: MIT */

/*
 * slot.pml - one task waits for something that stays true: lib/slot.c, and what
 *            lib/io.c makes of it
 *
 * Sizes       A task reads two bytes from a descriptor, then waits for
 *             something else; the kernel tells twice that a byte has come.
 *             53,000 states.
 *
 * Steps       S1 ... S4   wait_in; publish, co__wait_arm
 *             R1 R2 R3    co__slot_raise_unless; co__wait_claim_on
 *             D1 ... D4   try_call: empty the slot, fence, ask, ready again
 *             back        co__slot_wait, after co__park: task -> empty
 *
 * Memory      S2, R1 and D1 are in a store buffer until memory() empties it, or
 *             a fence waits for that.  Others' loads see the old value, and
 *             their compare-and-swaps wait.
 *
 * Proved      The task reads all bytes; it is readied once for each wait, and
 *             never in the wait for something else.
 *
 * MUTANT_NO_S3        deadlock   no fence between arming and the last look
 * MUTANT_NO_R2        deadlock   no fence between raising and the claim
 * MUTANT_NO_S4        deadlock   no last look
 * MUTANT_NO_D2        deadlock   no fence between emptying and reading
 * MUTANT_EMPTY_LATE   deadlock   D1 after D3
 * MUTANT_S4_READIES   assertion  what S4 finds isn't claimed
 * MUTANT_ANY_WAIT     assertion  R3 doesn't compare the object
 * MUTANT_NO_D4        deadlock   a full read leaves the slot empty
 */

#define EMPTY 0
#define READY 1
#define TASK 2
#define BYTES 2

byte slot = READY;
bool armed;
byte object;			/* 1: the descriptor; 2: something else */
byte epoch;
bool ready;			/* co__ready */
bool parked;			/* the task has left its stack */
byte has_told;			/* ghost: raisers that have ended */
byte arrived;			/* bytes in the kernel */
byte read;			/* ghost: bytes that were read */

bool arming;			/* S2, in the buffer */
bool raising[2];		/* R1, in the buffers: 1 */
bool emptying;			/* D1, in the buffer */

/* A plain store holds off nobody, but comes out when they are done. */
#define SLOT_IS_BUFFERED (raising[0] || raising[1])

inline ready_task()
{
	assert(!ready);
	ready = true
}

active [2] proctype raiser()
{
	byte was;
	bool claimed;

	arrived++;
	atomic {						/* R1 */
		!SLOT_IS_BUFFERED ->
		was = slot;
		raising[_pid] = true
	};
#ifndef MUTANT_NO_R2
	!raising[_pid];						/* R2 */
#endif
	if
	:: was == TASK ->
		/* R3: the load of the object, and the claim of that epoch. */
		atomic {
#ifdef MUTANT_ANY_WAIT
			claimed = armed;
#else
			claimed = armed && object == 1;
#endif
			if
			:: claimed -> armed = false; epoch++
			:: else
			fi
		};
		if
		:: claimed -> ready_task()
		:: else
		fi
	:: else
	fi;
	has_told++
}

/* wait_in, of one parking; it goes on while the task may run already, and
 * park again. */
active [2] proctype hook()
{
	byte ticket;
	bool claimed;

end:	do
	:: atomic { parked -> parked = false; ticket = epoch };
	   atomic {						/* S1 */
		!SLOT_IS_BUFFERED ->
		claimed = slot != EMPTY;
		if
		:: !claimed -> slot = TASK
		:: else
		fi
	   };
	   if
	   :: claimed -> ready_task()
	   :: else ->
		arming = true;					/* S2 */
#ifndef MUTANT_NO_S3
		!arming;					/* S3 */
#endif
#ifndef MUTANT_NO_S4
		if
		:: slot != TASK ->				/* S4 */
#ifndef MUTANT_S4_READIES
			atomic {
				!arming;
				claimed = armed && epoch == ticket;
				if
				:: claimed -> armed = false; epoch++
				:: else
				fi
			};
#else
			claimed = true;
#endif
			if
			:: claimed -> ready_task()
			:: else
			fi
		:: else
		fi
#endif
	   fi;
	   claimed = false
	od
}

inline use_up()
{
	emptying = true;					/* D1 */
#ifndef MUTANT_NO_D2
	!emptying						/* D2 */
#endif
}

/* try_call, for one byte of some more that were asked for. */
inline try_read()
{
	if
	:: slot == EMPTY -> dry = true
	:: else ->
#ifndef MUTANT_EMPTY_LATE
		use_up();
#endif
		atomic {					/* D3 */
			dry = arrived == read;
			read = (dry -> read : read + 1)
		};
#ifdef MUTANT_EMPTY_LATE
		use_up();
#endif
		if
		:: dry
#ifdef MUTANT_NO_D4
		:: else
#else
		:: else -> atomic {				/* D4 */
			!SLOT_IS_BUFFERED ->
			slot = (slot == EMPTY -> READY : slot) }
#endif
		fi
	fi
}

active proctype task()
{
	bool dry;

	do
	:: read == BYTES -> break
	:: else ->
		try_read();
		if
		:: dry ->
			atomic { object = 1; parked = true };
			ready -> ready = false;
			atomic {				/* back */
				!SLOT_IS_BUFFERED ->
				slot = (slot == TASK -> EMPTY : slot)
			}
		:: else
		fi
	od;
	/* Something else, which nobody ends. */
	atomic { object = 2; armed = true };
	has_told == 2;
	assert(armed && !ready)
}

active proctype memory()
{
end:	do
	:: atomic { arming -> arming = false; armed = true }
	:: atomic { raising[0] -> raising[0] = false; slot = READY }
	:: atomic { raising[1] -> raising[1] = false; slot = READY }
	:: atomic { emptying && !SLOT_IS_BUFFERED ->
		emptying = false; slot = EMPTY }
	od
}
