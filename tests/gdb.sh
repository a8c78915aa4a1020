#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gdb.sh - what gdb/coloop.py shows of tests/gdb_target, which is known there:
# of the process and of its core file.  And that looking leaves no trace.

src=${top_srcdir:-$(dirname "$0")/..} build=${top_builddir:-.}
program=$build/tests/gdb_target
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0
LC_ALL=C
export LC_ALL
unset DEBUGINFOD_URLS

skip_all()
{
	echo "$1"
	exit 77
}

# result SENTENCE: of the last command's status, with what is in $work/out.
result()
{
	status=$?
	count=$((count + 1))
	if [ $status = 0 ]
	then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		head -n 80 "$work/out" | cut -c 1-150 | sed 's/^/# /'
	fi
}

# debug ARGUMENT...: gdb without what its user has set up; its messages are in
# the output as well.
debug()
{
	gdb -nx -batch -iex 'set debuginfod enabled off' \
		-iex 'set pagination off' "$@" 2>&1 </dev/null
}

# part NAME: what was written between the lines <NAME and >.
part()
{
	sed -n "/^<$1\$/,/^>\$/p" "$work/live" | sed '1d; $d; /^warning: /d'
}

command -v gdb >/dev/null || skip_all 'no gdb'
debug -ex 'python print(6 * 7)' | grep -qx 42 || skip_all 'gdb without Python'
debug -ex run --args /bin/true | grep -q 'exited normally' ||
	skip_all 'gdb may not run programs here'
readelf -S "$program" "$build/.libs/libcoloop.so" 2>/dev/null |
	grep -q '\.debug_info' || skip_all 'built without debug information'

# What a process and its core file are to show alike.
cat >"$work/views" <<'END'
echo <loops\n
info coloop loops
echo >\n
echo <tasks\n
info coloop tasks
echo >\n
echo <frames\n
coloop bt all
echo >\n
END

# --- A process ------------------------------------------------------------------

{ cat <<'END'; cat "$work/views"; cat <<'END2'; } >"$work/commands"
break stop_here
run
thread 2
up
echo <before\n
thread
info frame
info registers
thread apply all -q backtrace
echo >\n
END
echo <command\n
coloop task getter frame function in_get
coloop task getter frame apply level 4-100 -q info locals
echo >\n
echo <after\n
thread
info frame
info registers
thread apply all -q backtrace
echo >\n
thread 1
echo <selected\n
coloop task in_join
frame function in_join
info frame
print (char *)"a string of the program"
backtrace
echo >\n
echo <back\n
coloop task
backtrace
echo >\n
echo <wrong\n
coloop bt nobody
END2
# What fails ends a file of commands, so each of these is an argument.
debug -x "$src/gdb/coloop.py" -x "$work/commands" \
	-ex 'coloop bt' -ex 'coloop bt 0x1000' -ex 'info coloop tasks 1' \
	-ex 'echo >\n' \
	-ex "coloop gcore $work/core" -ex 'coloop task putter' \
	-ex 'delete' -ex 'tbreak co_lock_release' -ex 'continue' \
	-ex 'backtrace' -ex 'continue' -ex 'info coloop tasks' \
	--args "$program" >"$work/live"

cat >"$work/expected" <<'END'
task X "blocker" waits in co_blocking, block: in_blocking
task X "child" sleeps: in_sleep
task X "elsewhere" waits to read, fd N: over_there
task X "ended" has ended with 42, and is to be joined: ends
task X "getter" waits in co_channel_get, X: in_get
task X "grouper" waits for a group of tasks: in_group
task X "joiner" waits in co_join, X: in_join
task X "locker" waits in co_lock_acquire, X: in_lock
task X "newborn" has not run yet: never_ran
task X "putter" waits in co_channel_put, X: in_put
task X "reader" waits to read, fd N: in_read
task X "runner" runs on thread 1: runs
task X "selecter" waits in co_select: in_select
task X "sleeper" sleeps: in_sleep
task X "suspender" is suspended: in_suspend
task X "waiter" waits for events, fd N: in_wait_fd
task X "writer" waits to write, fd N: in_write
task X "yielder" is ready to run: yields
END

part tasks | sed 's/; spawned at .*//; s/ at gdb_target\.c:[0-9]*//g
	s/0x[0-9a-f]*/X/g
	s/fd [0-9]*/fd N/' | sort | diff "$work/expected" - >"$work/out" 2>&1
result 'each task is listed once, with what it does'

part loops | sed 's/0x[0-9a-f]*/X/g; s/, backend.*//' >"$work/loops"
{ grep -qx 'loop X runs: 16 tasks' "$work/loops" &&
	grep -qx '  worker 0 runs task X on thread 1' "$work/loops" &&
	grep -qx 'loop X runs: 1 tasks' "$work/loops" &&
	[ "$(grep -c 'worker [0-2] sleeps' "$work/loops")" = 3 ]; }
part loops >"$work/out"
result 'both loops are listed, with what their threads do'

