#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh [TARGET...] - let libFuzzer make up bytes for each fuzz target
#
# Run by `make fuzz' in a directory that was configured for that.  What is of
# interest goes to corpus/TARGET, with which the next run begins.  Each target
# is a test, reported in TAP; it fails if something was found, or if no more
# was executed than the files that there were.
#
# FUZZ_SECONDS  for each target, 30 without it

top=${top_srcdir:-$(dirname "$0")/../..}
seconds=${FUZZ_SECONDS:-30}
number=0
failed=0

# The options of libFuzzer for a target.  With threads much is seen only once:
# to weigh that costs time and says nothing.
options()
{
	case $1 in
	chat) echo -max_len=1500 ;;
	http) echo -max_len=9000 "-dict=$top/tests/fuzz/http.dict" ;;
	*)    echo -max_len=250 -entropic=0 ;;
	esac
}

fuzz()
{
	seeds=$top/tests/fuzz/corpus/$1
	mkdir -p "corpus/$1"
	files=$(find "corpus/$1" "$seeds" -type f | wc -l)
	# shellcheck disable=SC2046
	tests/fuzz/"$1" -max_total_time="$seconds" -timeout=25 \
		-rss_limit_mb=4096 -print_final_stats=1 \
		-artifact_prefix="$1-" $(options "$1") \
		"corpus/$1" "$seeds" >"$1.log" 2>&1
	status=$?
	count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$1.log")
	[ $status = 0 ] && [ "${count:-0}" -gt "$files" ]
}

for target
do
	number=$((number + 1))
	if fuzz "$target"
	then
		echo "ok $number - $target: $count executions"
		sed -n '/^# searches/p' "$target.log"
		continue
	fi
	failed=1
	echo "not ok $number - $target: ${count:-no} executions"
	grep -av '^#[0-9]*	' "$target.log" | tail -n 200 | sed 's/^/# /'
	found=$(sed -n 's/.*Test unit written to //p' "$target.log")
	[ -z "$found" ] ||
		echo "# again: $(pwd)/tests/fuzz/$target $(pwd)/$found"
done
echo "1..$number"
exit $failed
