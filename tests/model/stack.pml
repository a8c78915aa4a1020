/* SPDX-License-Identifier: MIT */

/*
 * stack.pml - many push and many pop, last in first out: lib/stack.c
 *
 * Sizes       Two processes pop a node and push it again, so the same address
 *             comes back on top with other nodes beneath; a third one pushes a
 *             node, and a fourth pushes one if it is the first.  Two nodes are
 *             there from the beginning.
 *             178,000 states.
 *
 * Steps       P1 P2 P3    co_stack_push; co_stack_push_first
 *             T1          take_turn; its waiting is a statement that blocks
 *             T2 T3       co_stack_pop
 *
 * Proved      Pops return the newest node of that moment, each once; a pop that
 *             returns nothing found nothing; only nodes that are on the stack
 *             are looked into; what was pushed stays.
 *
 * MUTANT_NO_TURN         assertion  pop by one compare-and-swap
 * MUTANT_TURN_UNCHECKED  assertion  T1 takes a turn that is taken
 * MUTANT_PUSH_DROPS      assertion  P3 clears the turn
 * MUTANT_BLIND_T3        assertion  T3 is a store
 * MUTANT_STALE_LINK      assertion  after a failed T3 without T2
 * MUTANT_LINK_ONCE       assertion  a failed P3 is tried again without P2
 * MUTANT_FIRST_BLIND     assertion  push_first stores
 */

#define NODES 4

byte top;		/* a node, 1 .. NODES, or 0 */
bool turn;		/* TURN in top_ */
byte next[NODES + 1];
bool on[NODES + 1];		/* ghost: is on the stack */
byte content[NODES];		/* ghost: oldest first */
byte height;			/* ghost */

/* P3 has succeeded. */
inline log_push(node)
{
	assert(!on[node]);
	on[node] = true;
	content[height] = node;
	height++
}

/* T3 has succeeded. */
inline log_pop(node)
{
	assert(height > 0 && content[height - 1] == node && on[node]);
	on[node] = false;
	height--;
	content[height] = 0
}

inline push(node)
{
#ifdef MUTANT_LINK_ONCE
	seen = top;
	next[node] = seen;
#endif
	do
	:: atomic { seen = top; seen_turn = turn };		/* P1 */
#ifndef MUTANT_LINK_ONCE
	   next[node] = seen;					/* P2 */
#endif
	   atomic {						/* P3 */
		if
		:: top == seen && turn == seen_turn ->
			top = node;
#ifdef MUTANT_PUSH_DROPS
			turn = false;
#endif
			log_push(node);
			seen = 0;
			seen_turn = false;
			break
		:: else
		fi
	   }
	od
}

/* To `node', or 0. */
inline pop(node)
{
	do
	:: atomic {
		node = top;
		assert(node != 0 || height == 0);
#ifdef MUTANT_NO_TURN
		break
#else
#ifndef MUTANT_TURN_UNCHECKED
		if
		:: node != 0 && turn -> !turn || top == 0;
			node = 255
		:: else
		fi
#endif
#endif
	   }
#ifndef MUTANT_NO_TURN
	   if
	   :: node == 0 -> break
	   :: node == 255
	   :: else ->
		atomic {					/* T1 */
			if
#ifdef MUTANT_TURN_UNCHECKED
			:: top == node -> turn = true; break
#else
			:: top == node && !turn -> turn = true; break
#endif
			:: else
			fi
		}
	   fi
#endif
	od;
#ifndef MUTANT_NO_TURN
	seen_turn = node != 0;
#endif
#ifdef MUTANT_STALE_LINK
	seen = next[node];
#endif
	do
	:: node == 0 -> break
	:: else ->
#ifndef MUTANT_STALE_LINK
		atomic {					/* T2 */
			assert(on[node]);
			seen = next[node]
		}
#endif
		atomic {					/* T3 */
			if
#ifdef MUTANT_BLIND_T3
			:: true ->
#else
			:: top == node && turn == seen_turn ->
#endif
				top = seen;
				turn = false;
				log_pop(node);
				seen = 0;
				seen_turn = false;
				break
#ifndef MUTANT_BLIND_T3
			:: else -> node = top; seen_turn = turn
#endif
			fi
		}
	od
}

proctype popper()
{
	byte node, seen;
	bool seen_turn;

	pop(node);
	if
	:: node != 0 ->
		push(node);
		pop(node)
	:: else
	fi
}

proctype pusher()
{
	byte seen;
	bool seen_turn;

	push(3)
}

proctype first_pusher()
{
	if
	:: top == 0 ->						/* P1 */
		next[4] = 0;					/* P2 */
		atomic {					/* P3 */
			if
#ifdef MUTANT_FIRST_BLIND
			:: true ->
#else
			:: top == 0 ->
#endif
				top = 4;
				log_push(4)
#ifndef MUTANT_FIRST_BLIND
			:: else
#endif
			fi
		}
	:: else
	fi
}

/* All that is on the stack is found by following the links. */
inline check()
{
	d_step {
		do
		:: height == 0 -> break
		:: else ->
			assert(content[height - 1] == top);
			top = next[top];
			height--
		od;
		assert(top == 0 && !turn)
	}
}

init {
	byte seen;
	bool seen_turn;

	atomic {
		push(1);
		push(2);
		run popper();
		run popper();
		run pusher();
		run first_pusher()
	}
	_nr_pr == 1;
	check()
}
