#!/bin/sh
# SPDX-License-Identifier: MIT
#
# counts.sh - no operation takes more of the machine than it has to
#
# Counted by bench/count, on one thread and on a simulated machine, where each
# run is like the last.  A pair of tasks that talk to each other makes no system
# call on any number of threads.

bench=${top_builddir:-.}/bench/count
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
wrong=0

[ -z "${CO_TEST_SANITIZER-}" ] || exit 77
[ -x "$bench/simulate" ] || exit 77
unset COLOOP_BACKEND SIMULATE_SEED

# count PROGRAM ROW THREADS [OPERATIONS]: to $work/counts.
count()
{
	row="$*"
	"$bench/$@" >"$work/counts" && return
	echo "$row: it fails"
	wrong=1
}

# most WHAT NUMBER: WHAT is no more than that; calls are those of the workers,
# but for looks at the clock.
most()
{
	awk -F '\t' -v row="$row" -v what="$1" -v most="$2" '
		$1 == what { sum += $2 }
		what == "calls" && /^call\./ && $1 != "call.clock" { sum += $2 }
		END {
			if (sum > most)
				printf "%s: %s %.7g, not %s\n", row, what, sum,
					most
			exit sum > most
		}' "$work/counts" || wrong=1
}

# Read-modify-writes for each operation.  Those of a channel with room for 128
# are of a switch in as many operations.
while read -r name rmw
do
	for program in rows simulate
	do
		count $program "$name" 1
		most rmw "$rmw"
		most fence 0
		most moves 0
		most calls 0
	done
done <<END
yield 0.0001
spawn 2.04
fib 2.02
channel-0 2.001
channel-128 0.04
many-to-many 0.04
ping-pong 4.001
lock 0.0001
lock-shared 2.03
END

# In the first milliseconds, until it is seen that nobody comes to take them, it
# takes two more to run the tasks of one that has others beside it.
for threads in 2 4 16 64
do
	count simulate ping-pong $threads 100000
	most rmw 4.1
	most fence 0
	most calls 0
done

# On a real machine other work may keep a worker from its processor; then it is
# taken for a slow one, and tells an idle worker of its tasks.  That makes two
# calls or so.  The constant is for what a machine in a machine isn't told of.
count rows ping-pong 2 100000
most calls "$(awk '
	$1 == "preemptions" { preemptions = $2 }
	END { print 0.01 + 4 * preemptions }' "$work/counts")"

# What is given to threads that have the time scales.
while read -r name threads moves calls
do
	count simulate "$name" "$threads"
	most moves "$moves"
	most calls "$calls"
done <<END
spawn 16 0.01 0
lock 16 0.01 0
yield 16 0.01 0
channel-0 16 0.01 0
channel-128 16 0.01 0
sleepers 32 8 0.1
END
exit $wrong
