/* SPDX-License-Identifier: MIT */

/*
 * runq.pml - the run queue of a worker: lib/runq.h
 *
 * Sizes       A ring of 4; the owner puts two tasks, does 4 things of its
 *             choice and then takes what is left; two thieves steal up to
 *             two tasks each, one of them only such as have never run: tasks
 *             1, 3 and 4.
 *             2,600,000 states.
 *
 * Steps       Q1 Q2       co__runq_push
 *             T1 ... T4   co__runq_rob; T4 also co__runq_pop
 *             N1 N2       co__runq_pop_newest
 *             An ordered access is what the statements' order says; the mutants
 *             of orderings are those orders turned around.
 *
 * Proved      Each task is taken once, and all are; pop returns the oldest, and
 *             pop_newest the newest, of what is there at that moment.  A thief
 *             that is to take only new ones takes no other.
 *
 * MUTANT_Q2_FIRST     assertion  Q2 before Q1
 * MUTANT_NO_ROOM      assertion  push doesn't look whether there is room
 * MUTANT_POP_STORES   assertion  pop's T4 is a store
 * MUTANT_STEAL_STORES assertion  steal's T4 is a store
 * MUTANT_T3_LAST      assertion  T3 after T4
 * MUTANT_TAIL_ONLY    assertion  N1 takes the tail back, a fence, then a look
 *                                at the head: no laps
 * MUTANT_ONE_LAP      assertion  a lap of one ring: between N1 and N2 one task
 *                                looks like a full ring
 * MUTANT_CLIPPED      assertion  a length that makes no sense is cut to what a
 *                                thief can carry
 * MUTANT_NO_RESTORE   assertion  the tail stays lapped when all were taken
 * MUTANT_FIRST_NEW    assertion  only of the first is asked whether it is new
 * MUTANT_ASKED_BEFORE assertion  it is asked in another look than T1 to T4
 */

#define SIZE 4
#ifdef MUTANT_ONE_LAP
#define LAP SIZE
#else
#define LAP (2 * SIZE)
#endif
#define ACTS 4
#define TASKS 5
#define MAX 2

byte head, tail;		/* they don't wrap around in so few acts */
byte ring[SIZE];		/* a new task has the tag */
byte pushed;			/* tasks are 1 .. pushed */
bool taken[TASKS + 1];		/* ghost */

#define NEW 16
#define entry_of(task) (task + (task == 1 || task >= 3 && task <= 4 -> NEW : 0))
#define is_new(entry) (entry >= NEW)

/* The taking of what is in ENTRY is final. */
inline take(entry)
{
	assert(entry % NEW > 0 && !taken[entry % NEW]);
	taken[entry % NEW] = true
}

/* Nobody has been here longer, or less long, than TASK. */
inline is_oldest(task)
{
	i = 1;
	do
	:: i >= task -> break
	:: else -> assert(taken[i]); i++
	od;
	i = 0
}

inline is_newest(task)
{
	i = pushed;
	do
	:: i <= task -> break
	:: else -> assert(taken[i]); i--
	od;
	i = 0
}

inline push()
{
	atomic {
		t = tail;
		if
#ifndef MUTANT_NO_ROOM
		:: t - head >= SIZE
#endif
		:: else ->
			pushed++;
			task = pushed
		fi
	};
	if
	:: task == 0
	:: else ->
#ifdef MUTANT_Q2_FIRST
		tail = t + 1;
		ring[t % SIZE] = entry_of(task)
#else
		ring[t % SIZE] = entry_of(task);		/* Q1 */
		tail = t + 1					/* Q2 */
#endif
	fi;
	t = 0;
	task = 0
}

inline pop()
{
	h = head;
	do
	:: h == tail -> break
	:: else ->
		task = ring[h % SIZE] % NEW;
		atomic {					/* T4 */
			if
#ifdef MUTANT_POP_STORES
			:: true ->
#else
			:: head == h ->
#endif
				head = h + 1;
				is_oldest(task);
				take(task);
				break
#ifndef MUTANT_POP_STORES
			:: else -> h = head
#endif
			fi
		}
	od;
	h = 0;
	task = 0
}

