#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the manual says is true: its prototypes are those of the headers, its
# programs compile, run and end well as a reader would copy them, each exported
# function has a page, and the pages are without a warning.

src=${top_srcdir:-${srcdir:-.}} build=${top_builddir:-${builddir:-.}}
CC=${CC:-cc}
include="-I$src/include -I$build/include"
libtool=${LIBTOOL:-$build/libtool}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0

# Neither a user's settings nor their language change what is compared.
unset MANOPT MANROFFOPT MANROFFSEQ MAN_KEEP_FORMATTING GROFF_TMAC_PATH
LC_ALL=C.UTF-8
export LC_ALL

# report SENTENCE [FILE]: ok if FILE, by default $work/out, is empty.
report()
{
	count=$((count + 1))
	if [ ! -s "${2:-$work/out}" ]
	then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		sed 's/^/# /' "${2:-$work/out}"
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

have()
{
	command -v "$1" >/dev/null
}

# ---- reading a page ----

render()
{
	MANWIDTH=${2:-120} man --warnings --no-hyphenation \
		--no-justification -P cat -l "$1"
}

# section NAME: the section of a rendered page, without its indent.
section()
{
	sed -n "/^$1\$/,/^[A-Z]/{/^[A-Z]/d;s/^       //;p;}"
}

# names PAGE: what its section NAME lists.
names()
{
	sed -n '/^\.SH NAME/,/\\-/{/^\.SH/d;s/\\-.*//;p;}' "$1" |
		tr ', ' '\n\n' | sed '/^$/d'
}

# heading PAGE: its section NAME, as apropos searches it.
heading()
{
	sed -n '/^\.SH NAME/,/^\.SH LIBRARY/{/^\.SH/d;p;}' "$1"
}

# program PAGE NAME: the source of one of its programs, as a page of its own.
program_page()
{
	printf '.TH PROGRAM 3 2000-01-01 x x\n.nh\n.SH EXAMPLES\n'
	sed -n "/^\.\\\\\" SRC BEGIN ($2)\$/,/^\.\\\\\" SRC END/p" "$1"
	printf '.SH END\n'
}

programs()
{
	sed -n 's/^\.\\" SRC BEGIN (\(.*\))$/\1/p' "$1"
}

# ---- what is to be true of a page ----

check_lint()
{
	if ! have mandoc
	then
		skip "$name: no mistake is found by mandoc" "no mandoc"
		return
	fi
	mandoc -Tlint -Wstyle "$page" >"$work/out" 2>&1
	report "$name: no mistake is found by mandoc"
}

check_warnings()
{
	for width in 80 120
	do
		render "$page" $width 2>&1 >/dev/null
	done >"$work/out"
	report "$name: no warning at 80 columns, nor at 120"
}

# A bare minus, quote, tilde or caret is printed as another character by some
# formatters, and what is copied then doesn't compile.
check_escapes()
{
	sed -n '/^\.EX/,/^\.EE/{/^\.E/d;p;}' "$page" |
		sed 's/\\[-e]//g;s/\\(aq//g;s/\\(ti//g;s/\\(ha//g' |
		grep "[-'~^\`]" >"$work/out"
	report "$name: its code can be copied"
}

# A prototype that differs from the header's is an error of the compiler.
check_synopsis()
{
	render "$page" 2>/dev/null | section SYNOPSIS >"$work/synopsis"
	sed '/^cc /,$d
		s/^#define \([A-Za-z_]*\).*/#ifndef \1\n#error \1\n#endif/' \
		"$work/synopsis" >"$work/synopsis.c"
	$CC -std=gnu11 -Wall -Wextra -Werror $include -c \
		"$work/synopsis.c" -o "$work/synopsis.o" >"$work/out" 2>&1
	report "$name: its synopsis is that of the header"
}

check_order()
{
	grep -o 'co_[a-z0-9_]*(' "$work/synopsis" | tr -d '(' |
		grep -Fxf "$work/exported" >"$work/shown"
	names "$page" | grep -Fxf "$work/exported" | sort >"$work/named"
	grep -Fxf "$work/shown" "$work/declared" >"$work/ordered"
	{
		sort "$work/shown" | diff -U0 --label NAME --label SYNOPSIS \
			"$work/named" -
		diff -U0 --label header --label SYNOPSIS \
			"$work/ordered" "$work/shown"
	} >"$work/out"
	report "$name: its synopsis is complete, and in the header's order"
}

check_whatis()
{
	if ! have lexgrog
	then
		skip "$name: apropos finds it" "no lexgrog"
		return
	fi
	names "$page" >"$work/names"
	{
		heading "$page" | grep -qw coloop ||
			echo "the word coloop is missing"
		lexgrog "$page" 2>&1 | sed -n 's/.*: "\([^ ]*\) - .*/\1/p' |
			diff -U0 --label NAME --label lexgrog "$work/names" -
	} >"$work/out"
	report "$name: apropos finds it"
}

check_program()
{
	what="$name: $program compiles without a warning, and ends well"
	program_page "$page" "$program" >"$work/program.3"
	render "$work/program.3" 2>/dev/null | section EXAMPLES \
		>"$work/program.c"
	if ! $CC $CFLAGS -std=gnu11 -Wall -Wextra -Werror -pthread $include \
		-c "$work/program.c" -o "$work/program.o" >"$work/out" 2>&1
	then
		report "$what"
	elif [ ! -e "$build/libcoloop.la" ]
	then
		skip "$what" "no library to link it with"
	else
		run_program
		report "$what"
	fi
}

run_program()
{
	rm -f "$work/program"
	$libtool --silent --tag=CC --mode=link $CC $CFLAGS $LDFLAGS -pthread \
		-no-install "$work/program.o" "$build/libcoloop.la" \
		-o "$work/program" >"$work/out" 2>&1 || {
		echo "it doesn't link" >>"$work/out"
		return
	}
	timeout 20 "$work/program" </dev/null >"$work/printed" 2>"$work/out"
	status=$?
	[ $status -eq 0 ] || echo "it ended with status $status" >>"$work/out"
	[ -s "$work/printed" ] || echo "it printed nothing" >>"$work/out"
}

check_page()
{
	check_lint
	check_escapes
	check_whatis
	if ! have man
	then
		skip "$name: its prototypes and programs" "no man"
		return
	fi
	check_warnings
	check_synopsis
	check_order
	for program in $(programs "$page")
	do
		check_program
	done
}

# ---- what is to be true of the manual ----

check_functions()
{
	for page in "$src"/man/*.3
	do
		names "$page"
	done | sort >"$work/all"
	{
		uniq -d "$work/all" | sed 's/$/ is on two pages/'
		uniq "$work/all" | grep -vxFf - "$work/exported" |
			sed 's/$/ is on no page/'
	} >"$work/out"
	report "each exported function is on one page"

	sed -n 's/^#define \([A-Za-z_]*\).*/\1/p' "$src"/include/coloop/*.h |
		cat - "$work/exported" >"$work/known"
	for page in "$src"/man/*.3
	do
		basename "$page" .3
	done >>"$work/known"
	grep -vxFf "$work/known" "$work/all" >"$work/out"
	report "each name of a page is in a header"
}

check_constants()
{
	sed -n 's/^#define \(CO_[A-Z_]*[A-Z]\)[( ].*/\1/p' \
		"$src"/include/coloop/*.h "$src"/include/coloop/version.h.in |
		grep -vx CO_API | sort -u | while read -r constant
	do
		grep -qw "$constant" "$src"/man/*.[37] || echo "$constant"
	done >"$work/out"
	report "each constant of the headers is in the manual"
}

check_references()
{
	grep -ohE '^\.[BR]+ (\( *)?co_[a-z0-9_]+ \(3\)' "$src"/man/*.[37] |
		grep -o 'co_[a-z0-9_]*' | sort -u |
		grep -vxFf "$work/all" >"$work/out"
	report "each page that another refers to is there"
}

sed -n 's/^[[:space:]]*\(co_[a-z0-9_]*\);$/\1/p' "$src/lib/coloop.map" |
	sort >"$work/exported"
cat "$src"/include/coloop/*.h "$src"/include/coloop/version.h.in |
	tr '\n' ' ' | grep -oE 'CO_API [^();]*\(' |
	grep -oE 'co_[a-z0-9_]+\(' | tr -d '(' >"$work/declared"

for page in "$src"/man/*.[37]
do
	name=${page##*/}
	check_page
done
check_functions
check_constants
check_references
echo "1..$count"
