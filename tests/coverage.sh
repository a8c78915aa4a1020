#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coverage.sh - which lines and branches of the library the tests reach
#
# Run by `make coverage'.  In coverage/ below the present directory everything
# is built by gcc for counting, not optimized, since the optimizer makes other
# branches than the source has: in auto/ for all tests and the exploration, in
# plain/ for what there is of the library on a system with less.  The report is
# coverage/html/index.html.
#
# Fails if a test fails, if a line is reached by no test, or fewer branches than
# $branches % are.  What can't be reached says why where it stands:
#
#	GCOVR_EXCL_LINE: why         this line, and its branches
#	GCOVR_EXCL_BR_LINE: why      the branches of this line
#
# gcovr makes the report: of the tools that do, it is the one that counts a
# branch once, however many objects have the line.
#
# CO_TEST_SCALE            as in `make check'
# CO_TEST_SECONDS          as its SECONDS, which some shells count by themselves

set -u
branches=95
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
gcc=${GCC:-gcc}
jobs=${JOBS:-$(nproc)}
CO_TEST_SCALE=${CO_TEST_SCALE:-4}
SECONDS=${CO_TEST_SECONDS:-1}
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

# configure NAME ARGUMENT...: the counters come with make, so that configure's
# own programs leave none behind.
configure()
{
	name=$1
	shift
	mkdir -p "$name" || return
	[ ! -x "$name/config.status" ] || return 0
	(cd "$name" && "$top/configure" -q --disable-shared \
		--with-criterion=yes CC="$gcc" CFLAGS='-O0 -g' "$@")
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
	configure auto && configure plain --with-context=ucontext \
		ac_cv_header_sys_epoll_h=no ac_cv_header_sys_eventfd_h=no \
		ac_cv_func_epoll_pwait2=no ac_cv_func_ppoll=no \
		ac_cv_func_secure_getenv=no \
		ac_cv_func_sched_getaffinity=no || return
	{
		# The explorer itself is to be quick.
		make -s -C auto -j "$jobs" CFLAGS='-O2 -g' \
			tests/explore/libexplorer.a &&
			in_build auto tests/gcov_shim.o &&
			in_build auto check TESTS= &&
			in_build auto tests/explore/explore &&
			in_build plain tests/gcov_shim.o &&
			in_build plain $plain
	} >build.log 2>&1 || { tail -n 40 build.log; return 1; }
}

count()
{
	find . -name '*.gcda' -exec rm -f {} +
	run auto check-programs || return
	# Whatever the scale, each call of the library is to fail.
	CO_TEST_SCALE=1 run auto check TESTS=tests/test_fault || return
	COLOOP_BACKEND=poll COLOOP_THREADS=4 run auto check TESTS="$poll" ||
		return
	run plain check-TESTS TESTS="$plain" || return
	# What hardly any schedule brings about gets more of them.
	explore 500 '' && explore 3000 'lock: released' &&
		explore 3000 'select: late'
}

# explore N NAME: N schedules, the same each time, of the scenarios NAME...
explore()
{
	auto/tests/explore/explore --seed 1 --runs "$1" --scenario "$2" \
		>explore.log && return
	grep -A 6 '^not ok' explore.log
	return 1
}

# read_counts NAME: coverage/NAME.json.  gcovr can't bear a function that stands
# in other lines elsewhere, as on a system with less, so it hears of none.  An
# assertion has a branch in the exploration only.
read_counts()
{
	gcovr --root "$top" --filter "$top/lib/" --filter "$top/include/" \
		--gcov-executable "$GCOV" --exclude-unreachable-branches \
		--exclude-branches-by-pattern '.*co__assert\(' \
		--json "$1.all" "$1" >gcovr.log 2>&1 &&
		python3 -c '
import json, sys
counts = json.load(open(sys.argv[1]))
for file in counts["files"]:
    file["functions"] = []
json.dump(counts, open(sys.argv[2], "w"))' "$1.all" "$1.json"
}

# figure NAME: in per cent.
figure()
{
	sed -n "s/^$1: \([0-9.]*%\).*/\1/p" summary
}

# is_enough NAME PERCENT: by the counts, for the figures are rounded.
is_enough()
{
	set -- "$2" $(sed -n \
		"s/^$1: .*(\([0-9]*\) out of \([0-9]*\)).*/\1 \2/p" summary)
	[ $# = 3 ] && [ "$3" -gt 0 ] && [ $(($2 * 100)) -ge $(($3 * $1)) ]
}

report()
{
	if ! read_counts auto || ! read_counts plain
	then
		tail -n 40 gcovr.log
		return 1
	fi
	gcovr --root "$top" -a auto.json -a plain.json \
		--html-details html/index.html --html-title libcoloop \
		--txt lines.txt --print-summary >summary || return
	echo "coverage: $(figure lines) of the lines," \
		"$(figure branches) of the branches: $(pwd)/html/index.html"
	is_enough lines 100 && is_enough branches "$branches" && return
	# Which lines they are.
	awk '/^(lib|include)/ && NF > 4' lines.txt
	return 1
}

plain='tests/test_context tests/test_io tests/test_loop tests/test_options
	tests/test_os tests/test_task'
poll='tests/test_io tests/test_io_close tests/test_io_rare tests/test_tcp
	tests/test_watch'
build && count && report
