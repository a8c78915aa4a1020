#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tables of tests/fault/ are complete: they have each symbol that the
# library takes from elsewhere, each error that the system's manual has for
# what it calls, and no error of ours that isn't in our manual.

src=${top_srcdir:-.} build=${top_builddir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
LC_ALL=C.UTF-8
export LC_ALL
count=0

# report SENTENCE FILE: ok if FILE is empty.
report()
{
	count=$((count + 1))
	if [ ! -s "$2" ]
	then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		sed 's/^/# /' "$2"
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

rows()
{
	${AWK:-awk} -f "$src/tests/fault/rows.awk" "$src/tests/fault/$1"
}

# --- Symbols ------------------------------------------------------------------

# What isn't in the table, of the undefined symbols on the input.
find_unknown()
{
	patterns=$(${AWK:-awk} -F '\t' '$1 == "SAFE" {
		for (i = 3; i <= NF; i++) print $i }' "$work/calls")
	while read -r symbol
	do
		known=
		set -f
		for pattern in $patterns
		do
			# shellcheck disable=SC2254
			case $symbol in
			$pattern) known=1; break ;;
			esac
		done
		set +f
		[ -n "$known" ] || echo "$symbol is not in calls.inc"
	done
}

check_symbols()
{
	library=$build/.libs/libcoloop-internal.a
	# What the optimizer of the linker knows of symbols is less.
	${OBJCOPY:-objcopy} --remove-section='.gnu.lto_*' "$library" \
		"$work/library.a" || echo "$library can't be read"
	${NM:-nm} "$work/library.a" 2>/dev/null >"$work/nm"
	sed -n 's/^ *[Uw] //p' "$work/nm" | sort -u >"$work/undefined"
	sed -n 's/^[0-9a-f]* [A-TV-Z] //p' "$work/nm" | sort -u >"$work/defined"
	cat "$work/calls" "$work/nm" |
		${AWK:-awk} -f "$src/tests/fault/renamed.awk" |
		sed 's/ .*//' | sort -u >"$work/called"
	[ -s "$work/called" ] || echo "no call was found in $library"
	sort -u "$work/defined" "$work/called" |
		comm -13 - "$work/undefined" | find_unknown
}

# --- Errors of the system -----------------------------------------------------

# The names that errno.h has.
errno_names()
{
	echo '#include <errno.h>' | ${CC:-cc} -E -dM -x c - |
		sed -n 's/^#define \(E[A-Z0-9]*\) .*/\1/p'
}

# The source of a page like "accept.2"; empty if it isn't there.
page_source()
{
	path=$(man -w "${1##*.}" "${1%.*}" 2>/dev/null) && zcat -f "$path"
}

# The errors that a page has, one a line.  EWOULDBLOCK is EAGAIN.
page_errors()
{
	page_source "$1" | sed -e '/^\.\\"/d' -e 's/\\f.//g' |
		${AWK:-awk} '/^\.SH/ { inside = /ERRORS|RETURN VALUE/ } inside' |
		grep -oE '\<E[A-Z0-9]+\>' | grep -vx EWOULDBLOCK | sort -u |
		comm -12 - "$work/errno"
}

pages()
{
	${AWK:-awk} -F '\t' '$1 == "CALL" { gsub(/ /, "\n", $4); print $4 }' \
		"$work/calls" | sort -u
}

# Why the manual can't be compared; nothing if it can.
why_not()
{
	command -v man >/dev/null || { echo "man is not installed"; return; }
	${AWK:-awk} -F '\t' '$1 == "MANUAL" { print $2 }' "$work/calls" \
		>"$work/versions"
	for page in $(pages)
	do
		page_source "$page" | grep '^\.TH' >"$work/title"
		if [ ! -s "$work/title" ]
		then
			echo "the manual has no $page"
		elif ! grep -qFf "$work/versions" "$work/title"
		then
			echo "the manual is another than the table was made of:" \
				"$(cat "$work/title")"
		else
			continue
		fi
		return
	done
}

# Each call, its errors by the table, and by the manual: they are the same, but
# for those that are BEYOND.
check_manual()
{
	for page in $(pages)
	do
		page_errors "$page" | sed "s/^/PAGE	$page	/"
	done | cat - "$work/calls" | ${AWK:-awk} -F '\t' '
	function check(call, error) {
		if (!((call, error) in table))
			print call ": " error " of the manual is not here"
	}
	$1 == "PAGE" { errors[$2] = errors[$2] " " $3 }
	$1 == "CALL" {
		n = split($4, pages, " ")
		for (i = 1; i <= n; i++)
			manual[$2] = manual[$2] errors[pages[i]]
	}
	$1 == "FAULTS" || $1 == "EXCLUDED" {
		if (!($2 in manual))
			print $2 ": its CALL has to come before"
		for (i = 4; i <= NF; i++) {
			if (($2, $i) in table)
				print $2 ": " $i " is there twice"
			table[$2, $i] = 1
		}
	}
	$1 == "BEYOND" {
		for (i = 4; i <= NF; i++)
			beyond[$2, $i] = 1
	}
	END {
		for (call in manual) {
			n = split(manual[call], list, " ")
			for (i = 1; i <= n; i++) {
				check(call, list[i])
				of_page[call, list[i]] = 1
			}
		}
		for (key in table) {
			split(key, part, SUBSEP)
			if (part[2] != "PARTIAL" && !(key in of_page) \
					&& !(key in beyond))
				print part[1] ": " part[2] \
					" is not of the manual"
		}
		for (key in beyond) {
			split(key, part, SUBSEP)
			if (key in of_page || !(key in table))
				print part[1] ": " part[2] " is not BEYOND"
		}
	}'
}

# --- Errors of the library ----------------------------------------------------

# The functions that a page of ours documents, and its ERRORS: a line for each
# error and function, or "any"; and one for each page that is referred to.
our_errors()
{
	${AWK:-awk} '
	FNR == 1 { part = names = "" }
	/^\.SH/ { part = $2 }
	part == "NAME" && /^co_/ { sub(/,$/, ""); names = names " " $1 }
	part != "ERRORS" { next }
	/^\.TP/ { error = ""; named = 0; next }
	/^\.B +\\-E/ { error = substr($2, 3); next }
	/^\.BR/ && $3 ~ /^\([0-9]\)/ {
		n = split(names, all, " ")
		for (i = 1; i <= n; i++)
			print "WHAT\t" all[i] "\t" $2 "." substr($3, 2, 1)
	}
	error != "" && /^\.R?BR? .*co_[a-z_]+ \(\)/ && named >= 0 {
		match($0, /co_[a-z_]+/)
		print "SAID\t" substr($0, RSTART, RLENGTH) "\t" error
		named = 1
		next
	}
	error != "" && named == 0 {
		n = split(names, all, " ")
		for (i = 1; i <= n; i++)
			print "SAID\t" all[i] "\t" error
	}
	{ named = -1 }' "$src"/man/*.3
}

check_ours()
{
	our_errors >"$work/ours"
	[ -s "$work/ours" ] || echo "the manual has no error"
	rows told.inc | cat "$work/ours" - | ${AWK:-awk} -F '\t' '
	$1 == "SAID" || $1 == "WHAT" { has[$2, $3] = 1 }
	$1 == "SAYS" {
		for (i = 3; i <= NF; i++)
			if (!(($2, $i) in has))
				print $2 ": the manual has no -" $i
	}
	$1 == "SAYS_WHAT" && !(($2, $3) in has) {
		print $2 ": the manual does not refer to " $3
	}'
}

# ------------------------------------------------------------------------------

rows calls.inc >"$work/calls"
errno_names | sort >"$work/errno"

echo 1..3
check_symbols >"$work/symbols"
report 'each symbol is in the table' "$work/symbols"

why=$(why_not)
if [ -n "$why" ]
then
	skip 'the errors are those of the manual' "$why"
else
	check_manual >"$work/manual"
	report 'the errors are those of the manual' "$work/manual"
fi

check_ours >"$work/said"
report 'what the library says is in its manual' "$work/said"
