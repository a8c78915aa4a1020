#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mutants.sh LIST... - seeded faults, each of which a check must find
#
# Run by `make explore-mutants' and `make check-mutants', which say how to
# compile and link.  A LIST is a script of the calls below, in this order:
#
#   fault WHAT          begin a fault, in a copy of lib/, include/ and examples/
#   edit FILE SED...    change FILE, a path below lib/ or from the top, by sed
#                       scripts.  Each must change something: if one doesn't,
#                       the code that it is for has moved, and that is reported
#   also FILE...        what else is compiled: it includes a header that was
#                       edited
#   found_by explore SCENARIO        the exploration fails (tests/explore/)
#   found_by unit PROGRAM PATTERN    so does one of the unit tests
#   found_by torture PROGRAM OPTION...       and a torture program
#   found_by replay TARGET           and a fuzz target, given its corpus
#   found_by tsan MEANS              ThreadSanitizer finds a race where there is
#                                    none, for want of being told
#   found_by model MODEL.MUTANT      spin rejects what is the same in a model
#   mutant WHAT SCENARIO "FILE..." SED...    all of it for one scenario: FILE is
#                       edited and the others are compiled
#
# A unit test or torture program must pass first as it is.  Writes TAP.  ONLY
# tells a part of the names of the faults that are wanted.  With --table it
# writes rows of a table instead, of the faults whose names begin with the name
# of a flaw.

top=${top_srcdir:-$(dirname "$0")/..}


# --- One fault ----------------------------------------------------------------

index=0		# of the last fault
what=		# its name
wanted=		# it is ours to try
broken=		# why it can't be tried
units=		# what is to be compiled
checks=		# for the table: what finds it

# The row of the last fault, if a table is wanted.
end_row()
{
	[ -n "$table" ] && [ -n "$checks" ] || return 0
	flaw=${what%% *}
	case $flaw in
	[A-Z][0-9]*) echo "| $flaw | ${what#* } | $checks |" ;;
	esac
	checks=
}

report()
{
	printf '%s - %s\n' "$1" "$2"
}

fault()
{
	end_row
	what=$1 broken='' units='' wanted=''
	index=$((index + 1))
	[ $((index % parts)) = "$part" ] || return 0
	case $what in
	*"$ONLY"*) wanted=yes ;;
	*) return 0 ;;
	esac
	[ -z "$table" ] || return 0
	rm -rf "$work/lib" "$work/include" "$work/examples" \
		"$work/explore" "$work/program"
	cp -R "$top/lib" "$top/include" "$top/examples" "$work"
	chmod -R u+w "$work/lib" "$work/include" "$work/examples"
}

path_of()
{
	case $1 in
	include/*|tests/*|examples/*) echo "$1" ;;
	*) echo "lib/$1" ;;
	esac
}

edit()
{
	[ -n "$wanted" ] && [ -z "$table" ] || return 0
	path=$(path_of "$1")
	shift
	for script
	do
		sed "$script" "$work/$path" >"$work/edited"
		! cmp -s "$work/edited" "$work/$path" ||
			broken="nothing to change in $path: $script"
		cp "$work/edited" "$work/$path"
	done
	case $path in
	*.c) units="$units $path" ;;
	esac
}

also()
{
	for file
	do
		units="$units $(path_of "$file")"
	done
}

# --- Building it --------------------------------------------------------------

# The name of what is compiled from a file; two folders may have one of a name.
object_of()
{
	echo "${1%.c}.o" | tr / _
}

# compile KIND: explore or program.
compile()
{
	[ ! -d "$work/$1" ] || return 0
	mkdir "$work/$1"
	for unit in $units
	do
		case $unit in
		tests/explore/*) [ "$1" = explore ] || continue ;;
		tests/*) [ "$1" = program ] || continue ;;
		esac
		case $unit in
		tests/*) from=$top/$unit ;;
		*) from=$work/$unit ;;
		esac
		[ "$1" = explore ] && flags=$EXPLORE_FLAGS ||
			flags=$PROGRAM_FLAGS
		# shellcheck disable=SC2086
		$COMPILE -iquote "$work/lib" -I"$work/include" $flags -w \
			-c "$from" -o "$work/$1/$(object_of "$unit")" ||
			return 1
	done
}

# What is compiled anew comes first, so the rest is not taken.
link_explore()
{
	others=
	for object in tests/explore/explore-*.o
	do
		[ -e "$work/explore/tests_explore_${object##*-}" ] ||
			others="$others $object"
	done
	# shellcheck disable=SC2086
	$COMPILE $EXPLORE_LINK -o "$work/check" "$work"/explore/*.o $others \
		$EXPLORE_LIBRARIES
}

# link_program PROGRAM: a path below tests/.  What test_fault has compiled in
# calls tests/fault/calls.c, as its library does.
link_program()
{
	objects=program others=
	[ -e "$work/program/$(object_of "tests/$1.c")" ] ||
		others=tests/$1.o
	case $1 in
	test_fault)
		objects=renamed
		others="$others $(echo tests/fault/*.o) tests/fault/libfaulty.a"
		rm -rf "$work/renamed"
		cp -R "$work/program" "$work/renamed"
		for object in "$work"/renamed/lib_*.o
		do
			$OBJCOPY --redefine-syms=tests/fault/renamed "$object" ||
				return 1
		done ;;
	esac
	# shellcheck disable=SC2086
	$COMPILE $PROGRAM_LINK -o "$work/check" "$work/$objects"/*.o \
		$others $PROGRAM_LIBRARIES
}

# The objects of the fuzz target $1, without the library.
objects_of()
{
	echo "tests/fuzz/$1.o tests/fuzz/fuzz.o tests/fuzz/replay.o"
	case $1 in
	chat) echo examples/chat_line.o ;;
	http) echo examples/http_open.o examples/http_parse.o ;;
	*)
		for object in tests/fuzz/*.o
		do
			case ${object##*/} in
			chat.o|http.o|one_thread.o|threads.o) ;;
			fuzz.o|replay.o) ;;
			*) echo "$object" ;;
			esac
		done ;;
	esac
}

