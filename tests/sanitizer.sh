# SPDX-License-Identifier: MIT
#
# sanitizer.sh - what asan.sh and tsan.sh share: a program that is checked by a
# sanitizer, and the library that was built without it

src=${top_srcdir:-$(dirname "$0")/..} build=${top_builddir:-.}
library=$build/.libs/libcoloop.so
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0

skip_all()
{
	echo "$1"
	exit 77
}

# make_target PROGRAM SANITIZER: from PROGRAM.c.
make_target()
{
	${CC:-cc} -g -O1 -fsanitize="$2" -fno-omit-frame-pointer -pthread \
		-I"$build/include" -I"$src/include" \
		"$src/tests/$1.c" -o "$work/target" \
		-L"$build/.libs" -lcoloop
}

# begin PROGRAM SANITIZER NAME: the same, if it can be done.
begin()
{
	[ -e "$library" ] || skip_all 'no shared library was built'
	! ${NM:-nm} -D "$library" | grep -q ' U __[at]san_' ||
		skip_all 'the library is checked itself'
	echo 'int main(void) { return 0; }' >"$work/none.c"
	${CC:-cc} -fsanitize="$2" "$work/none.c" -o "$work/none" \
		2>"$work/out" && "$work/none" >"$work/out" 2>&1 ||
		skip_all "no $3"
	make_target "$1" "$2" || exit 1
	LD_LIBRARY_PATH=$build/.libs
	export LD_LIBRARY_PATH
}

# finds PATTERN ARGUMENT...: the program says so, and fails; NOTHING: neither.
finds()
{
	pattern=$1
	shift
	for threads in 1 4
	do
		count=$((count + 1))
		status=0
		COLOOP_THREADS=$threads timeout 100 "$work/target" "$@" \
			>"$work/out" 2>&1 || status=$?
		if [ "$pattern" = NOTHING ]
		then
			[ $status = 0 ] && [ ! -s "$work/out" ]
		else
			[ $status != 0 ] && grep -q "$pattern" "$work/out"
		fi && echo "ok $count - $*, on $threads threads" || {
			echo "not ok $count - $*, on $threads threads"
			echo "# status $status"
			head -n 40 "$work/out" | cut -c 1-150 | sed 's/^/# /'
		}
	done
}
