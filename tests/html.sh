#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual as HTML is made, and its links, programs and search are right.

src=${top_srcdir:-$(dirname "$0")/..}
export top_srcdir="$src" top_builddir="${top_builddir:-.}" CC="${CC:-cc}"

for tool in python3 mandoc
do
	command -v $tool >/dev/null || {
		echo "no $tool"
		exit 77
	}
done

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

sed -n 's/^[[:space:]]*\(co_[a-z0-9_]*\);$/\1/p' "$src/lib/coloop.map" \
	>"$work/functions"
python3 -B "$src/man/html/make_site.py" --version 0 --output "$work/site" \
	"$src"/man/*.[37] || exit 1
python3 -B "$src/tests/html_site.py" "$work/site" "$work/functions"
