#!/bin/sh
# SPDX-License-Identifier: MIT
#
# asan.sh - a program that is checked by AddressSanitizer, and the library that
# was built without it: what is wrong is found, and nothing else is

. "${top_srcdir:-$(dirname "$0")/..}/tests/sanitizer.sh"

# Whether variables are moved to where they can be watched after a return; for
# leaks nobody looks there.
moves()
{
	ASAN_OPTIONS=detect_stack_use_after_return=$1
	export ASAN_OPTIONS
}

begin asan_target address AddressSanitizer
moves 1
finds NOTHING good
finds NOTHING dropped
finds 'stack-use-after-return' returned
moves 0
finds NOTHING good
finds NOTHING kept
finds NOTHING given
finds 'LeakSanitizer: detected memory leaks' leaked
finds 'stack-buffer-overflow' overrun
finds 'heap-buffer-overflow' read
finds 'SUMMARY: AddressSanitizer: double-free' small
if make_target asan_target leak 2>"$work/out"
then
	finds NOTHING good
	finds NOTHING given
fi
echo "1..$count"
