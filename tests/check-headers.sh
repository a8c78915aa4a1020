#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each public header can be the only one that a program includes, in C and in
# C++; and each example is a program that a user could have written.

src=${top_srcdir:-.} build=${top_builddir:-.}
failed=0

# try COMPILER OPTION...
try()
{
	"$@" -Wall -Wextra -pedantic -Werror -fsyntax-only \
		-I"$src/include" -I"$build/include" || {
		echo "failed: $* $program"
		failed=1
	}
}

for path in "$src"/include/coloop.h "$src"/include/coloop/*.h \
	"$build"/include/coloop/version.h
do
	program="#include <${path##*/include/}>"
	for std in c11 c17 c2x
	do
		try $CC -x c -std=$std - <<-EOF
			$program
		EOF
	done
	[ -n "$CXX" ] || continue
	for std in c++11 c++17 c++20
	do
		try $CXX -x c++ -std=$std - <<-EOF
			$program
		EOF
	done
done

# What is a keyword there has another name in C++, and is the same function.
if [ -n "$CXX" ]
then
	echo '#include <coloop.h>
		int main() { return co_task_yield(); }' |
		$CXX -x c++ -std=c++20 -S -I"$src/include" \
			-I"$build/include" -o - - | grep -qw co_yield || {
		echo "failed: co_task_yield() is not co_yield()"
		failed=1
	}
fi

program=
for example in "$src"/examples/*.c
do
	try $CC -std=gnu11 "$example"
done

exit $failed