link_replay()
{
	others=
	for object in $(objects_of "$1")
	do
		[ -e "$work/program/$(echo "$object" | tr / _)" ] ||
			others="$others $object"
	done
	# shellcheck disable=SC2086
	$COMPILE $PROGRAM_LINK $FUZZ_LINK -o "$work/check" \
		"$work"/program/*.o $others $PROGRAM_LIBRARIES
}

# link_told OUTPUT OBJECT...: what tests/tsan.sh runs.
link_told()
{
	output=$1
	shift
	# shellcheck disable=SC2086
	$COMPILE $PROGRAM_FLAGS $PROGRAM_LINK -fsanitize=thread -o "$output" \
		"$top/tests/tsan_target.c" "$@" $PROGRAM_LIBRARIES
}

# --- Seeing it ----------------------------------------------------------------

# Seconds after which a test hangs: what is to pass may be slow.
patience=60

# run PROGRAM ARGUMENT...: as $how says; status 0 if nothing was found.
run()
{
	case $how in
	explore)
		# SECONDS would be the shell's own.
		timeout 300 "$1" --brief --scenario "$2" \
			${EXPLORE_SECONDS:+--seconds "$EXPLORE_SECONDS"} ||
			return
		# Ten times as many: where code moves, so do the schedules.
		[ -n "$EXPLORE_SECONDS" ] || timeout 300 "$1" --brief \
			--scenario "$2" --runs 5000 ;;
	unit)
		CO_TEST_TIMEOUT=$patience timeout 100 "$1" --filter "$2" ;;
	torture)
		timeout 100 "$@" ;;
	replay)
		timeout "$patience" "$1" "$top/tests/fuzz/corpus/$2"/* ;;
	tsan)
		COLOOP_THREADS=4 TSAN_OPTIONS=atexit_sleep_ms=0 \
			timeout 100 "$1" good "$2" ;;
	esac
}

# try_model MODEL.MUTANT: no fault of a file, but the same fault.
try_model()
{
	model=${1%%.*}
	kind=$(sed -n "s/^ \* ${1#*.}[[:space:]]*\([a-z]*\).*/\1/p" \
		"$top/tests/model/$model.pml")
	rm -rf "$work/$1.d"
	CC="${COMPILE%% *}" sh "$top/tests/model/run.sh" --one "$work" \
		"$(cd "$top" && pwd)/tests/model/$model.pml" "$1" "${kind:-none}"
	cp "$work/$1.tap" "$work/log"
	grep -q '^ok' "$work/log"
}

