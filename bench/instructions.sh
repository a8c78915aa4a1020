#!/bin/sh
# SPDX-License-Identifier: MIT
#
# instructions.sh [--update] [BUILD] - count what operations cost
#
# In instructions of the processor, by valgrind, so that the result is the same
# on a busy machine.  They are compared with instructions.expected, and a rise
# of more than 3 % fails; --update writes that file anew for this machine's
# architecture and compiler.  BUILD is the build's folder, build without it.
# Exit status 77: there is nothing to compare with.

src=$(cd "$(dirname "$0")" && pwd)
expected=$src/instructions.expected
update=no
[ "${1-}" = --update ] && update=yes && shift
build=${1:-build}
rows='switch-2 spawn ping-pong channel lock echo'
allowed=3

skip()
{
	echo "instructions: skipped: $*"
	exit 77
}

fail()
{
	echo "instructions: $*" >&2
	exit 1
}

variable()
{
	sed -n "s/^$1 = //p" "$build/Makefile"
}

# ARCHITECTURE COMPILER-MAJOR, as in: x86_64 gcc-12
like_this()
{
	cc=$(variable CC)
	name=gcc
	$cc --version | grep -q clang && name=clang
	major=$($cc -dumpversion | cut -d. -f1)
	echo "$(variable host_cpu) $name-$major"
}

# count ROW DIVISOR: instructions of the whole run, and operations in it.
count()
{
	env BENCH_DIVIDE="$2" COLOOP_BACKEND= timeout 300 \
		valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$build/bench/micro/coloop" "$1" >"$work/out" 2>&1 ||
		fail "$1: $(tail -n 3 "$work/out")"
	awk '/Collected/ { instructions = $NF }
		$2 == "count" { operations = $3 }
		END { print instructions, operations }' "$work/out"
}

# What is done once cancels out between a short run and one twice as long.
# That is more than a thousand operations each, so no single event counts.
each()
{
	echo "$(count "$1" 500) $(count "$1" 250)" |
		awk '{ printf "%.1f\n", ($3 - $1) / ($4 - $2) }'
}

command -v valgrind >/dev/null || skip 'it needs valgrind'
[ -f "$build/Makefile" ] || fail "$build is not a build's folder"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
key=$(like_this)

if [ $update = no ]
then
	[ "$(variable CFLAGS)" = '-g -O2' ] ||
		skip "the build has other flags than -g -O2"
	grep -q "^$key " "$expected" ||
		skip "instructions.expected has nothing for $key"
fi
make -s -C "$build" bench/micro/coloop || fail 'the program is not built'

wrong=0
for row in $rows
do
	now=$(each "$row")
	[ -n "$now" ] || exit 1
	echo "$key $row $now" >>"$work/found"
	[ $update = no ] || continue
	before=$(awk -v key="$key $row" \
		'$1 " " $2 " " $3 == key { print $4 }' "$expected")
	echo "$row ${before:-0} $now" | awk -v allowed="$allowed" '{
		rise = $2 > 0 ? 100 * ($3 / $2 - 1) : 100
		printf "%-10s %8.1f, expected %8.1f: %+.1f %%%s\n", $1, $3,
			$2, rise, (rise > allowed ? "  TOO MANY" : "")
		exit (rise > allowed) }' || wrong=1
done

if [ $update = yes ]
then
	{ grep -v "^$key " "$expected"; cat "$work/found"; } >"$work/new"
	cat "$work/new" >"$expected"
	grep "^$key " "$expected"
elif [ $wrong = 1 ]
then
	echo "More than $allowed % more.  If that is how it must be:" \
		"bench/instructions.sh --update $build"
fi
exit $wrong
