#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The runner of the tests sees every way to fail: a status, a "not ok" without
# a status, a crash, a hang, and a Criterion program that has no test to run;
# and Makefile.am has every program for it to run.

src=${top_srcdir:-$(dirname "$0")/..}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
wrong=0

for file in "$src"/tests/test_*.c "$src"/tests/torture/*.c
do
	name=${file#"$src"/}
	grep -qE "(^[[:space:]]|[+]= *).*${name%.c}( |\$)" "$src/Makefile.am" || {
		echo "$name is not in Makefile.am"
		wrong=1
	}
done

# expect PATTERN SCRIPT: run-tap.sh, given SCRIPT, reports a matching line.
expect()
{
	printf '%s\n' "$2" >"$work/x.sh"
	if ! CO_TEST_PROGRAM_TIMEOUT=${limit:-60} sh "$src/tests/run-tap.sh" \
		"$work/x.sh" 2>&1 | grep -q "$1"
	then
		echo "no '$1' from: $2"
		wrong=1
	fi
}

expect '^ok 1' 'exit 0'
expect '^ok 1 .*# SKIP no luck$' 'echo no luck; exit 77'
expect '^not ok 1' 'exit 1'
expect '^not ok 1' 'kill -SEGV $$'
expect '^not ok 2' 'echo 1..2; echo ok 1; echo not ok 2'
limit=0.1 expect '^not ok 1.*124' 'exec sleep 60'

# Criterion: compile a program, and run it by the runner.
try()
{
	$CC -x c - -o "$work/program" -lcriterion 2>/dev/null || exit $wrong
	run_it
}

run_it()
{
	CO_TEST_TIMEOUT=5 sh "$src/tests/run-tap.sh" "$work/program" \
		>"$work/report" 2>/dev/null
}

try <<'END'
#include <criterion/criterion.h>
#include <stdlib.h>
Test(runner, passes) { }
Test(runner, fails) { cr_assert(0); }
Test(runner, crashes) { abort(); }
END
for line in '^ok.*passes' '^not ok.*fails' '^not ok.*crashes'
do
	grep -q "$line" "$work/report" || { echo "no '$line'"; wrong=1; }
done

# That all are skipped for a reason is no mistake.
try <<'END'
#include <criterion/criterion.h>
Test(runner, is_left_out, .disabled = true) { }
Test(runner, says_why) { cr_skip_test("no luck"); }
END
if grep '^Bail out!' "$work/report" || ! grep -q '# SKIP no luck' "$work/report"
then
	echo "a test that tells why it is skipped counts for nothing"
	wrong=1
fi

# A filter that fits no test, a program of none, and a crash after the end of a
# test, by which one that leaks tells of it (test.h).
CRITERION_TEST_PATTERN='no/such' run_it
grep -q '^Bail out!' "$work/report" || {
	echo "no bail-out though all are skipped"
	wrong=1
}

try <<'END'
#include <criterion/criterion.h>
END
grep -q '^Bail out!' "$work/report" || { echo "no bail-out"; wrong=1; }

try <<'END' && { echo "a crash at the end goes unnoticed"; wrong=1; }
#include <criterion/criterion.h>
#include <stdlib.h>
__attribute__((constructor)) static void begin(void)
{
	if (getenv("BXFI_MAP") != NULL)
		atexit(abort);
}
Test(runner, crashes_late) { }
END
exit $wrong
