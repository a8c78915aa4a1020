// SPDX-License-Identifier: MIT

// peer.go - the rows of bench.h in Go, with goroutines
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The row that is being run; number is what its function makes of it.
var name string
var number int64

func need(holds bool, what string) {
	if !holds {
		fmt.Fprintf(os.Stderr, "%s: wrong: %s\n", name, what)
		os.Exit(1)
	}
}

func times(count int64) int64 {
	divisor, err := strconv.ParseInt(os.Getenv("BENCH_DIVIDE"), 10, 64)
	if err == nil && divisor > 1 {
		count /= divisor
	}
	if count < 1 {
		return 1
	}
	return count
}

func value(metric string, number float64) {
	fmt.Printf("%s\t%s\t%.10g\n", name, metric, number)
}

var wallBegin time.Time
var cpuBegin int64

func cpu() int64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}

func begin() {
	cpuBegin = cpu()
	wallBegin = time.Now()
}

func end(count int64) {
	wall := float64(time.Since(wallBegin).Nanoseconds())
	used := float64(cpu() - cpuBegin)
	value("wall_ns", wall/float64(count))
	value("cpu_ns", used/float64(count))
	value("cores", used/wall)
	value("count", float64(count))
}

// all runs count goroutines and waits for their end.
func all(count int64, run func(i int64)) {
	var group sync.WaitGroup
	group.Add(int(count))
	for i := int64(0); i < count; i++ {
		i := i
		go func() {
			run(i)
			group.Done()
		}()
	}
	group.Wait()
}

var arrived, awake, begun int64

func await(counter *int64, count int64) {
	for atomic.LoadInt64(counter) < count {
		runtime.Gosched()
	}
}

