#!/bin/sh
# SPDX-License-Identifier: MIT
#
# doc/proof.md says of each flaw in section 12 of doc/design.md what puts it
# back and what finds it, as tests/mutants.list has it: `make check-mutants'
# tries them.  `tests/mutants.sh --table tests/mutants.list' writes the rows.

src=${top_srcdir:-$(dirname "$0")/..}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

top_srcdir=$src sh "$src/tests/mutants.sh" --table "$src/tests/mutants.list" \
	>"$work/tried"
grep '^| [A-Z][0-9]* |' "$src/doc/proof.md" >"$work/told"
[ -s "$work/tried" ] && diff "$work/tried" "$work/told" || {
	echo "doc/proof.md has not the rows of tests/mutants.list"
	failed=1
}

# The flaws in the first column of the table.
flaws=$(sed -n '/^## 12/,/^## 13/ s/^| \([A-Z][0-9][^|]*\) |.*/\1/p' \
	"$src/doc/design.md" | grep -o '[A-Z][0-9][0-9]*')
for flaw in $flaws
do
	grep -q "^| $flaw |" "$work/tried" && continue
	echo "$flaw is never put back"
	failed=1
done
[ -n "$flaws" ] || failed=1
exit $failed
