#!/bin/sh
# SPDX-License-Identifier: MIT
#
# installcheck.sh README - build the first program of README.md against the
# installed library, as C and C++, shared and static, and run it
#
# The environment is what the Makefile's installcheck says.

readme=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# A copy below DESTDIR is used where it lies.
PKG_CONFIG_PATH=$DESTDIR$pkgconfigdir
export PKG_CONFIG_PATH
if [ -n "$DESTDIR" ]
then
	PKG_CONFIG_SYSROOT_DIR=$DESTDIR
	export PKG_CONFIG_SYSROOT_DIR
fi
pc=${PKG_CONFIG:-pkg-config}

fail()
{
	echo "installcheck: $*" >&2
	exit 1
}

[ "$($pc --modversion coloop)" = "$version" ] ||
	fail "pkg-config does not know coloop $version"

awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' \
	"$readme" >"$work/first.c"
grep -q '^int main' "$work/first.c" || fail "no program in $readme"

cd "$work" || exit 1

# try NAME COMPILER...: build shared and static, run both.
try()
{
	name=$1
	shift
	"$@" $CFLAGS -Wall -Wextra -Werror first.c -o "$name" \
		$LDFLAGS $($pc --cflags --libs coloop) ||
		fail "$name: shared build"
	LD_LIBRARY_PATH=$DESTDIR$libdir timeout 60 "./$name" >"$name.out" ||
		fail "$name: shared run"
	case "$CFLAGS $LDFLAGS" in
	*-fsanitize=*)
		# Sanitizers can't be linked statically.
		;;
	*)
		"$@" $CFLAGS -Wall -Wextra -Werror -static first.c \
			-o "$name-static" $LDFLAGS \
			$($pc --static --cflags --libs coloop) ||
			fail "$name: static build"
		timeout 60 "./$name-static" >"$name-static.out" ||
			fail "$name: static run"
		cmp "$name.out" "$name-static.out" || fail "$name: output" ;;
	esac
	[ -s "$name.out" ] || fail "$name: no output"
	echo "installcheck: $name: passed"
}

try c11 $CC -std=gnu11
[ -z "$CXX" ] || try cxx17 $CXX -x c++ -std=gnu++17