func runSwitch() {
	each := times(10000000) / number
	gate := make(chan int64)
	var group sync.WaitGroup
	group.Add(int(number))
	for i := int64(0); i < number; i++ {
		go func() {
			// While there are not all, nobody takes turns: now
			// and then they would do so before the next is made.
			waitAt(gate)
			atomic.AddInt64(&awake, 1)
			for atomic.LoadInt64(&begun) == 0 {
				runtime.Gosched()
			}
			for i := int64(0); i < each; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	await(&arrived, number)
	close(gate)
	await(&awake, number)
	begin()
	atomic.StoreInt64(&begun, 1)
	group.Wait()
	end(each * number)
}

// Go has no join: a channel tells of the end.
func runSpawn() {
	count := times(1000000)
	done := make(chan struct{})
	begin()
	for i := int64(0); i < count; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
	end(count)
}

func waitAt(gate chan int64) {
	atomic.AddInt64(&arrived, 1)
	<-gate
}

func runBatches() {
	const batch = 10000
	count := times(50)
	for i := int64(-1); i < count; i++ {
		if i == 0 {
			begin()
		}
		var group sync.WaitGroup
		gate := make(chan int64)
		arrived = 0
		group.Add(batch)
		for j := 0; j < batch; j++ {
			go func() {
				waitAt(gate)
				group.Done()
			}()
		}
		await(&arrived, batch)
		close(gate)
		group.Wait()
	}
	end(count * batch)
}

func runPingPong() {
	count := times(1000000)
	there, back := make(chan int64), make(chan int64)
	go func() {
		for i := int64(0); i < count; i++ {
			back <- <-there
		}
	}()
	begin()
	for i := int64(0); i < count; i++ {
		there <- i
		need(<-back == i, "the message")
	}
	end(2 * count)
}

func runChannel() {
	count := times(5000000)
	there := make(chan int64, 128)
	go func() {
		for i := count; i > 0; i-- {
			there <- i
		}
	}()
	begin()
	for i := count; i > 0; i-- {
		need(<-there == i, "the order")
	}
	end(count)
}

func runManyToMany() {
	const pairs = 4
	count := times(500000)
	there := make(chan int64, 128)
	var sum int64
	var getters sync.WaitGroup
	begin()
	getters.Add(pairs)
	for i := 0; i < pairs; i++ {
		go func() {
			var mine int64
			for item := range there {
				mine += item
			}
			atomic.AddInt64(&sum, mine)
			getters.Done()
		}()
	}
	all(pairs, func(int64) {
		for i := count; i > 0; i-- {
			there <- i
		}
	})
	close(there)
	getters.Wait()
	end(pairs * count)
	need(sum == pairs*(count*(count+1)/2), "the sum")
}

var random = uint64(88172645463325252)

// chance is the number of one of count goroutines, each time the same.
func chance(count int64) int64 {
	random ^= random << 13
	random ^= random >> 7
	random ^= random << 17
	return int64(random % uint64(count))
}

func runWake() {
	count := times(1000000)
	back := make(chan int64)
	inboxes := make([]chan int64, number)
	for i := range inboxes {
		inbox := make(chan int64)
		inboxes[i] = inbox
		go func() {
			atomic.AddInt64(&arrived, 1)
			for {
				back <- <-inbox
			}
		}()
	}
	await(&arrived, number)
	begin()
	for i := int64(0); i < count; i++ {
		inboxes[chance(number)] <- i
		need(<-back == i, "the message")
	}
	end(2 * count)
}

var samples []float64
var elsewhere int64

func compute(us int64) {
	end := time.Now().Add(time.Duration(us) * time.Microsecond)
	for time.Now().Before(end) {
	}
}

func takenUp(begin, now time.Time, byOther bool) {
	samples = append(samples, float64(now.Sub(begin).Nanoseconds())/1e3)
	if byOther {
		elsewhere++
	}
}

func takenUpEnd() {
	sort.Float64s(samples)
	count := len(samples)
	value("p50_us", samples[count/2])
	value("p99_us", samples[count*99/100])
	value("elsewhere", float64(elsewhere)/float64(count))
}

func runBurst() {
	const burst = 8
	for i := times(200); i > 0; i-- {
		var first int64
		compute(2000)
		giver := syscall.Gettid()
		from := time.Now()
		all(burst, func(int64) {
			if syscall.Gettid() != giver {
				late := time.Since(from).Nanoseconds()
				atomic.CompareAndSwapInt64(&first, 0, late)
			}
			compute(200)
		})
		if first == 0 {
			takenUp(from, time.Now(), false)
		} else {
			takenUp(from, from.Add(time.Duration(first)), true)
		}
	}
	takenUpEnd()
}

func runHandoff() {
	var giver int
	there, back := make(chan time.Time, 1), make(chan bool, 1)
	go func() {
		for from := range there {
			takenUp(from, time.Now(), syscall.Gettid() != giver)
			back <- true
		}
	}()
	for i := times(100); i > 0; i-- {
		runtime.Gosched()
		compute(2000)
		giver = syscall.Gettid()
		there <- time.Now()
		compute(5000)
		<-back
	}
	takenUpEnd()
}

var lock sync.Mutex
var counter int64

func countLocked(each int64) {
	for i := int64(0); i < each; i++ {
		lock.Lock()
		counter++
		lock.Unlock()
	}
}

func countAndYield(each int64) {
	for i := int64(0); i < each; i++ {
		lock.Lock()
		counter++
		runtime.Gosched()
		lock.Unlock()
	}
}

func lockBy(run func(int64)) {
	const lockers = 100
	each := times(100000)
	begin()
	all(lockers, func(int64) { run(each) })
	end(lockers * each)
	need(counter == lockers*each, "the counter")
}

func runLock()         { lockBy(countLocked) }
func runLockHandover() { lockBy(countAndYield) }

func fib(n int64) int64 {
	if n < 2 {
		return n
	}
	var smaller int64
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		smaller = fib(n - 1)
		group.Done()
	}()
	smallest := fib(n - 2)
	group.Wait()
	return smaller + smallest
}

func fibOf(n int64) int64 {
	a, b := int64(0), int64(1)
	for ; n > 0; n-- {
		a, b = b, a+b
	}
	return a
}

func runFib() {
	begin()
	result := fib(number)
	end(fibOf(number+1) - 1)
	need(result == fibOf(number), "fib")
}

const (
	sleepers = 100000
	sleeps   = 10
	buckets  = 20000
)

// lateness: within how many microseconds the earlier part of the sleeps ended.
func lateness(late []int64, part float64) float64 {
	seen := int64(0)
	for bucket, count := range late {
		seen += count
		if float64(seen) >= part*sleepers*sleeps {
			return float64(bucket+1) * 50
		}
	}
	return buckets * 50
}

func sleepOften(i int64, late, early []int64) {
	for round := int64(0); round < sleeps; round++ {
		sleep := time.Duration(1+(i*7919+round*104729)%100) *
			time.Millisecond
		from := time.Now()
		time.Sleep(sleep)
		over := time.Since(from) - sleep
		bucket := int64(over / (50 * time.Microsecond))
		if over < 0 {
			early[0]++
			bucket = 0
		}
		if bucket >= buckets {
			bucket = buckets - 1
		}
		late[bucket]++
	}
}

// There is one thread, and nothing in between blocks: no lock is needed.
func runTimers() {
	late, early := make([]int64, buckets), make([]int64, 1)
	begin()
	all(sleepers, func(i int64) { sleepOften(i, late, early) })
	value("cpu_s", float64(cpu()-cpuBegin)/1e9)
	value("wall_s", time.Since(wallBegin).Seconds())
	value("late_p50_us", lateness(late, 0.5))
	value("late_p99_us", lateness(late, 0.99))
	value("early", float64(early[0]))
}

func kilobytes(what string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, what) {
			size, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return size
		}
	}
	return 0
}

