#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run-tap.sh PROGRAM - run a test of any kind and report it in TAP
#
# A Criterion program reports each of its tests.  Anything else is one test,
# whose exit status says it: 0 passed, 77 skipped, else failed; a script may
# also write TAP of its own.  Nobody waits for ever: CO_TEST_TIMEOUT limits one
# Criterion test, in seconds; CO_TEST_PROGRAM_TIMEOUT, by default five times as
# much, the program.  CO_TEST_RUNNER is a command that runs programs of another
# machine.

program=$1
name=$(basename "$program" .sh)
limit=${CO_TEST_TIMEOUT:-60}
CO_TEST_RUNNER=${CO_TEST_RUNNER-}
program_limit=${CO_TEST_PROGRAM_TIMEOUT:-$((limit * 5))}

run()
{
	timeout -k 10 "$program_limit" "$@"
}

# A pipe is needed: Criterion truncates a file before it writes its report.
criterion()
{
	# shellcheck disable=SC2086
	report=$(run $CO_TEST_RUNNER "$program" --tap=/dev/stdout --timeout "$limit" \
		--verbose=1 </dev/null)
	status=$?
	printf '%s\n' "$report"

	# What the report says already is not to be counted again.
	if printf '%s\n' "$report" | grep -q '^not ok' && [ $status -eq 1 ]
	then
		exit 0
	fi
	# A filter that fits nothing has each test skipped, for no reason.
	if ! printf '%s\n' "$report" | grep -v '^ok .*# SKIP test was skipped' |
		grep -q '^\(not \)\{0,1\}ok '
	then
		echo "Bail out! $name ended with status $status, without a test"
	fi
	exit $status
}

plain()
{
	output=$("$@" </dev/null 2>&1)
	status=$?
	if printf '%s\n' "$output" | grep -q '^1\.\.[0-9]'
	then
		printf '%s\n' "$output"
		exit $status
	fi

	[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/# /'
	echo 1..1
	case $status in
	0)
		echo "ok 1 - $name" ;;
	77)
		echo "ok 1 - $name # SKIP $(printf '%s' "$output" | tail -n 1)" ;;
	*)
		echo "not ok 1 - $name (status $status)" ;;
	esac
}

case $program in
*.sh)
	plain run "${SHELL:-/bin/sh}" "$program" ;;
*/torture/* | *tests/fuzz/*)
	# shellcheck disable=SC2086
	plain run $CO_TEST_RUNNER "$program" ;;
*)
	criterion ;;
esac
