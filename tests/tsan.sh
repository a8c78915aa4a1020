#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tsan.sh - a program that is checked by ThreadSanitizer, and the library that
# was built without it: races are found, and nothing else is

src=${top_srcdir:-$(dirname "$0")/..} build=${top_builddir:-.}
library=$build/.libs/libcoloop.so
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0

skip_all()
{
	echo "$1"
	exit 77
}

[ -e "$library" ] || skip_all 'no shared library was built'
! ${NM:-nm} -D "$library" | grep -q ' U __[at]san_' ||
	skip_all 'the library is checked itself'
echo 'int main(void) { return 0; }' >"$work/none.c"
${CC:-cc} -fsanitize=thread "$work/none.c" -o "$work/none" 2>"$work/out" &&
	"$work/none" >"$work/out" 2>&1 || skip_all 'no ThreadSanitizer'
${CC:-cc} -g -O1 -fsanitize=thread -pthread \
	-I"$build/include" -I"$src/include" \
	"$src/tests/tsan_target.c" -o "$work/target" \
	-L"$build/.libs" -lcoloop || exit 1
LD_LIBRARY_PATH=$build/.libs
# By itself it waits a second at the end of each program.
TSAN_OPTIONS=atexit_sleep_ms=0
export LD_LIBRARY_PATH TSAN_OPTIONS

# shares KIND NAME: the program ends well and nothing is said, if KIND is good;
# or a race is found.
shares()
{
	for threads in 1 4
	do
		count=$((count + 1))
		status=0
		COLOOP_THREADS=$threads timeout 100 "$work/target" "$@" \
			>"$work/out" 2>&1 || status=$?
		if [ "$1" = good ]
		then
			[ $status = 0 ] && [ ! -s "$work/out" ]
		else
			[ $status != 0 ] && grep -q 'data race' "$work/out"
		fi && echo "ok $count - $*, on $threads threads" || {
			echo "not ok $count - $*, on $threads threads"
			echo "# status $status"
			head -n 40 "$work/out" | cut -c 1-150 | sed 's/^/# /'
		}
	done
}

for means in blocking channels closed groups io locks outside queues select \
	stacks suspend tasks ticks watches
do
	shares good $means
done
for mistake in end given locks nothing
do
	shares race $mistake
done
echo "1..$count"
