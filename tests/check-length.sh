#!/bin/sh
# SPDX-License-Identifier: MIT
#
# No function is longer than 60 lines, no file than 500 lines of code, no line
# than 80 columns.

cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1

if ! ctags --version 2>/dev/null | grep -q Universal
then
	echo "Universal Ctags is not installed"
	exit 77
fi

files=$(find lib include examples -name '*.[ch]' | sort)
long=$(ctags -x --kinds-C=f --_xformat='%F %n %e %N' $files |
	awk '$3 - $2 + 1 > 60 {
		print $1 ":" $2 ": " $4 "() has " $3 - $2 + 1 " lines" }')

# Comments and empty lines aren't code.
big=$(awk '
	FNR == 1 { inside = 0 }
	/^[ \t]*\/\*/ { inside = 1 }
	!inside && NF { lines[FILENAME]++ }
	/\*\// { inside = 0 }
	END { for (name in lines) if (lines[name] > 500)
		print name ": " lines[name] " lines of code" }' $files)

wide=$(for file in $files
do
	expand "$file" | awk -v name="$file" 'length($0) > 80 {
		print name ":" NR ": " length($0) " columns" }'
done)

[ -z "$long$big$wide" ] && exit 0
printf '%s\n' "$long" "$big" "$wide"
exit 1
