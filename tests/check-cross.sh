#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-cross.sh ARCH [TEST...] - build for another machine, and run the tests
#
# ARCH is Debian's name.  In cross-ARCH below the current directory everything
# is built by Debian's cross compiler, and the programs, or only the TESTs of
# them, are run by qemu-user: make check, with the header in tests/cross in
# place of Criterion.  The headers of libatomic_ops are the same for every
# machine, and nothing of its library is needed.
#
# CO_TEST_SCALE            as in `make check'
# CO_TEST_SECONDS          as its SECONDS, which some shells count by themselves
#
# Exit status: 0, 1, or 77 if a tool is missing.

set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
arch=${1-}
[ $# = 0 ] || shift

# The i386 emulator hangs, but a 64-bit x86 runs such programs itself.  The
# mips64el that is emulated by default has no rounding modes.
case $arch in
arm64)    host=aarch64-linux-gnu runner=qemu-aarch64-static ;;
armhf)    host=arm-linux-gnueabihf runner=qemu-arm-static ;;
i386)     host=i686-linux-gnu runner=/usr/$host/lib/ld-linux.so.2 ;;
mips64el) host=mips64el-linux-gnuabi64 runner=qemu-mips64el-static ;;
ppc64el)  host=powerpc64le-linux-gnu runner=qemu-ppc64le-static ;;
riscv64)  host=riscv64-linux-gnu runner=qemu-riscv64-static ;;
s390x)    host=s390x-linux-gnu runner=qemu-s390x-static ;;
*)
	echo "usage: make check-cross ARCH=arm64, armhf, i386, mips64el," \
		"ppc64el, riscv64 or s390x" >&2
	exit 1 ;;
esac
for tool in $host-gcc $runner
do
	command -v "$tool" >/dev/null && continue
	echo "check-cross: $tool is missing"
	exit 77
done
case $arch in
i386)     runner="$runner --library-path /usr/$host/lib" ;;
mips64el) runner="$runner -cpu MIPS64R2-generic -L /usr/$host" ;;
*)        runner="$runner -L /usr/$host" ;;
esac

build=$(pwd)/cross-$arch
mkdir -p "$build/include" && cd "$build" || exit 1

configure()
{
	from=$(pkg-config --variable=includedir atomic_ops) || return
	cp -R "${from:-/usr/include}"/atomic_ops* include/ || return
	CONFIG_SHELL=/bin/sh /bin/sh "$top/configure" -q --host=$host \
		--with-criterion=yes --enable-werror --disable-static \
		ATOMIC_OPS_CFLAGS="-I$build/include" ATOMIC_OPS_LIBS=' ' \
		CRITERION_CFLAGS="-I$top/tests/cross" CRITERION_LIBS=' ' \
		CC=$host-gcc
}

[ -x config.status ] || configure || exit 1
make -s -j "${JOBS:-2}" all || exit 1
make -s -j "${JOBS:-2}" check TESTS= || exit 1

# The library that is shared, by a program that is linked with it.
said=$(case $arch in
	i386) $runner:.libs examples/.libs/hello ;;
	*)    $runner -E LD_LIBRARY_PATH=.libs examples/.libs/hello ;;
	esac)
if [ "$said" != 'hello, world' ]
then
	echo "check-cross: the shared library does not work: $said"
	exit 1
fi

# Emulation is slow, and may run several threads on one processor.
CO_TEST_RUNNER=$runner
CO_TEST_SCALE=${CO_TEST_SCALE:-20}
SECONDS=${CO_TEST_SECONDS:-1}
export CO_TEST_RUNNER CO_TEST_SCALE SECONDS
if [ $# = 0 ]
then
	make -s -j "${JOBS:-2}" check-programs
else
	make -s -j "${JOBS:-2}" check TESTS="$*"
fi
