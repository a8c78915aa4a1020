/* SPDX-License-Identifier: MIT */

/*
 * queue.pml - many put, one gets, in order: lib/queue.c
 *
 * Sizes       Two putters put two nodes each, out of a pool of three, so nodes
 *             are put again while others still remember them; one getter.
 *             275,000 states.
 *
 * Steps       P1 P2 P3    co_queue_put: read the newest, link, replace
 *             G1          take_inbox, by co_queue_get with an empty list
 *             G2          reverse
 *             An ordered access is what the statements' order says: what a
 *             release is for is shown by the mutant that writes afterwards.
 *
 * Proved      Gets return what was put in the order of the P3s, each once; a
 *             get that returns nothing found nothing put before; no node is
 *             lost.
 *
 * MUTANT_LINK_ONCE      assertion  a failed P3 is tried again without P2
 * MUTANT_PUBLISH_FIRST  assertion  P2 after P3
 * MUTANT_LOAD_CLEAR     assertion  G1 is a load and a store
 * MUTANT_TRY_ONCE       assertion  a failed G1 says that nothing is there
 * MUTANT_EAGER          assertion  G1 while older ones are in the list
 * MUTANT_NO_REVERSE     assertion  without G2
 */

#define NODES 3
#define PUTS 2
#define TOTAL (2 * PUTS)

byte inbox, first;		/* nodes are 1 .. NODES; 0 is none */
byte next[NODES + 1];
bool is_free[NODES + 1];
byte value[NODES + 1];
byte order[TOTAL];		/* ghost: the values in the order of the P3s */
byte put, got;			/* ghost: how many */

inline take_free(node)
{
	atomic {
		if
		:: is_free[1] -> node = 1
		:: is_free[2] -> node = 2
		:: is_free[3] -> node = 3
		fi;
		is_free[node] = false
	}
}

/* P3 has succeeded. */
inline log_put(node)
{
	order[put] = value[node];
	put++
}

proctype putter(byte id)
{
	byte node, newest, i;
	bool done;

	for (i : 1 .. PUTS) {
		take_free(node);
		value[node] = id * PUTS + i;
		done = false;
#ifdef MUTANT_LINK_ONCE
		newest = inbox;
		next[node] = newest;
#endif
		do
		:: done -> break
		:: else ->
			newest = inbox;				/* P1 */
#if !defined MUTANT_LINK_ONCE && !defined MUTANT_PUBLISH_FIRST
			next[node] = newest;			/* P2 */
#endif
			atomic {				/* P3 */
				if
				:: inbox == newest ->
					inbox = node;
					log_put(node);
					done = true
				:: else
				fi
			}
		od
#ifdef MUTANT_PUBLISH_FIRST
		; next[node] = newest
#endif
	}
}

byte newest, turned, older;	/* the getter's */

/* To `newest'. */
inline take_inbox()
{
	do
	:: atomic {
		newest = inbox;
		/* What was put before is there. */
		assert(newest != 0 || first != 0 || got == put)
	   };
	   if
	   :: newest == 0 -> break
	   :: else
	   fi;
#ifdef MUTANT_LOAD_CLEAR
	   inbox = 0;
	   break
#else
	   atomic {						/* G1 */
		if
		:: inbox == newest -> inbox = 0; break
#ifdef MUTANT_TRY_ONCE
		:: else ->
			newest = 0;
			assert(first != 0 || got == put);
			break
#else
		:: else
#endif
		fi
	   }
#endif
	od
}

inline reverse()
{
#ifdef MUTANT_EAGER
	turned = first;
#else
	turned = 0;
#endif
#ifdef MUTANT_NO_REVERSE
	turned = newest;
#else
	do
	:: newest == 0 -> break
	:: else ->						/* G2 */
		older = next[newest];
		next[newest] = turned;
		turned = newest;
		newest = older
	od;
#endif
	first = turned
}

active proctype getter()
{
	atomic {
		is_free[1] = true;
		is_free[2] = true;
		is_free[3] = true;
		run putter(0);
		run putter(1)
	}
	do
	:: got == TOTAL -> break
	:: else ->
		if
#ifdef MUTANT_EAGER
		:: inbox != 0 -> take_inbox(); reverse()
#endif
		:: first == 0 -> take_inbox(); reverse()
		:: else
		fi;
		if
		:: first == 0
		:: else ->
			turned = first;
			first = next[first];
			d_step {
				assert(value[turned] == order[got]);
				got++;
				next[turned] = 0;
				value[turned] = 0;
				is_free[turned] = true;
				turned = 0
			}
		fi
	od;
	assert(inbox == 0 && first == 0)
}
