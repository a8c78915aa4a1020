#!/bin/sh
# SPDX-License-Identifier: MIT
#
# No file of lib/ includes a private header of a higher layer: the layers are
# the lists of Makefile.am, lowest first.  Public headers include each other
# and what every POSIX system has, nothing else.

cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1

standard='errno.h stddef.h stdint.h sys/socket.h sys/types.h sys/uio.h'
failed=0

for header in include/coloop.h include/coloop/*.h include/coloop/*.h.in
do
	for name in $(sed -n 's/^# *include *[<"]\(.*\)[>"].*/\1/p' "$header")
	do
		case " $standard " in
		*" $name "*) continue ;;
		esac
		case $name in
		coloop/*.h) continue ;;
		esac
		echo "$header: includes $name"
		failed=1
	done
done

# One line for each file: its layer's number, its layer's name, its path.
layers=$(awk '
	/^(base|structures|context|os|engine|primitives|services) *=/ {
		layer = $1; rank++; inside = 1 }
	inside {
		for (i = 1; i <= NF; i++)
			if ($i ~ /^lib\//) print rank, layer, $i
		if ($0 !~ /\\$/) inside = 0
	}' Makefile.am)

# A name in quotes is relative to the file's folder, or else to lib/.
upwards=$(find lib -name '*.[chS]' | sort |
	xargs grep -n '^# *include *"' |
	sed 's/^\([^:]*\):\([0-9]*\):[^"]*"\([^"]*\)".*/\1 \2 \3/' |
	awk -v layers="$layers" '
	BEGIN {
		n = split(layers, line, "\n")
		for (i = 1; i <= n; i++) {
			split(line[i], part, " ")
			rank[part[3]] = part[1]
			layer[part[3]] = part[2]
		}
	}
	{
		from = $1
		folder = from
		sub(/[^\/]*$/, "", folder)
		to = folder $3
		while (sub(/[^\/]+\/\.\.\//, "", to))
			;
		if (!(to in rank))
			to = "lib/" $3
		if (!(from in rank))
			print from ": is in no layer of Makefile.am"
		else if (!(to in rank))
			print from ":" $2 ": " $3 " is in no layer"
		else if (rank[to] > rank[from])
			print from ":" $2 ": " layer[from] \
				" includes " $3 " of " layer[to]
	}' | uniq)
[ -z "$upwards" ] || { echo "$upwards"; failed=1; }
exit $failed
