#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each atomic operation that orders others says why: in a comment on its line
# or on one of the three lines above it.  And nobody reads the thread-local
# variable but co__worker_get, which knows how (lib/worker.h).

cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
failed=0

others=$(grep -n 'co__worker_here\|_Thread_local' -r lib |
	grep -v '^lib/worker\.[ch]:')
[ -z "$others" ] || {
	echo "Thread-local, but not by co__worker_get:"
	echo "$others"
	failed=1
}

# atomic.h defines operations for others to comment on.
bare=$(find lib -name '*.[ch]' ! -path lib/atomic.h | sort | xargs awk '
	FNR == 1 { comment = -9; inside = 0 }
	inside || /\/\*/ { comment = FNR }
	/\/\*/ { inside = 1 }
	/\*\// { inside = 0 }
	inside { next }
	/(AO_[a-z0-9_]+_(acquire|release|full)|co__atomic_(fence|swap|fetch_or))/ {
		if (FNR - comment > 3)
			print FILENAME ":" FNR ": " $0
	}')
[ -z "$bare" ] || {
	echo "Atomic operations without a comment:"
	echo "$bare"
	failed=1
}
exit $failed
