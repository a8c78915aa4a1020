#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the shared library exports, what its version script lists, what Debian
# records, and what the headers declare are the same functions, and have the
# same symbol versions.  (man.sh sees to it that each has its page.)  The static
# library has no names but those that begin with co_, one that all who have
# static probes share, and those of i386 that each compiler makes alike.

src=${top_srcdir:-.} build=${top_builddir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

library=$build/.libs/libcoloop.so
if [ ! -e "$library" ]
then
	echo "no shared library was built"
	exit 77
fi

# A line for each function: its name, and its node of the version script; and
# one for each node, which is a symbol as well.
awk '/{$/ { node = $1; print node, node }
	$1 ~ /^co_/ { sub(";", "", $1); print $1, node }' \
	"$src/lib/coloop.map" | sort >"$work/coloop.map"
${NM:-nm} -D --defined-only "$library" |
	awk '{ if (split($NF, part, /@+/) == 1) part[2] = part[1]
		print part[1], part[2] }' | sort >"$work/libcoloop.so"
symbols=$src/debian/libcoloop0.symbols
if [ -e "$symbols" ]
then
	sed -n 's/^ \([^@]*\)@\([^ ]*\) .*/\1 \2/p' "$symbols" |
		sort >"$work/debian"
fi

cat "$src"/include/coloop/*.h "$build"/include/coloop/version.h |
	tr '\n' ' ' | grep -oE 'CO_API [^();]*\(' |
	grep -oE 'co_[a-z0-9_]+ *\($' | tr -d ' (' | sort >"$work/headers"
sed -n 's/^\(co_.*\) .*/\1/p' "$work/coloop.map" >"$work/functions"

if [ ! -s "$work/headers" ]
then
	echo "no function was found in the headers"
	exit 1
fi

# compare LIST LIST
compare()
{
	diff -U0 --label "$1" --label "$2" "$work/$1" "$work/$2" || failed=1
}

compare headers functions
compare coloop.map libcoloop.so
if [ -e "$work/debian" ]
then
	compare coloop.map debian
	# What came with the node COLOOP_0.1 is in 0.1.0 and later.
	awk '/@COLOOP_/ { split($1, part, "@COLOOP_")
		if (index($2, part[2] ".") != 1)
			print "debian: " $0 }' "$symbols" >"$work/versions"
	if [ -s "$work/versions" ]
	then
		cat "$work/versions"
		failed=1
	fi
fi

if ${NM:-nm} -g --defined-only "$build/.libs/libcoloop.a" 2>/dev/null |
	awk 'NF == 3 && $3 !~ /^co_/ && $3 != "_.stapsdt.base" &&
		$3 !~ /^__x86\.get_pc_thunk\./' | grep .
then
	echo "libcoloop.a could clash with a program that has these names"
	failed=1
fi
exit ${failed:-0}
