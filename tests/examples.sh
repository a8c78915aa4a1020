#!/bin/sh
# SPDX-License-Identifier: MIT
#
# examples.sh - run the example programs and see that they do what they say
#
# Reports in TAP.  The programs are in $builddir/examples.  Servers choose
# their port and print it; all that waits has a limit; nothing is left running.

# The clients are bash's /dev/tcp and curl.
if [ -z "$BASH_VERSION" ]; then
	if ! command -v bash >/dev/null; then
		echo '1..0 # SKIP bash was not found'
		exit 0
	fi
	exec bash "$0" "$@"
fi

bin=${builddir:-${top_builddir:-.}}/examples
tmp=$(mktemp -d) || exit 1
number=0 failures=0 started=0
declare -A children=()	# those that have not been waited for

cleanup()
{
	for child in "${!children[@]}"; do
		kill -KILL "$child" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# check DESCRIPTION COMMAND...: one test; it passes if the command does.
check()
{
	local description=$1
	shift
	number=$((number + 1))
	if "$@" >"$tmp/log" 2>&1 </dev/null; then
		echo "ok $number - $description"
	else
		failures=$((failures + 1))
		echo "not ok $number - $description"
		head -c 2000 "$tmp/log" | tr -d '\r\0' | sed 's/^/# /'
		echo
	fi
}

skip()
{
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# within SECONDS COMMAND...: true as soon as the command is.  It counts sleeps, for
# somebody may set the clock.
within()
{
	local sleeps=$(($1 * 20))
	shift
	until "$@"; do
		[ $sleeps -gt 0 ] || return 1
		sleeps=$((sleeps - 1))
		sleep 0.05
	done
}

# adopt PID: a child that is not to be left behind.
adopt()
{
	children[$1]=1
}

# reap PID: its status; from then on the number may be another's.
reap()
{
	local status=0
	wait "$1" || status=$?
	unset "children[$1]"
	return $status
}

# start NAME ARGUMENT...: run a server; sets pid, port and log.
start()
{
	started=$((started + 1))
	log=$tmp/$1.$started
	"$bin/$1" "${@:2}" >"$log" 2>"$log.err" </dev/null &
	pid=$!
	adopt "$pid"
	if ! within 15 grep -qs '^listening on ' "$log"; then
		echo "# $1 doesn't listen"
		sed 's/^/# /' "$log.err"
		port=1
		return 1
	fi
	port=$(sed 's/.*://;q' "$log")
}

is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

# A server that gets SIGTERM ends with status 0.
ends()
{
	kill -TERM "$1" && within 15 is_gone "$1" && reap "$1"
}

# blocks PID SIGNAL: it does, so as to be told of it by a descriptor.  The shell
# that is to become the program blocks some while it forks.
blocks()
{
	local mask
	[ ! "/proc/$1/exe" -ef "/proc/$$/exe" ] || return 1
	mask=$(sed -n 's/^SigBlk:[[:space:]]*//p' "/proc/$1/status")
	[ $((0x${mask:-0} >> ($(kill -l "$2") - 1) & 1)) = 1 ]
}

# say FD TEXT, hear FD TEXT: one line to, or from, a connection.
say()
{
	printf '%s\n' "$2" >&"$1"
}

hear()
{
	local line
	read -r -t 10 -u "$1" line && [ "$line" = "$2" ] || {
		echo "heard '$line' instead of '$2'"
		return 1
	}
}

# await FD TEXT: the same, but other lines may come before it.
await()
{
	local line
	while read -r -t 10 -u "$1" line; do
		[ "$line" != "$2" ] || return 0
	done
	echo "waited for '$2' in vain"
	return 1
}

dial()
{
	exec {dialled}<>"/dev/tcp/127.0.0.1/$port"
}


## The programs that only print

check 'hello greets' test "$(timeout 20 "$bin/hello")" = 'hello, world'

primes=$(timeout 20 "$bin/pipeline" 8 | tr '\n' ' ')
check 'pipeline finds the first primes' test "$primes" = '2 3 5 7 11 13 17 19 '

last_prime()
{
	[ "$(timeout 60 "$bin/pipeline" 300 | tail -n 1)" = 1987 ]
}
check 'pipeline finds the 300th prime' last_prime

wrong_usage()
{
	timeout 20 "$bin/pipeline" 0
	[ $? -eq 2 ]
}
check 'pipeline refuses a number out of range' wrong_usage

## The echo server

echoes()
{
	local i
	dial || return 1
	for i in 1 2 3; do
		say "$dialled" "line $i" && hear "$dialled" "line $i" ||
			return 1
	done
	exec {dialled}>&-
}

# Its descriptors are used up by the first few of these; the others wait in
# the queue of the system.
crowd()
{
	local i fds=()
	for i in {1..50}; do
		dial || return 1
		fds+=("$dialled")
	done
	say "${fds[0]}" first && hear "${fds[0]}" first || return 1
	sleep 0.3
	for i in "${fds[@]}"; do
		exec {i}>&-
	done
}

start echo_server 127.0.0.1 0
check 'echo_server echoes' echoes
check 'echo_server ends on SIGTERM' ends "$pid"

start echo_server ::1 0 2>/dev/null &&
	check 'echo_server listens on IPv6' grep -q '\[::1\]' "$log" ||
	skip 'echo_server listens on IPv6' 'no IPv6 here'
kill -INT "$pid" 2>/dev/null
within 15 is_gone "$pid" && reap "$pid"

in_use()
{
	timeout 20 "$bin/echo_server" 127.0.0.1 "$port"
	[ $? -eq 1 ]
}

start_with_few_descriptors()
{
	local limit
	limit=$(ulimit -S -n)
	ulimit -S -n 20
	start echo_server 127.0.0.1 0
	ulimit -S -n "$limit"
}

start_with_few_descriptors
check 'echo_server says that a port is in use' in_use
check 'echo_server serves a crowd with 20 descriptors' crowd
check 'echo_server serves on after the crowd' within 10 echoes
check 'echo_server ends on SIGTERM after the crowd' ends "$pid"

## The chat server

# Ada stays, so that her leaving doesn't get between what others hear later.
two_chat()
{
	local ada bob
	dial && ada=$dialled && dial && bob=$dialled || return 1
	hear "$ada" "* your nick name?" && say "$ada" ada &&
		hear "$ada" "* ada is here" &&
		hear "$bob" "* your nick name?" && say "$bob" ada &&
		hear "$bob" "* ada is taken" && say "$bob" "bob" &&
		hear "$bob" "* bob is here" && hear "$ada" "* bob is here" &&
		say "$ada" "hi bob" && hear "$bob" "ada: hi bob" &&
		hear "$ada" "ada: hi bob" && say "$bob" "/me waves" &&
		hear "$ada" "* bob waves" && say "$bob" "/quit" &&
		hear "$ada" "* bob has left"
}

long_line()
{
	local line
	line=$(printf '%0500d' 0)
	dial && hear "$dialled" "* your nick name?" &&
		say "$dialled" "$line" &&
		hear "$dialled" "* that line is too long"
}

# Whoever says many lines at once has to wait, but isn't dropped.
paste()
{
	local i
	dial && hear "$dialled" "* your nick name?" || return 1
	printf '%s\n' pat {1..100} >&"$dialled"
	hear "$dialled" "* pat is here" || return 1
	for i in {1..100}; do
		hear "$dialled" "pat: $i" || return 1
	done
	exec {dialled}>&-
}

# One that never reads is dropped, while the others talk on.
slow_one()
{
	local fast slow i text line
	text=$(printf '%0390d' 0)
	dial && slow=$dialled && dial && fast=$dialled || return 1
	hear "$fast" "* your nick name?" && say "$fast" fast &&
		await "$fast" "* fast is here" && say "$slow" slow &&
		await "$fast" "* slow is here" || return 1
	for ((i = 0; i < 5000; i++)); do
		say "$fast" "$text" && read -r -t 10 -u "$fast" line ||
			return 1
		[ "$line" != "* slow has left" ] || return 0
	done
	echo 'still there'
	return 1
}

start chat_server 0
check 'chat_server lets two chat' two_chat
check 'chat_server refuses endless lines' long_line
check 'chat_server takes many lines at once' paste
check 'chat_server drops one that is slow' slow_one
check 'chat_server ends on SIGTERM' ends "$pid"

## The demonstration

demo()
{
	timeout 60 "$bin/demo" --seconds 1 "$@" >"$tmp/demo"
}

demo_is_quiet()
{
	cat "$tmp/demo"
	grep -q '^errors  *0$' "$tmp/demo" && ! grep -q $'\r' "$tmp/demo"
}

demo_is_busy()
{
	grep -q '^requests  *[1-9]' "$tmp/demo"
}

demo_scales_down()
{
	(ulimit -n 128 && demo --clients 200) && demo_is_quiet && demo_is_busy
}

demo_interrupted()
{
	"$bin/demo" --seconds 60 --clients 20 >"$tmp/demo" &
	local child=$!
	adopt "$child"
	within 15 blocks "$child" TERM || return 1
	ends "$child" && demo_is_quiet
}

# The file is replaced after the demonstration has read it, and before it ends:
# it opens the signals in between.
demo_notices()
{
	local status
	mkdir "$tmp/files"
	echo before >"$tmp/files/file"
	"$bin/demo" --seconds 30 --clients 5 "$tmp/files" &
	local child=$!
	adopt "$child"
	within 15 blocks "$child" TERM || return 1
	echo change >"$tmp/change" && mv "$tmp/change" "$tmp/files/file"
	within 15 is_gone "$child"
	reap "$child"
	status=$?
	grep -q 'FAILED: file: the content is wrong' "$tmp/log" && [ $status -eq 1 ]
}

check 'demo drives 200 clients' demo --clients 200
check 'demo answers requests' demo_is_busy
check 'demo prints figures and no progress' demo_is_quiet
check 'demo makes do with few descriptors' demo_scales_down
check 'demo ends early on a signal' demo_interrupted
check 'demo notices a wrong answer' demo_notices

## The HTTP server, and the proxy before it

if ! command -v curl >/dev/null; then
	skip 'http_server and tcp_proxy' 'curl was not found'
	echo "1..$number"
	exit $((failures > 0))
fi

www=$tmp/www
mkdir -p "$www/site" "$www/plain dir"
echo 'the secret' >"$tmp/secret"
ln -s ../secret "$www/link"
echo 'a small file' >"$www/small.txt"
: >"$www/empty"
echo '<p>index</p>' >"$www/site/index.html"
echo 'odd' >"$www/plain dir/<odd> name%.txt"
head -c 20000000 /dev/urandom >"$www/large"

get()
{
	curl -s --max-time 30 "$@"
}

# status EXPECTED ARGUMENT...: what the server answers.
status()
{
	local got
	got=$(get -o "$tmp/body" -w '%{http_code}' "${@:2}")
	echo "status $got instead of $1"
	[ "$got" = "$1" ]
}

same()
{
	get -o "$tmp/body" "$url/$1" && cmp "$tmp/body" "$www/$1"
}

head_only()
{
	get -I "$url/small.txt" | tr -d '\r' >"$tmp/head"
	cat "$tmp/head"
	grep -q '^HTTP/1.1 200 OK$' "$tmp/head" &&
		grep -q '^Content-Length: 13$' "$tmp/head" &&
		grep -q '^Content-Type: text/plain' "$tmp/head"
}

one_connection()
{
	[ "$(get -o "$tmp/1" -o "$tmp/2" -w '%{num_connects} ' \
		"$url/small.txt" "$url/site/")" = '1 0 ' ]
}

# A way out of the directory gives an error, and nothing of the secret.
no_way_out()
{
	local path got
	for path in ../secret %2e%2e/secret ..%2fsecret site/../../secret \
		site/%2e%2e/%2e%2e/secret link /../secret .%00./secret \
		"${tmp#/}/secret" '..\secret'
	do
		got=$(get --path-as-is -o "$tmp/body" -w '%{http_code}' \
			"$url/$path")
		echo "$path: $got"
		[[ $got = 40[034] ]] && ! grep -q secret "$tmp/body" ||
			return 1
	done
}

redirects()
{
	status 301 "$url/site" && get -L "$url/site" | grep -q index &&
		get -L "$url/plain%20dir" | grep -q '&lt;odd&gt; name%.txt' &&
		[ "$(get "$url/plain%20dir/%3Codd%3E%20name%25.txt")" = odd ]
}

unmodified()
{
	local date
	date=$(get -I "$url/small.txt" | tr -d '\r' |
		sed -n 's/^Last-Modified: //p')
	status 304 -H "If-Modified-Since: $date" "$url/small.txt"
}

too_long()
{
	local text
	text=$(printf '%09000d' 0)
	status 414 "$url/$text" && status 431 -H "X: $text" "$url/"
}

raw()
{
	dial && printf "$1" >&"$dialled" &&
		timeout 10 cat <&"$dialled" >"$tmp/raw"
	exec {dialled}>&-
}

pipelined()
{
	local requests='GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n'
	requests+='HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'
	requests+='GET /empty HTTP/1.0\r\n\r\n'
	raw "$requests"
	cat "$tmp/raw"
	[ "$(grep -c '^HTTP/1.1 200' "$tmp/raw")" = 3 ]
}

# The client has said all, the target says nothing, and keeps the connection.
half_closed()
{
	python3 - "$bin/tcp_proxy" <<-'END'
	import signal, socket, subprocess, sys

	target = socket.create_server(("127.0.0.1", 0))
	target.settimeout(20)
	proxy = subprocess.Popen([sys.argv[1], "0", "127.0.0.1",
	        str(target.getsockname()[1])], stdout=subprocess.PIPE,
	        text=True)
	try:
	    port = int(proxy.stdout.readline().rpartition(":")[2])
	    client = socket.create_connection(("127.0.0.1", port), 20)
	    server = target.accept()[0]
	    server.settimeout(20)
	    client.sendall(b"all")
	    client.shutdown(socket.SHUT_WR)
	    assert server.makefile("rb").read() == b"all"
	    proxy.send_signal(signal.SIGTERM)
	    assert proxy.wait(20) == 0
	finally:
	    proxy.kill()
	END
}

malformed()
{
	local request
	for request in '\r\n\r\nnonsense\r\n' 'GET / HTTP/1.1\r\n\r\n' \
		'GET nowhere HTTP/1.0\r\n\r\n' 'GET /%%zz HTTP/1.0\r\n\r\n' \
		'GET / HTTP/1.0\r\nfolded\r\n \r\n\r\n' \
		'GET / HTTP/1.0\r\nContent-Length: x\r\n\r\n'
	do
		raw "$request"
		cat "$tmp/raw"
		grep -q '^HTTP/1.1 400 ' "$tmp/raw" || return 1
	done
}

parallel()
{
	local i pids=()
	for i in {1..10}; do
		get -o "$tmp/large.$i" "$url/large" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || return 1
	done
	for i in {1..10}; do
		cmp "$tmp/large.$i" "$www/large" || return 1
		rm "$tmp/large.$i"
	done
}

start http_server "$www" 0
http_port=$port http_pid=$pid url=http://127.0.0.1:$port
check 'http_server sends a file' same small.txt
check 'http_server sends an empty file' same empty
check 'http_server sends a large file' same large
check 'http_server knows HEAD' head_only
check 'http_server keeps connections' one_connection
check 'http_server answers 404' status 404 "$url/nothing"
check 'http_server answers 405' status 405 -d body "$url/small.txt"
check 'http_server answers 413' status 413 -X GET -d body "$url/small.txt"
check 'http_server answers 414 and 431' too_long
check 'http_server answers 400' malformed
check 'http_server answers 304' unmodified
check 'http_server redirects and lists directories' redirects
check 'http_server answers pipelined requests' pipelined
check 'http_server lets nothing out' no_way_out
check 'http_server serves 10 at once' parallel

start tcp_proxy 0 127.0.0.1 "$http_port"
proxy_pid=$pid url=http://127.0.0.1:$port
check 'tcp_proxy passes a small file on' same small.txt
check 'tcp_proxy passes a large file on' same large
check 'tcp_proxy passes 10 at once on' parallel
check 'http_server ends on SIGTERM' ends "$http_pid"
check 'tcp_proxy hangs up without a target' status 000 "$url/small.txt"
check 'tcp_proxy ends on SIGTERM' ends "$proxy_pid"
if command -v python3 >/dev/null; then
	check 'tcp_proxy ends while one direction is open' half_closed
else
	skip 'tcp_proxy ends while one direction is open' 'no python3'
fi

echo "1..$number"
exit $((failures > 0))