# missing FILE: for each task, what its frames in FILE lack.
missing()
{
	awk 'function end() {
			if (name == "" || name == "newborn" || name == "ended")
				return
			if (!own) print name ": lacks its function, " fn
			if (!entry) print name ": lacks its entry"
			if (!park && name != "runner") print name ": not parked"
			if (name == "getter" && deep != 51)
				print name ": " deep " calls of get_deeply"
			n++
		}
		/^task / { end(); name = $3; gsub("\"", "", name)
			fn = $0; sub(/; spawned.*/, "", fn)
			sub(/.*: /, "", fn); sub(/ at .*/, "", fn)
			own = entry = park = deep = 0 }
		/^#/ && index($0, " " fn " (") { own = 1 }
		/ co__task_main \(/ && own { entry = 1 }
		/ (co__park|co__worker_yield|yield_to_next|yield_to_scheduler|co__worker_park_on_scheduler|co__park_for_child) \(/ { park = 1 }
		/ get_deeply \(/ { deep++ }
		/Backtrace stopped|Cannot access|Python/ { print }
		END { end(); if (n != 16) print n " tasks" }' "$1"
}

part frames >"$work/frames"
missing "$work/frames" >"$work/out" 2>&1
[ ! -s "$work/out" ]
result "each task's frames lead from where it waits to its entry"

part command >"$work/out"
{ grep -q 'in_get (' "$work/out" &&
	grep -q 'local_of_get = 4711' "$work/out"; }
result 'a command sees the variables of a task'

part before >"$work/before"
part after >"$work/after"
{ [ -s "$work/before" ] && cmp "$work/before" "$work/after"; } \
	>"$work/out" 2>&1
result 'thread, frame and registers are what they were'

part selected >"$work/out"
{ grep -q '"joiner" waits in co_join' "$work/out" &&
	grep -q '^#[0-9]* .*in_join (' "$work/out" &&
	grep -q 'a string of the program' "$work/out" &&
	sed -n '/a string/,$p' "$work/out" | grep -q '^#1 ' &&
	sed -n '/a string/,$p' "$work/out" | grep -q '^#.* co__task_main (' &&
	! grep -q '^#0 ' "$work/out"; }
result 'a task can be selected as if it were a thread'

part back >"$work/out"
{ grep -q '^#0 .*stop_here' "$work/out" && grep -q ' runs (' "$work/out" &&
	! grep -q 'in_join (' "$work/out"; }
result 'then the thread is selected again'

sed -n '/^<wrong$/,/^>$/p' "$work/live" >"$work/out"
{ grep -qx 'There is no task nobody\.' "$work/out" &&
	grep -q '^Which task?' "$work/out" &&
	grep -qx 'There is no task 0x1000\.' "$work/out" &&
	grep -qx 'There is no loop at 1\.' "$work/out" &&
	! grep -q 'Python' "$work/live"; }
result 'what makes no sense is answered in words'

tail -n 20 "$work/live" >"$work/out"
grep -q '^#0 .*co_lock_release (' "$work/out" &&
	grep -q 'exited normally' "$work/out" &&
	grep -q 'The program is not being run\.' "$work/out"
result 'the process goes on undisturbed, and ends well'

# --- Its core file --------------------------------------------------------------

# parts: what is to be the same, but for the numbers of frames, which depend on
# the thread that was selected.
parts()
{
	part loops
	part tasks
	part frames | sed 's/^#[0-9]* *//'
}

parts >"$work/of-live"
debug -x "$src/gdb/coloop.py" -x "$work/views" "$program" "$work/core" \
	>"$work/core.out"
mv "$work/core.out" "$work/live"
parts >"$work/of-core"
{ [ -s "$work/of-core" ] && diff "$work/of-live" "$work/of-core"; } \
	>"$work/out" 2>&1
result 'a core file has all that the process had'

# --- Probes -----------------------------------------------------------------------

# on PROBE CONDITION: commands that write the name of the task there.
on()
{
	cat <<-END
	break -probe-stap coloop:$1
	condition \$bpnum $2
	commands
	silent
	printf "$1 %s\n", ((struct co_task *)\$_probe_arg0)->name
	continue
	end
	END
}

if grep -q '^#define CO_PROBES 1' "$build/config.h"
then
	{
		echo 'break main'
		echo run
		on begin '$_probe_arg1 == (long)in_put'
		on park '$_probe_arg1 == 5'
		on ready '(int)$_probe_arg1 == -125'
		on resume '(int)$_probe_arg1 == -125'
		on end '$_probe_arg1 == 42'
		echo continue
	} >"$work/commands"
	debug -x "$work/commands" --args "$program" >"$work/out"
	sed -n 's/^\([a-z]* [a-z]*er\|end ended\)$/\1/p' "$work/out" |
		tr '\n' , >"$work/met"
	[ "$(cat "$work/met")" = \
		'begin putter,park putter,end ended,ready sleeper,resume sleeper,' ]
	result 'a debugger stops at probes, and knows their arguments'
fi

# --- Without debug information --------------------------------------------------

real=$(readlink "$build/.libs/libcoloop.so" 2>/dev/null)
if [ -z "$real" ]
then
	echo "1..$count"
	exit
fi
# As the package has it: gdb finds the file by the name of the library.
mkdir "$work/lib"
cp "$build/.libs/$real" "$work/lib"
soname=$(readelf -d "$work/lib/$real" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
ln -s "$real" "$work/lib/$soname"
cp "$src/gdb/coloop.py" "$work/lib/$real-gdb.py"

# loaded: what the listing is with the library in $work/lib.
loaded()
{
	debug -iex "add-auto-load-safe-path $work" \
		-iex "set env LD_LIBRARY_PATH=$work/lib" \
		-ex 'break stop_here' -ex run -ex 'info coloop tasks' \
		-ex 'coloop bt all' -ex kill --args "$program"
}

loaded >"$work/out"
grep -q '"getter" waits in co_channel_get' "$work/out"
result 'gdb loads it together with the library'

strip --strip-unneeded "$work/lib/$real"
loaded >"$work/out"
grep -q 'There is no debug information of libcoloop' "$work/out" &&
	! grep -q 'Python\|Traceback' "$work/out"
result 'without debug information it says so'
echo "1..$count"
