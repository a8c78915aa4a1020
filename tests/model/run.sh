#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh [MODEL...] - check the models of the protocols, and that they can fail
#
# Each model has to hold in all its states, each of which spin visits, and with
# all its statements reached; each of its mutants has to be rejected, in the way
# that the model's header says: by an assertion, or as a deadlock (which spin
# calls an invalid end state).  A mutant is a line of the header,
#
#	 * MUTANT_NAME  assertion|deadlock  what is wrong
#
# and is made by defining that name.  Writes TAP: a line for each model and each
# mutant, with the states and the time that it took.

dir=$(dirname "$0")
src=${top_srcdir:-$dir/../..}/tests/model
compiler=${CC:-cc}

# The mutants of the model $1: name and kind.
mutants()
{
	sed -n 's/^ \* \(MUTANT_[A-Z0-9_]*\)[ 	][ 	]*\([a-z]*\).*/\1 \2/p' \
		"$1"
}

# The names of mutants in the code of FILE...
names_in()
{
	cat "$@" | grep -v '^ \*' | grep -o 'MUTANT_[A-Z0-9_]*' | sort -u
}

# The mutants that the model $1 tells of are there, and it tells of all of its
# own; what it includes may have others.
lists_all()
{
	mutants "$1" | cut -d ' ' -f 1 | sort >"$work/listed"
	names_in "$1" >"$work/own"
	names_in "$1" $(sed -n "s|^#include \"\(.*\)\"|$src/\1|p" "$1") \
		>"$work/there"
	[ -z "$(comm -23 "$work/listed" "$work/there")" ] &&
		[ -z "$(comm -13 "$work/listed" "$work/own")" ]
}

# explore FILE NAME KIND: run one, in a directory of its own; the line of TAP
# without its number goes to NAME.tap.
explore()
{
	file=$1 name=$2 kind=$3
	begin=$(date +%s%N)
	mkdir "$work/$name.d" && cd "$work/$name.d" || exit 1
	mutant=${name#*/}
	{
		spin -a ${define:+"$define"} "$file" &&
		$compiler ${optimize:--O0} -w -DSAFETY -DMEMLIM=2048 \
			-o pan pan.c &&
		timeout 300 ./pan -m500000 -w20
	} >log 2>&1
	judge "$kind" >verdict
	end=$(date +%s%N)
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
	{
		cat verdict
		printf '\t# %s states, %s ms\n' "${states:-no}" \
			$(((end - begin) / 1000000))
		! grep -q '^not' verdict || sed 's/^/# /' log
	} >"$work/$name.tap"
}

# What came of it: "ok - ..." or "not ok - ...", from the log.
judge()
{
	found=none
	! grep -q '^pan:.*assertion violated' log || found=assertion
	! grep -q '^pan:.*invalid end state' log || found=deadlock
	if ! grep -q '^State-vector.* errors: [01]$' log ||
		grep -qE '^(error|pan).*(too small|out of memory|reached)' log
	then
		printf 'not ok - %s: not explored' "$name"
	elif [ "$found" != "$1" ]
	then
		printf 'not ok - %s: found %s, not %s' "$name" $found "$1"
	elif [ "$1" = none ] && unreached
	then
		printf 'not ok - %s: what is never reached proves nothing' \
			"$name"
	elif [ "$1" = none ]
	then
		printf 'ok - %s holds' "$name"
	else
		printf 'ok - %s is rejected: %s' "$name" "$1"
	fi
}

# Whether the log tells of a statement that no state reached.  The ends of
# processes that run for ever don't count, nor what includes a part, of which
# it may not need all in each place.
unreached()
{
	! grep -q '^#include' "$file" &&
		grep -E '^[[:space:]].*, state [0-9]+, "' log |
		grep -qv '"-end-"'
}

# --- One job, as xargs below starts it ---------------------------------------

if [ "${1-}" = --one ]
then
	work=$2 file=$3 name=$4 kind=$5 define= optimize=-O1
	[ "$kind" = none ] || { define=-D${name#*.} optimize=; }
	explore "$file" "$name" "$kind"
	exit 0
fi

# --- All of them -------------------------------------------------------------

command -v spin >/dev/null || {
	echo "1..0 # SKIP spin is not installed"
	exit 0
}
src=$(cd "$src" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ $# != 0 ] || set -- "$src"/*.pml
status=0
: >"$work/jobs"
for file in "$@"
do
	model=$(basename "$file" .pml)
	file=$src/$model.pml
	lists_all "$file" || {
		echo "Bail out! $model: the header lists other mutants"
		exit 1
	}
	echo "$file $model none" >>"$work/jobs"
	mutants "$file" | sed "s|^|$file $model.|" >>"$work/jobs"
done
echo "1..$(wc -l <"$work/jobs")"
xargs -L 1 -P "$(nproc)" sh "$0" --one "$work" <"$work/jobs"
number=0
while read -r file name kind
do
	number=$((number + 1))
	[ -e "$work/$name.tap" ] ||
		echo "not ok - $name: nothing came of it" >"$work/$name.tap"
	sed "1s/ok -/ok $number -/" "$work/$name.tap"
	! grep -q '^not' "$work/$name.tap" || status=1
done <"$work/jobs"
exit $status
