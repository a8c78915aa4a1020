#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the manual says is true: its prototypes are those of the headers, its
# programs compile, run and end well as a reader would copy them, each exported
# function has a page, and so has each error that its header names; the pages
# have the same sections in the same order, and are without a warning.

src=${top_srcdir:-${srcdir:-.}} build=${top_builddir:-${builddir:-.}}
CC=${CC:-cc}
if [ -n "${INSTALLED-}" ]
then
	include=$(${PKG_CONFIG:-pkg-config} --cflags coloop) || exit 1
	libs=$(${PKG_CONFIG:-pkg-config} --libs coloop) || exit 1
else
	include="-I$src/include -I$build/include"
	libs=$build/libcoloop.la
fi
libtool=${LIBTOOL:-$build/libtool} link=
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
	MANWIDTH=$2 man --warnings --no-hyphenation \
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

# source PAGE SECTION: the lines of a section.
source_of()
{
	sed -n "/^\.SH $2\$/,/^\.SH/{/^\.SH/d;p;}" "$1"
}

# errors PAGE: a line "ERROR FUNCTION" for each function that an entry of ERRORS
# begins with, and "ERROR *" for an entry that begins with none.
errors()
{
	source_of "$1" ERRORS | awk '
	/^\.TP$/ { entry = NR; error = "" }
	/^\.B \\-E/ && NR == entry + 1 {
		error = substr($2, 3)
		first = 1
		next
	}
	error == "" { next }
	first && !/^\.RB \( / { print error, "*"; error = ""; next }
	{
		first = 0
		name = $0
		gsub(/^\.[BR]+ (\( )?| \(.*/, "", name)
		print error, name
		if (/\)\)$/)
			error = ""
	}'
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

# Leaves the page at 120 columns in $work/page.
check_warnings()
{
	{
		{ render "$page" 80 >/dev/null; } 2>&1
		{ render "$page" 120 >"$work/page"; } 2>&1
	} >"$work/out"
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
	section SYNOPSIS <"$work/page" >"$work/synopsis"
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
	{
		source_of "$page" NAME | grep -qw coloop ||
			echo "the word coloop is missing"
		lexgrog "$page" 2>&1 | sed -n 's/.*: "\([^ ]*\) - .*/\1/p' |
			diff -U0 --label NAME --label lexgrog "$work/names" -
	} >"$work/out"
	report "$name: apropos finds it"
}

# Each line of the first file, in the order of the second.
check_listed()
{
	grep -Fxf "$1" "$2" | diff -U0 --label there --label "in order" "$1" -
}

# What a reader looks for is on each page, at the same place.  An overview may
# have sections of its own.
check_sections()
{
	sed -n 's/^\.SH //p' "$page" >"$work/found"
	source_of "$page" "SEE ALSO" | sed -n 's/^\.BR //p' |
		sed 's/[(),]//g' >"$work/see"
	{
		case $page in
		*.3)
			grep -vxFf "$work/found" "$work/mandatory" |
				sed 's/$/ is missing/' ;;
		*)
			grep -xFf "$work/sections" "$work/found" >"$work/known"
			mv "$work/known" "$work/found" ;;
		esac
		check_listed "$work/found" "$work/sections"
		sort -s -k 2,2n -k 1,1 "$work/see" |
			diff -U0 --label "SEE ALSO" --label sorted \
				"$work/see" -
	} >"$work/out"
	report "$name: its sections are complete and in order"
}

# What each function fails with, who may call it, and how it ends.
check_contract()
{
	errors "$page" >"$work/errors"
	source_of "$page" ATTRIBUTES >"$work/attributes"
	{
		source_of "$page" ERRORS |
			sed -n '/^\.TP$/{n;s/^\.B \\-//p;}' | sort -c 2>&1
		sed 's/.* //' "$work/errors" | grep -vx '\*' | sort -u |
			grep -vxFf "$work/names" |
			sed 's/$/ has an error, but is not of this page/'
		grep -oi '^\\fBco_[a-z0-9_]*' "$work/attributes" |
			sed 's/^...//' | sort >"$work/tabled"
		grep -xFf "$work/callable" "$work/names" | sort |
			diff -U0 --label NAME --label ATTRIBUTES - \
				"$work/tabled"
		! grep -q '; suspends' "$work/attributes" ||
			grep -qx '.SS Cancellation and deadlines' "$page" ||
			echo "it suspends: what of cancellation and deadlines?"
	} >"$work/out"
	report "$name: errors, attributes and notes are complete"
}

check_program()
{
	what="$name: $program compiles without a warning, and ends well"
	program_page "$page" "$program" >"$work/program.3"
	render "$work/program.3" 120 2>/dev/null | section EXAMPLES \
		>"$work/program.c"
	if ! $CC $CFLAGS -std=gnu11 -Wall -Wextra -Werror -pthread $include \
		-c "$work/program.c" -o "$work/program.o" >"$work/out" 2>&1
	then
		report "$what"
	elif [ -z "${INSTALLED-}" ] && [ ! -e "$libs" ]
	then
		skip "$what" "no library to link it with"
	else
		run_program
		report "$what"
	fi
}

