#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the shared library exports, what its version script lists, what Debian
# records, and what the headers declare are the same functions.

src=${top_srcdir:-.} build=${top_builddir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

library=$build/.libs/libcoloop.so
if [ ! -e "$library" ]
then
	echo "no shared library was built"
	exit 77
fi

cat "$src"/include/coloop/*.h "$build"/include/coloop/version.h |
	tr '\n' ' ' | grep -oE 'CO_API [^();]*\(' |
	grep -oE 'co_[a-z0-9_]+ *\($' | tr -d ' (' | sort >"$work/headers"
sed -n 's/^[[:space:]]*\(co_[a-z0-9_]*\);$/\1/p' "$src/lib/coloop.map" |
	sort >"$work/coloop.map"
${NM:-nm} -D --defined-only "$library" |
	sed -n 's/.* [TDBRW] \([^@]*\).*/\1/p' | sort >"$work/libcoloop.so"
symbols=$src/debian/libcoloop0.symbols
if [ -e "$symbols" ]
then
	sed -n 's/^ \(co_[a-z0-9_]*\)@COLOOP_.*/\1/p' "$symbols" |
		sort >"$work/debian"
fi

if [ ! -s "$work/headers" ]
then
	echo "no function was found in the headers"
	exit 1
fi
cd "$work" || exit 1
for list in coloop.map libcoloop.so debian
do
	[ -e $list ] || continue
	diff -U0 --label headers --label $list headers $list || failed=1
done
exit ${failed:-0}
