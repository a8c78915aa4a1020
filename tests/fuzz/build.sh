#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build.sh - configure fuzz/, below the present directory, for libFuzzer
#
# There everything is built by clang, with its address and undefined behaviour
# sanitizers.  CLANG is another name for it.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
clang=${CLANG:-clang}
mkdir -p fuzz && cd fuzz || exit 1
[ ! -x config.status ] || exit 0

cat >probe.c <<'END'
#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	return data == NULL && size > 0;
}
END
if ! "$clang" -fsanitize=fuzzer,address,undefined probe.c -o probe \
	>probe.log 2>&1
then
	cat probe.log
	echo "make fuzz: needs clang and its libFuzzer; on Debian" \
		"apt-get install clang libclang-rt-14-dev"
	exit 1
fi

# Comparisons say something in parsers only, where a dictionary serves as well;
# to follow those of the library takes half of the time.
flags='-O1 -g -fno-omit-frame-pointer'
flags="$flags -fsanitize=fuzzer-no-link,address,undefined"
flags="$flags -fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp"
exec "$top/configure" -q --with-criterion=no CC="$clang" CFLAGS="$flags" \
	LIB_FUZZING_ENGINE=-fsanitize=fuzzer
