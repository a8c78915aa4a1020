#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each row of the benchmarks runs and prints figures that can be true, the
# servers serve, and the driver makes its table, its page and its Markdown.

bench=${top_builddir:-.}/bench
program=$bench/micro/coloop
src=${top_srcdir:-$(dirname "$0")/..}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
wrong=0

# The rows that can't be divided are too long, and much alike.
rows=$("$program" --list | grep -Ev '^(fib-30|timers)|-1m$')
[ "$(printf '%s\n' $rows | wc -l)" -ge 15 ] || {
	echo "only these rows: $rows"
	wrong=1
}
# Checkers of code can't have so many tasks at once.
[ -z "${CO_TEST_SANITIZER-}" ] ||
	rows=$(printf '%s\n' $rows | grep -Ev '^(spawn-10k|memory|stacks)')

for row in $rows
do
	BENCH_DIVIDE=5000 timeout 60 "$program" "$row" >"$work/$row"
	status=$?
	# Less memory than the row needs is not a fault.
	[ $status = 77 ] && continue
	if [ $status != 0 ] || ! awk -F '\t' -v row="$row" '
		NF != 3 || $1 != row { bad = 1 }
		$2 ~ /^(wall_ns|rss|p50_us)$/ && $3 > 0 && $3 < 1e8 { good = 1 }
		END { exit bad || !good }' "$work/$row"
	then
		echo "$row: status $status:" && cat "$work/$row"
		wrong=1
	fi
done

[ "$("$program" no-such-row 2>/dev/null; echo $?)" = 2 ] || {
	echo "a row that doesn't exist is run"
	wrong=1
}

command -v python3 >/dev/null || exit $wrong
python3 -B "$src/bench/net/check-server" "$bench/net/coloop" \
	"$bench/net/epoll" >"$work/out" 2>&1 || {
	cat "$work/out"
	wrong=1
}

# driver ARGUMENT...: run it, with its output in $work.
driver()
{
	sed -n '/^<!-- /p' "$src/doc/performance.md" >"$work/performance.md"
	python3 -B "$src/bench/run.py" --build "$bench" --output "$work" \
		--markdown "$work/performance.md" "$@" >"$work/out" 2>&1 || {
		cat "$work/out"
		wrong=1
	}
}

# has FILE TEXT
has()
{
	grep -q -e "$2" "$work/$1" && return
	echo "$1 lacks $2"
	wrong=1
}

only=1,6a
titles='Switch, 2 tasks'
if strace -c -o "$work/trace" true 2>/dev/null
then
	only=$only,10a
	titles='System calls of a ping-pong'
fi
driver --programs coloop --only $only --repeat 2 --seconds 0.01
for file in table.txt index.html performance.md
do
	has $file "$titles"
done

# took PROGRAM ROW NS: a record of a run, as it is in raw.jsonl.
took()
{
	printf '{ "suite": "micro", "beside": "switch-1m", "round": 0, '
	printf '"program": "%s", "row": "switch-%s", "others": 0, ' "$1" "$2"
	printf '"metrics": { "wall_ns": %s } }\n' "$3"
}

# A goal that is a sum: 2 * 20 + 70 - 10.
for ours in 100 101
do
	{
		echo '{ "about": [] }'
		took coloop 1m $ours
		took coloop 1000 20
		took limit 1m 70
		took limit 1000 10
	} >"$work/raw"
	driver --only 1c --report "$work/raw"
	[ $ours = 100 ] && met=yes || met=no
	has table.txt "1,000,000 tasks *$ours ns .* $met\$"
done
exit $wrong
