#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coverage.sh - which lines and branches of the library the tests reach
#
# Run by `make coverage'.  In coverage/ below the present directory everything
# is built by gcc for counting, not optimized, since the optimizer makes other
# branches than the source has: in auto/ for all tests and the exploration, in
# ucontext/ for what is about stacks.  The report is coverage/html/index.html.
#
# Fails if a test fails, if a line is reached by no test, or fewer branches than
# $branches % are.  What can't be reached says why where it stands:
#
#	GCOVR_EXCL_LINE: why         this line, and its branches
#	GCOVR_EXCL_BR_LINE: why      the branches of this line
#	GCOVR_EXCL_START: why        from here to GCOVR_EXCL_STOP
#
# gcovr makes the report: of the tools that do, it is the one that counts a
# branch once, however many objects have the line.
#
# CO_TEST_SCALE, SECONDS  as in `make check'

set -u
branches=95
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
gcc=${GCC:-gcc}
jobs=${JOBS:-$(nproc)}
CO_TEST_SCALE=${CO_TEST_SCALE:-4}
SECONDS=${SECONDS:-1}
export CO_TEST_SCALE SECONDS
# Those of the make that called this one are for another build.
unset MAKEFLAGS MFLAGS

for tool in "$gcc" "${GCOV:=gcov}" gcovr
do
	command -v "$tool" >/dev/null && continue
	echo "make coverage: needs $tool; on Debian" \
		"apt-get install gcc gcovr libcriterion-dev" >&2
	exit 1
done
mkdir -p coverage/html && cd coverage || exit 1

# configure NAME: the counters come with make, so that configure's own programs
# leave none behind.
configure()
{
	mkdir -p "$1" || return
	[ ! -x "$1/config.status" ] || return 0
	(cd "$1" && "$top/configure" -q --disable-shared --with-context="$1" \
		--with-criterion=yes CC="$gcc" CFLAGS='-O0 -g')
}

# in_build NAME MAKE-ARGUMENT...
in_build()
{
	name=$1
	shift
	make -s -C "$name" -j "$jobs" V=0 SHIM=tests/gcov_shim.o \
		CPPFLAGS=-DCO_COVERAGE LDFLAGS=--coverage \
		CFLAGS='-O0 -g --coverage -fprofile-update=atomic' "$@"
}

# run NAME MAKE-ARGUMENT...: tests, of which only the failures are shown.
run()
{
	find "$1" -name '*.trs' -exec rm -f {} +
	in_build "$@" >"$1/run.log" 2>&1 && return
	tail -n 20 "$1/run.log"
	sh "$top/tests/show-failures.sh" "$1"
	return 1
}

build()
{
	configure auto && configure ucontext || return
	{
		in_build auto tests/gcov_shim.o &&
			in_build auto check TESTS= &&
			in_build auto tests/explore/explore &&
			in_build ucontext tests/gcov_shim.o &&
			in_build ucontext $stacks
	} >build.log 2>&1 || { tail -n 40 build.log; return 1; }
}

count()
{
	find . -name '*.gcda' -exec rm -f {} +
	run auto check-programs || return
	COLOOP_BACKEND=poll COLOOP_THREADS=4 run auto check TESTS="$poll" || return
	run ucontext check TESTS="$stacks" || return
	auto/tests/explore/explore --seed 1 --runs 50 >explore.log ||
		{ grep -A 6 '^not ok' explore.log; return 1; }
}

# figure NAME: in per cent.
figure()
{
	sed -n "s/^$1: \([0-9.]*%\).*/\1/p" summary
}

# An assertion has a branch in the exploration only.
report()
{
	gcovr --root "$top" --filter "$top/lib/" --filter "$top/include/" \
		--gcov-executable "$GCOV" --exclude-unreachable-branches \
		--exclude-branches-by-pattern '.*co__assert\(' \
		--html-details html/index.html --html-title 'libcoloop' \
		--txt lines.txt --print-summary \
		--fail-under-line 100 --fail-under-branch "$branches" \
		auto ucontext >summary 2>gcovr.log
	status=$?
	echo "coverage: $(figure lines) of the lines, $(figure branches) of the" \
		"branches: $(pwd)/html/index.html"
	[ $status = 0 ] && return
	[ -s summary ] || cat gcovr.log
	sed -n '/^lib\|^include/p' lines.txt | awk '$4 != "100%" && $4 != "--%"'
	return 1
}

stacks='tests/test_context tests/test_frame tests/test_task'
poll='tests/test_io tests/test_io_close tests/test_tcp tests/test_watch'
build && count && report