# passes PROGRAM ARGUMENT...: the check finds nothing where nothing is wrong.
passes()
{
	control="$work/passed/$(printf '%s' "$how $*" | tr -c '[:alnum:]' _)"
	[ ! -e "$control" ] || return 0
	program=tests/$1
	case $how in
	replay) program=tests/fuzz/$1 ;;
	tsan)
		program=$work/told
		[ -e "$program" ] || link_told "$program" || return ;;
	*) shift ;;
	esac
	run "$program" "$@" >"$work/log" 2>&1 </dev/null &&
		mkdir -p "$work/passed" && : >"$control"
}

# The line of the log that says best what was found.
evidence()
{
	case $how in
	model) sed -n 's/^ok - .*: \(.*\)	# /# \1, /p' "$work/log" ;;
	explore)
		sed -n '/^not ok/,$ { /^# [0-9]* schedules/ { p; n; p; q; }; }' \
			"$work/log" ;;
	*)
		grep -m 1 -E 'expected|got|FAIL|CRASH|Timeout|hangs|SUMMARY|Sanitizer' \
			"$work/log" | sed 's/^/# /' ;;
	esac
}

# Build it and run it.  Returns whether it was found.
try()
{
	case $how in
	explore)
		compile explore && link_explore && found "$@" ;;
	model)
		try_model "$1" ;;
	*)
		passes "$@" || {
			echo "it fails without the fault, too"
			return 1
		} >>"$work/log"
		compile program || return
		case $how in
		replay) link_replay "$1" || return ;;
		tsan)
			link_told "$work/check" "$work"/program/*.o || return ;;
		*) link_program "$1" && shift || return ;;
		esac
		found "$@" ;;
	esac
}

# Whether the check says itself that something is wrong: a program that can't
# even be run is no proof.
found()
{
	patience=4
	run "$work/check" "$@" >"$work/log" 2>&1 </dev/null
	status=$?
	patience=60
	case $how in
	explore) grep -q '^not ok' "$work/log" ;;
	unit) [ $status = 124 ] || grep -qE '^\[(FAIL|----)\]|CRASH' "$work/log" ;;
	tsan) grep -q 'data race' "$work/log" ;;
	torture|replay) [ $status = 1 ] || [ $status -ge 124 ] ;;
	esac
}

found_by()
{
	how=$1
	[ -n "$wanted" ] || return 0
	if [ -n "$table" ]
	then
		case $1 in
		explore) shift; found="exploration, \"$*\"" ;;
		unit) found="\`$2\`, ${3##*/}" ;;
		*) found="$1 \`${2#torture/}\`" ;;
		esac
		checks="$checks${checks:+; }$found"
		return
	fi
	shift
	name="$what: $how $*"
	if [ -n "$broken" ]
	then
		report 'not ok' "$name"
		echo "# $broken"
	elif try "$@" 2>"$work/errors"
	then
		report ok "$name"
		evidence
	else
		report 'not ok' "$name"
		tail -n 20 "$work/errors" "$work/log" | sed 's/^/# /'
	fi
}

mutant()
{
	fault "$1"
	scenario=$2
	first=${3%% *} others=${3#"$first"}
	shift 3
	edit "$first" "$@"
	# shellcheck disable=SC2086
	also $others
	found_by explore "$scenario"
}

# --- All of them --------------------------------------------------------------

table=
part=0
parts=1
case ${1-} in
--table)
	table=yes
	shift ;;
--part)
	part=$2 parts=$3 work=$4
	shift 4
	mkdir -p "$work" ;;
*)
	all=$(mktemp -d) || exit 1
	trap 'rm -rf "$all"' EXIT
	trap 'exit 1' HUP INT TERM
	# Twice the processors: what should hang is waited for.
	parts=$((2 * $(nproc 2>/dev/null || echo 1)))
	pids=
	while [ "$part" -lt "$parts" ]
	do
		sh "$0" --part "$part" "$parts" "$all/$part" "$@" \
			>"$all/$part.tap" &
		pids="$pids $!"
		part=$((part + 1))
	done
	# One that dies before its end has not tried all of its mutants.
	part=0
	for pid in $pids
	do
		wait "$pid" || echo "not ok - part $part ended with status $?" \
			>"$all/$part.end.tap"
		part=$((part + 1))
	done
	cat "$all"/*.tap | awk '/^(not )?ok / {
		sub(/ok/, "ok " ++n)
	}
	{ print }
	END { print "1.." n + 0 }' >"$all/tap"
	cat "$all/tap"
	! grep -qE '^not ok|^1\.\.0' "$all/tap"
	exit ;;
esac
for list
do
	case $list in
	/*) ;;
	*) list=$PWD/$list ;;
	esac
	. "$list"
done
end_row
