#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-abi.sh - programs that were built with the recorded ABI go on to work
#
#   check-abi.sh                 compare with what is recorded
#   check-abi.sh --against FILE  compare with that file
#   check-abi.sh --update        record what is there now
#
# Its last line is "unchanged", "additions" or "incompatible"; the last of them
# is a failure.
#
# What a program can see is its types, its constants and its symbol versions.
# All of that is in the headers and the version script, so these are compiled
# into a library of their own: a pointer to each function, an enum for each
# constant.  Thus neither the private types of the library nor the way in which
# it was compiled is part of the record.  check-symbols.sh sees to it that the
# library exports the same, and the compiler that its functions are those of
# the headers.
#
# The layout of structs is that of one machine, x86-64; another can't compare.

src=${top_srcdir:-.} build=${top_builddir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

skip()
{
	echo "$*"
	exit 77
}

fail()
{
	echo "$*"
	exit 1
}

soname=$(sed -n "s/^dlname='\(.*\)'/\1/p" "$build/libcoloop.la")
recorded=$src/abi/$soname.abi
compatible=$src/abi/compatible.abignore

# Constants are macros whose value is an integer.
constants()
{
	cat "$src"/include/coloop/*.h |
		sed -n 's/^#define \(CO_[A-Z_]*[A-Z]\)[[:space:]].*/\1/p' |
		grep -vxE 'CO_API|CO_MUST_CHECK|CO_[A-Z_]*_INIT'
}

source()
{
	echo '#include <coloop.h>'
	sed -n 's/^[[:space:]]*\(co_[a-z0-9_]*\);$/__typeof__(\&\1) abi_\1;/p' \
		"$src/lib/coloop.map"
	for name in $(constants)
	do
		echo "enum abi_$name { value_of_$name = $name } abi_$name;"
	done
}

version_script()
{
	sed 's/^\([[:space:]]*\)\(co_[a-z0-9_]*;\)$/\1abi_\2/' \
		"$src/lib/coloop.map"
	echo 'CONSTANTS { global: abi_CO_*; };'
}

# dump FILE: what the sources say now.
dump()
{
	source >"$work/abi.c"
	version_script >"$work/abi.map"
	include="-I$(cd "$src/include" && pwd) -I$(cd "$build/include" && pwd)"
	# shellcheck disable=SC2086
	(cd "$work" && ${CC:-cc} -g -O0 -fPIC -shared -nostdlib $include \
		-Wl,--version-script=abi.map -Wl,-soname,"$soname" \
		abi.c -o abi.so) || fail "the headers don't compile"
	abidw --no-comp-dir-path --no-corpus-path --no-show-locs \
		--no-elf-needed --type-id-style hash --out-file "$1" \
		"$work/abi.so" || fail "abidw failed"
}

# compare OLD OPTION...: 0 if there is no difference, or none but additions
# with --no-added-syms; 4 and more if there are others.
compare()
{
	old=$1
	shift
	abidiff --suppressions "$compatible" "$@" "$old" "$work/now.abi"
}

check()
{
	[ -e "$1" ] || fail "$1 is not there: make abi-update"
	compare "$1" >"$work/report"
	case $? in
	0)
		echo "unchanged"
		return ;;
	[123])
		cat "$work/report"
		fail "abidiff failed" ;;
	esac
	cat "$work/report"
	if compare "$1" --no-added-syms >/dev/null
	then
		echo "additions"
		return
	fi
	echo "CONTRIBUTING.md, \"The ABI\", says what to do"
	fail "incompatible"
}

command -v abidw >/dev/null && command -v abidiff >/dev/null ||
	skip "abigail-tools is not installed"
[ -n "$soname" ] || skip "no shared library is built"
echo | ${CC:-cc} -E -dM - | grep -q '__LP64__' &&
	echo | ${CC:-cc} -E -dM - | grep -q '__x86_64__' ||
	skip "the ABI is recorded for x86-64"

case ${1-} in
--update)
	dump "$recorded" && echo "recorded in $recorded" ;;
--against)
	dump "$work/now.abi" && check "$2" ;;
*)
	dump "$work/now.abi" && check "$recorded" ;;
esac