# What links a program; the names are always the same, so libtool, which takes
# its time, is asked once.
link_command()
{
	set -- $CC $CFLAGS $LDFLAGS -pthread "$work/program.o" $libs \
		-o "$work/program"
	if [ -n "${INSTALLED-}" ]
	then
		echo "$@"
	else
		$libtool --dry-run --tag=CC --mode=link "$@" -no-install |
			sed 's/^libtool: link: //'
	fi
}

run_program()
{
	[ -n "$link" ] || link=$(link_command 2>"$work/out")
	rm -f "$work/program"
	eval "$link" >>"$work/out" 2>&1 || {
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
	names "$page" >"$work/names"
	check_sections
	case $page in
	*.3) check_contract ;;
	esac
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

	for page in "$src"/man/*.3
	do
		basename "$page" .3
	done | cat - "$work/callable" >"$work/known"
	grep -vxFf "$work/known" "$work/all" >"$work/out"
	report "each name of a page is in a header"
}

check_constants()
{
	sed -n 's/^#define \(CO_[A-Z_]*[A-Z]\)[( ].*/\1/p' \
		"$src"/include/coloop/*.h "$src"/include/coloop/version.h.in |
		grep -vxE 'CO_API|CO_MUST_CHECK' | sort -u | while read -r constant
	do
		grep -qw "$constant" "$src"/man/*.[37] || echo "$constant"
	done >"$work/out"
	report "each constant of the headers is in the manual"
}

# The errors that the comment of a function names: "ERROR FUNCTION...".  One
# comment may speak of several; "return -E..." is of what others get.
header_errors()
{
	awk '
	function tell()
	{
		gsub(/returns? -E[A-Z]+/, "", comment)
		while (functions != "" && match(comment, /-E[A-Z0-9]+/)) {
			print substr(comment, RSTART + 1, RLENGTH - 1) functions
			comment = substr(comment, RSTART + RLENGTH)
		}
		comment = functions = ""
	}
	/^\/\*/ { tell(); inside = 1 }
	inside {
		inside = !/\*\/$/
		sub(/^ \* /, " ")
		comment = comment $0
		next
	}
	/^CO_API/ && match($0, /co_[a-z0-9_]+\(/) {
		functions = functions " " substr($0, RSTART, RLENGTH - 1)
		next
	}
	!/^[ \t]/ { tell() }
	END { tell() }' "$src"/include/coloop/*.h
}

check_header_errors()
{
	for page in "$src"/man/*.3
	do
		names "$page" >"$work/names"
		errors "$page" | while read -r error function
		do
			case $function in
			'*') sed "s/^/$error /" "$work/names" ;;
			*) echo "$error $function" ;;
			esac
		done
	done | sort -u >"$work/documented"
	header_errors | while read -r error functions
	do
		for function in $functions
		do
			echo "$error $function"
		done | grep -qxFf - "$work/documented" ||
			echo "-$error of $functions is not in ERRORS"
	done >"$work/out"
	[ "$(header_errors | wc -l)" -gt 90 ] ||
		echo "few errors were found in the headers" >>"$work/out"
	report "each error that a header names is on the function's page"
}

check_references()
{
	for page in "$src"/man/*.7
	do
		basename "$page" .7
	done | cat - "$work/all" >"$work/pages"
	grep -ohE '^\.[BR]+ (\( *)?co(loop|_)[-a-z0-9_\]* \([37]\)' \
		"$src"/man/*.[37] | tr -d '\\' |
		grep -oE 'co(loop|_)[-a-z0-9_]*' | sort -u |
		grep -vxFf "$work/pages" >"$work/out"
	report "each page that another refers to is there"

	tr -d '\\' <"$src/man/coloop.7" |
		sed -n 's/^\(co[-a-z_]*\)(\([37]\))	.*/\1.\2/p' >"$work/map"
	for page in "$src"/man/*.[37]
	do
		basename "$page"
	done | grep -vxFf "$work/map" >"$work/out"
	report "coloop(7) has each page in its map"
}

sed -n 's/^[[:space:]]*\(co_[a-z0-9_]*\);$/\1/p' "$src/lib/coloop.map" |
	sort >"$work/exported"
cat "$src"/include/coloop/*.h "$src"/include/coloop/version.h.in |
	tr '\n' ' ' | grep -oE 'CO_API [^();]*\(' |
	grep -oE 'co_[a-z0-9_]+\(' | tr -d '(' >"$work/declared"
sed -n 's/^#define \([A-Za-z_]*\).*/\1/p' "$src"/include/coloop/*.h |
	cat - "$work/exported" >"$work/callable"
printf '%s\n' NAME LIBRARY SYNOPSIS DESCRIPTION 'RETURN VALUE' ERRORS \
	ENVIRONMENT ATTRIBUTES VERSIONS HISTORY NOTES CAVEATS EXAMPLES \
	'SEE ALSO' >"$work/sections"
grep -vxE 'ENVIRONMENT|VERSIONS|NOTES|CAVEATS' "$work/sections" \
	>"$work/mandatory"

for page in "$src"/man/*.[37]
do
	name=${page##*/}
	check_page
done
check_functions
check_header_errors
check_constants
check_references
echo "1..$count"
