#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The shared library has the static probes that lib/probes.h and the manual
# list, no others, each with as many arguments; and an idle one is a nop.

src=${top_srcdir:-.} build=${top_builddir:-.}
library=$build/.libs/libcoloop.so
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
LC_ALL=C
export LC_ALL

grep -q '^#define CO_PROBES 1' "$build/config.h" || {
	echo 'built without probes'
	exit 77
}
[ -e "$library" ] || {
	echo 'no shared library was built'
	exit 77
}

# A line for each probe: its name and how many arguments it has.
sed -n 's/^ \*   \([a-z]*\)  *\([a-z, ]*[a-z]\)   .*/\1 \2/p' \
	"$src/lib/probes.h" | grep -v '^probe ' >"$work/listed"
awk '{ print $1, NF - 1 }' "$work/listed" | sort >"$work/probes.h"
readelf -n "$library" | awk '
	$1 == "Provider:" { provider = $2 }
	$1 == "Name:" { name = $2 }
	$1 == "Arguments:" && provider == "coloop" { print name, NF - 1 }' |
	sort -u >"$work/libcoloop.so"
[ -s "$work/probes.h" ] || {
	echo 'no probe was found in probes.h'
	exit 1
}

# compare LIST LIST
compare()
{
	diff -U0 --label "$1" --label "$2" "$work/$1" "$work/$2" || failed=1
}

compare probes.h libcoloop.so

# The rows of the table: name, arguments, and when.
page=$src/man/coloop-debugging.7
if grep -q '^\.SS Probes' "$page" 2>/dev/null
then
	tab=$(printf '\t')
	sed -n "/^\.SS Probes/,/^\.TE/{
		s/^\([a-z]*\)$tab\([a-z, ]*\)$tab.*/\1 \2/p; }" "$page" |
		grep -v '^probe ' | sort >"$work/page"
	sort -o "$work/listed" "$work/listed"
	compare listed page
fi

# At each place there is a nop.
readelf -n "$library" | sed -n 's/.*Location: 0x0*\([0-9a-f]*\),.*/\1/p' |
	sort -u >"$work/places"
${OBJDUMP:-objdump} -d --no-show-raw-insn "$library" |
	sed -n 's/^ *\([0-9a-f]*\):[[:space:]]*\([a-z0-9.]*\).*/\1 \2/p' |
	awk -v places="$work/places" '
	BEGIN { while ((getline place < places) > 0) wanted[place] = 1 }
	$1 in wanted { n++; if ($2 !~ /^(nop|nopr|sll)/) {
		print "at " $1 " is " $2; bad = 1 } }
	END { if (n == 0) { print "no place was found"; bad = 1 }
		exit bad }' || failed=1
exit $failed
