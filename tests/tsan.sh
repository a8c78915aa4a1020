#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tsan.sh - a program that is checked by ThreadSanitizer, and the library that
# was built without it: races are found, and nothing else is

. "${top_srcdir:-$(dirname "$0")/..}/tests/sanitizer.sh"

begin tsan_target thread ThreadSanitizer
# By itself it waits a second at the end of each program.
TSAN_OPTIONS=atexit_sleep_ms=0
export TSAN_OPTIONS
for means in blocking channels closed groups io locks outside queues select \
	stacks suspend tasks ticks watches
do
	finds NOTHING good "$means"
done
for mistake in end given locks nothing
do
	finds 'data race' race "$mistake"
done
echo "1..$count"
