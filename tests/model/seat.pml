/* SPDX-License-Identifier: MIT */

/*
 * seat.pml - a strand that a worker owns, and is taken from him: lib/strand.h,
 *            lib/seat.h
 *
 * Sizes       Two workers use a strand three times each, and a thread without a
 *             seat once.  Who releases it may have the habit or not.
 *             560,000 states.
 *
 * Steps       E1 ... E4, B1 ... B3   as in strand.h
 *             take        free -> HELD, of co__strand_try
 *             hold        co__strand_try_hold: also what its own owner does
 *             release     co__strand_release, which makes it free, or its own
 *             What a worker stores waits in a buffer, first in first out, and
 *             gets to memory at some later moment: this is what its processor
 *             may do.  A compare-and-swap empties its buffer first; so does
 *             B2, from another processor.  The worker sees its own stores.
 *
 * Proved      One at a time uses the strand, and sees what the last one did.
 *
 * MUTANT_NO_BARRIER     assertion  no B2
 * MUTANT_NO_LOOK        assertion  no B3
 * MUTANT_LOOK_FIRST     assertion  B3 before B2
 * MUTANT_E2_FIRST       assertion  E2 before E1
 * MUTANT_NO_E2          assertion  a look at the word before E1 is enough
 * MUTANT_E4_FIRST       assertion  E4 before the last store of E3
 * MUTANT_B1_STORES      assertion  B1 is a store, not a compare-and-swap
 * MUTANT_OWN_STORES     assertion  so it is when the owner holds it
 * MUTANT_OWNED_LATE     assertion  it is made free, and then its own
 */

#define USES 3

#define FREE 0
#define HELD 1
#define OWNED 2			/* and the number of the worker */

#define WORD 0
#define INSIDE 1
#define DATA 2

byte word;
bool inside[2];
byte data;			/* strand: how often it was used */
byte total;			/* ghost: the same */
chan buffer[2] = [6] of { byte, byte };

/* The processors of the workers. */
active [2] proctype memory()
{
	byte value;

end:	do
	:: atomic { buffer[_pid]?WORD, value -> word = value; value = 0 }
	:: atomic { buffer[_pid]?INSIDE, value -> inside[_pid] = value; value = 0 }
	:: atomic { buffer[_pid]?DATA, value -> data = value; value = 0 }
	od
}

/* Of worker ME: what it sees of the word, to SEEN. */
inline look()
{
	atomic {
		seen = (buffer[me]??[WORD, _] -> last_word : word)
	}
}

inline use()
{
	d_step {
		seen = (buffer[me]??[DATA, _] -> last_data : data);
		assert(seen == total);
		total++;
		last_data = total;
		seen = 0
	};
	buffer[me]!DATA, last_data
}

/* B1 to B3, by worker ME, from who owns it by SEEN. */
inline take_over()
{
#ifdef MUTANT_B1_STORES
	atomic { empty(buffer[me]) -> got = true; word = HELD };
#else
	atomic {						/* B1 */
		empty(buffer[me]) ->
		got = word == seen;
		word = (got -> HELD : word)
	};
#endif
	if
	:: got -> see_out()
	:: else
	fi
}

inline see_out()
{
#ifdef MUTANT_LOOK_FIRST
	!inside[seen - OWNED];
#endif
#ifndef MUTANT_NO_BARRIER
	empty(buffer[seen - OWNED]);				/* B2 */
#endif
#if !defined MUTANT_NO_LOOK && !defined MUTANT_LOOK_FIRST
	!inside[seen - OWNED];					/* B3 */
#endif
	skip
}

inline release()
{
	if
	:: last_word = FREE
	:: last_word = OWNED + me
	fi;
#ifdef MUTANT_OWNED_LATE
	buffer[me]!WORD, FREE;
#endif
	buffer[me]!WORD, last_word
}

proctype worker(byte me)
{
	byte uses, seen, last_word, last_data;
	bool got;

	do
	:: uses == USES -> break
	:: else ->
		look();
		if
		:: seen == FREE ->				/* take */
			atomic {
				empty(buffer[me]) ->
				got = word == FREE;
				word = (got -> HELD : word)
			}
		:: seen == OWNED + me ->
#ifdef MUTANT_E2_FIRST
			look();
			buffer[me]!INSIDE, 1;
#else
			buffer[me]!INSIDE, 1;			/* E1 */
#ifndef MUTANT_NO_E2
			look();					/* E2 */
#endif
#endif
			if
			:: seen == OWNED + me ->
#ifdef MUTANT_E4_FIRST
				buffer[me]!INSIDE, 0;
				use();
#else
				use();				/* E3 */
				buffer[me]!INSIDE, 0;		/* E4 */
#endif
				uses++
			:: else ->
				buffer[me]!INSIDE, 0
			fi
		:: seen == OWNED + me ->			/* hold */
#ifdef MUTANT_OWN_STORES
			atomic { empty(buffer[me]) -> got = true; word = HELD }
#else
			atomic {
				empty(buffer[me]) ->
				got = word == seen;
				word = (got -> HELD : word)
			}
#endif
		:: seen == OWNED + 1 - me -> take_over()
		:: seen == HELD
		fi;
		if
		:: got ->
			use();
			release();
			uses++
		:: else
		fi;
		got = false;
		seen = 0
	od
}

/* A thread without a seat; its stores are at once in memory. */
proctype stranger()
{
	byte seen;

	do
	:: seen = word;
	   if
	   :: seen == HELD
	   :: else -> atomic {
		if
		:: word == seen -> word = HELD; break
		:: else
		fi }
	   fi
	od;
	if
	:: seen != FREE -> see_out()
	:: else
	fi;
	d_step { assert(data == total); total++; data = total };
	word = FREE
}

init {
	atomic {
		run worker(0);
		run worker(1);
		run stranger()
	}
}