func runMemory() {
	gate := make(chan int64)
	runtime.GC()
	rss, tables := kilobytes("VmRSS:"), kilobytes("VmPTE:")
	begin()
	for i := int64(1); i <= number; i++ {
		go waitAt(gate)
		if i%1000 == 0 {
			await(&arrived, i)
		}
	}
	wall := float64(time.Since(wallBegin).Nanoseconds())
	count := float64(number)
	value("rss", (kilobytes("VmRSS:")-rss)*1024/count)
	value("page_tables", (kilobytes("VmPTE:")-tables)*1024/count)
	maps, _ := os.ReadFile("/proc/self/maps")
	value("mappings", float64(strings.Count(string(maps), "\n")))
	value("create_ns", wall/count)
}

type row struct {
	name    string
	run     func()
	threads int
	number  int64
}

var rows = []row{
	{"switch-2", runSwitch, 1, 2},
	{"switch-1000", runSwitch, 1, 1000},
	{"switch-1m", runSwitch, 1, 1000000},
	{"spawn", runSpawn, 1, 0},
	{"spawn-10k", runBatches, 1, 0},
	{"ping-pong", runPingPong, 1, 0},
	{"ping-pong-2t", runPingPong, 2, 0},
	{"channel", runChannel, 1, 0},
	{"channel-2t", runChannel, 2, 0},
	{"many-to-many-2t", runManyToMany, 2, 0},
	{"wake-1000", runWake, 1, 1000},
	{"wake-1m", runWake, 1, 1000000},
	{"burst-2t", runBurst, 2, 0},
	{"handoff-2t", runHandoff, 2, 0},
	{"lock", runLock, 1, 0},
	{"lock-handover", runLockHandover, 1, 0},
	{"lock-2t", runLock, 2, 0},
	{"lock-handover-2t", runLockHandover, 2, 0},
	{"fib-20", runFib, 1, 20},
	{"fib-20-2t", runFib, 2, 20},
	{"fib-30", runFib, 1, 30},
	{"fib-30-2t", runFib, 2, 30},
	{"timers", runTimers, 1, 0},
	{"memory-100k", runMemory, 1, 100000},
	{"memory-1m", runMemory, 1, 1000000},
}

func main() {
	for _, row := range rows {
		if len(os.Args) == 2 && os.Args[1] == "--list" {
			fmt.Println(row.name)
		} else if len(os.Args) == 2 && os.Args[1] == row.name {
			name, number = row.name, row.number
			runtime.GOMAXPROCS(row.threads)
			row.run()
		}
	}
}