#ifdef MUTANT_TAIL_ONLY
inline pop_newest()
{
	t = tail;
	h = head;
	if
	:: h == t
	:: else ->
		task = ring[(t - 1) % SIZE] % NEW;
		if
		:: t - h > 1 ->
			tail = t - 1;
			h = head;
			if
			:: t - 1 != h && t != h ->
				d_step { take(task); h = 0; t = 0; task = 0 };
				goto next_act
			:: else
			fi;
			tail = t
		:: else
		fi;
		atomic {
			if
			:: head == t - 1 -> head = t; take(task)
			:: else
			fi
		}
	fi;
	h = 0;
	t = 0;
	task = 0
}
#else
inline pop_newest()
{
	t = tail;
	h = head;
	if
	:: h == t
	:: else ->
		task = ring[(t - 1) % SIZE] % NEW;
		tail = t - 1 + LAP;				/* N1 */
		do
		:: h == t ->
#ifndef MUTANT_NO_RESTORE
			tail = t;
#endif
			break
		:: else ->
			atomic {				/* N2 */
				if
				:: head == h ->
					head = h + LAP;
					is_newest(task);
					take(task);
					break
				:: else -> h = head
				fi
			}
		od
	fi;
	h = 0;
	t = 0;
	task = 0
}
#endif

proctype owner()
{
	byte acts, h, t, task, i;

	push();
	push();
	do
	:: acts == ACTS -> break
	:: acts < ACTS && pushed < TASKS -> acts++; push()
	:: acts < ACTS -> acts++; pop()
	:: acts < ACTS -> acts++; pop_newest();
next_act:	skip
	od;
	do
	:: head == tail -> break
	:: else -> pop()
	od;
	/* Those that the thieves have in hand count as taken at T4. */
	atomic {
		task = 1;
		do
		:: task > pushed -> break
		:: else -> assert(taken[task]); task++
		od
	}
}

/* If ONLY_NEW, the task in A, and the one in B, must be new to be taken. */
inline cut()
{
	if
#ifndef MUTANT_ASKED_BEFORE
	:: only_new && n > 0 && !is_new(a) -> n = 0
#ifndef MUTANT_FIRST_NEW
	:: only_new && n > 1 && is_new(a) && !is_new(b) -> n = 1
#endif
#endif
	:: else
	fi
}

inline take_new(entry)
{
	assert(!only_new || is_new(entry));
	take(entry)
}

proctype thief(bool only_new)
{
	byte h, t, n, a, b;

	do
	::
#ifdef MUTANT_ASKED_BEFORE
	   if
	   :: only_new && !is_new(ring[head % SIZE]) -> break
	   :: else
	   fi;
#endif
	   h = head;						/* T1 */
	   t = tail;						/* T2 */
	   d_step {
		n = t - h;
#ifdef MUTANT_CLIPPED
		n = n - n / 2;
		if
		:: n > MAX -> n = MAX
		:: else
		fi;
		if
		:: n > SIZE -> n = 0
		:: else
		fi
#else
		if
		:: n > SIZE -> n = 0
		:: else -> n = n - n / 2
		fi;
		if
		:: n > MAX -> n = MAX
		:: else
		fi
#endif
	   };
	   if
	   :: n == 0 -> break
	   :: else
	   fi;
#ifndef MUTANT_T3_LAST
	   a = ring[h % SIZE];					/* T3 */
	   if
	   :: n > 1 -> b = ring[(h + 1) % SIZE]
	   :: else
	   fi;
	   cut();
	   if
	   :: n == 0 -> break
	   :: else
	   fi;
#endif
	   atomic {						/* T4 */
		if
#ifdef MUTANT_STEAL_STORES
		:: true ->
#else
		:: head == h ->
#endif
			head = h + n;
#ifndef MUTANT_T3_LAST
			take_new(a);
			if
			:: n > 1 -> take_new(b)
			:: else
			fi;
#endif
			break
#ifndef MUTANT_STEAL_STORES
		:: else -> a = 0; b = 0
#endif
		fi
	   }
	od;
#ifdef MUTANT_T3_LAST
	if
	:: n > 0 -> d_step { a = ring[h % SIZE]; take(a) }
	:: else
	fi;
	if
	:: n > 1 -> d_step { b = ring[(h + 1) % SIZE]; take(b) }
	:: else
	fi
#endif
}

init {
	atomic {
		run owner();
		run thief(false);
		run thief(true)
	}
}
