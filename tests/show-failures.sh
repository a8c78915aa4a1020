#!/bin/sh
# SPDX-License-Identifier: MIT
#
# show-failures.sh BUILD - what the failed tests of a build wrote, in short

find -H "$1" -name '*.trs' -exec \
	grep -lE '^:test-result: (FAIL|XPASS|ERROR)' {} + | sort |
while read -r trs
do
	log=${trs%.trs}.log
	printf '\n-- %s\n' "${log#"$1"/}"

	# Which tests began is of interest if not all have ended.
	passed='^(PASS:|ok|not ok|\[PASS\]) '
	! grep -q Synthesis: "$log" || passed="$passed|^\\[RUN \\]"
	grep -vE "$passed" "$log" | tail -n 60
done
