#!/bin/sh
# SPDX-License-Identifier: MIT
#
# asan.sh - a program that is checked by AddressSanitizer, and the library that
# was built without it: what is wrong is found, and nothing else is

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
${CC:-cc} -fsanitize=address "$work/none.c" -o "$work/none" 2>"$work/out" &&
	"$work/none" >"$work/out" 2>&1 || skip_all 'no AddressSanitizer'

# make_target SANITIZER
make_target()
{
	${CC:-cc} -g -O1 -fsanitize="$1" -fno-omit-frame-pointer -pthread \
		-I"$build/include" -I"$src/include" \
		"$src/tests/asan_target.c" -o "$work/target" \
		-L"$build/.libs" -lcoloop
}

make_target address || exit 1
LD_LIBRARY_PATH=$build/.libs
export LD_LIBRARY_PATH

# Whether variables are moved to where they can be watched after a return; for
# leaks nobody looks there.
moves=1

# finds PATTERN MODE: the program says so, and fails; NOTHING: neither.
finds()
{
	pattern=$1
	shift
	for threads in 1 4
	do
		count=$((count + 1))
		status=0
		ASAN_OPTIONS=detect_stack_use_after_return=$moves \
			COLOOP_THREADS=$threads \
			"$work/target" "$@" >"$work/out" 2>&1 || status=$?
		if [ "$pattern" = NOTHING ]
		then
			[ $status = 0 ] && [ ! -s "$work/out" ]
		else
			[ $status != 0 ] && grep -q "$pattern" "$work/out"
		fi && echo "ok $count - $1, on $threads threads" || {
			echo "not ok $count - $1, on $threads threads"
			echo "# status $status"
			head -n 40 "$work/out" | cut -c 1-150 | sed 's/^/# /'
		}
	done
}

finds NOTHING good
finds NOTHING dropped
finds 'stack-use-after-return' returned
moves=0
finds NOTHING good
finds NOTHING kept
finds NOTHING given
finds 'LeakSanitizer: detected memory leaks' leaked
finds 'stack-buffer-overflow' overrun
finds 'heap-buffer-overflow' read
finds 'SUMMARY: AddressSanitizer: double-free' small
if make_target leak 2>"$work/out"
then
	finds NOTHING good
	finds NOTHING given
fi
echo "1..$count"
