#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each assembly file says that it needs no executable stack, and, where the
# compiler protects indirect branches, that its own are protected too.  One
# object that doesn't say so takes it from the whole library, without a word.

src=${top_srcdir:-.} build=${top_builddir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0
LC_ALL=C
export LC_ALL

# report SENTENCE: ok if $work/out is empty.
report()
{
	count=$((count + 1))
	if [ ! -s "$work/out" ]
	then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		sed 's/^/# /' "$work/out"
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# each PATTERN OPTION COMPILER...: name the files for whose object readelf, given
# OPTION, has no line like PATTERN.
each()
{
	pattern=$1 option=$2
	shift 2
	for file in "$src"/lib/context/*.S
	do
		"$@" -c "$file" -o "$work/object.o" &&
			readelf -W "$option" "$work/object.o" |
			grep -qE "$pattern" || echo "${file#"$src/"}"
	done >"$work/out" 2>&1
}

can()
{
	echo | "$@" -Werror -x c -c - -o "$work/can.o" 2>/dev/null
}

library=$build/.libs/libcoloop.so
if [ -e "$library" ]
then
	readelf -lW "$library" | grep GNU_STACK | grep -v ' RW  ' >"$work/out"
	readelf -lW "$library" | grep -q GNU_STACK ||
		echo "no word of the stack" >"$work/out"
	report "the stack of who loads the library is not executable"
else
	skip "the stack of who loads the library is not executable" \
		"no shared library was built"
fi

each ' \.note\.GNU-stack +PROGBITS +0* [0-9a-f]+ 0* 00 +0 ' -S ${CC:-cc}
report "no object needs an executable stack"

# SHSTK would promise that shadow stacks are exchanged as well.
for compiler in "${CC:-cc} -fcf-protection" "${CC:-cc} -m32 -fcf-protection"
do
	what="$compiler: each object is ready for indirect branch tracking"
	# shellcheck disable=SC2086
	if can $compiler
	then
		each 'x86 feature: IBT$' -n $compiler
		report "$what"
	else
		skip "$what" "not for this machine"
	fi
done

what="arm64: each object has its branch targets identified"
for compiler in "${CC:-cc}" aarch64-linux-gnu-gcc \
	"clang --target=aarch64-linux-gnu"
do
	compiler="$compiler -mbranch-protection=standard"
	# shellcheck disable=SC2086
	can $compiler || continue
	each 'AArch64 feature: BTI' -n $compiler
	report "$what"
	what=
	break
done
[ -z "$what" ] || skip "$what" "no compiler for arm64"
echo "1..$count"
