#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mutants.sh - seeded faults, each of which the exploration must find
#
# Run by `make explore-mutants', which says how to compile and link.  In a copy
# of lib/, a sed script changes the first file of each mutant; that file and
# those that are named after it are compiled again, and the scenarios that are
# named run.  A script that changes nothing is a failure too: the code it was
# for has moved.

top=${top_srcdir:-$(dirname "$0")/../..}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
number=0
failed=0

report()
{
	number=$((number + 1))
	case $1 in
	ok) ;;
	*) failed=1 ;;
	esac
	echo "$1 $number - $what"
}

# Compile $1, a path below lib/ or one of the scenarios, into $work.
compile_one()
{
	case $1 in
	tests/*) from=$top/$1 ;;
	*) from=$work/lib/$1 ;;
	esac
	# shellcheck disable=SC2086
	$COMPILE_FIRST -iquote "$work/lib" $COMPILE_THEN -w -c "$from" \
		-o "$work/$(basename "$1" .c).o"
}

build()
{
	rm -f "$work"/*.o
	for file
	do
		case $file in
		*.h) ;;
		*) compile_one "$file" || return 1 ;;
		esac
	done

	# What is compiled anew comes first, so the rest is not taken.
	others=
	for object in tests/explore/explore-*.o
	do
		name=${object##*-}
		[ -e "$work/$name" ] || others="$others $object"
	done
	# shellcheck disable=SC2086
	$LINK -o "$work/explore" "$work"/*.o $others $LINK_LIBRARIES
}

# mutant WHAT SCENARIO "FILE..." SED
mutant()
{
	what=$1
	scenario=$2
	files=$3
	first=${files%% *}
	[ -z "$ONLY" ] || case $what in
	*"$ONLY"*) ;;
	*) return ;;
	esac

	rm -rf "$work/lib"
	cp -R "$top/lib" "$work/lib"
	chmod -R u+w "$work/lib"
	sed "$4" "$top/lib/$first" >"$work/lib/$first"
	if cmp -s "$top/lib/$first" "$work/lib/$first"
	then
		report "not ok"
		echo "# there is nothing to change in $first"
		return
	fi
	# shellcheck disable=SC2086
	if ! build $files >"$work/log" 2>&1
	then
		report "not ok"
		sed 's/^/# /' "$work/log"
		return
	fi
	# SECONDS would be the shell's own.
	timeout 120 "$work/explore" --brief --scenario "$scenario" \
		${EXPLORE_SECONDS:+--seconds "$EXPLORE_SECONDS"} >"$work/log"
	if ! grep -q '^not ok' "$work/log"
	then
		report "not ok"
		echo "# not found"
	else
		report ok
		sed -n '/^not ok/,$ { /^# [0-9]* schedules/p; }' "$work/log" |
			sed 1q
		sed -n '/^not ok/,$ { /^# [0-9]* schedules/ { n; p; q; }; }' \
			"$work/log"
	fi
}

. "$(dirname "$0")/mutants.list"

echo "1..$number"
exit $failed
