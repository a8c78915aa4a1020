// SPDX-License-Identifier: MIT

//! The rows of bench.h with Tokio.
//!
//! Its tasks have no stacks.  Its channels have one consumer, and at least room
//! for one message, which here stands for an unbuffered one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex, OnceCell, Semaphore};
use tokio::task::yield_now;

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    work: Work,
    threads: usize,
    number: u64,
}

#[derive(Clone, Copy)]
enum Work {
    Switch,
    Spawn,
    Batches,
    PingPong,
    Channel,
    Wake,
    Burst,
    Handoff,
    Lock,
    Fib,
    Timers,
    Memory,
}

const fn row(name: &'static str, work: Work, threads: usize, number: u64) -> Row {
    Row { name, work, threads, number }
}

const ROWS: [Row; 24] = [
    row("switch-2", Work::Switch, 1, 2),
    row("switch-1000", Work::Switch, 1, 1000),
    row("switch-1m", Work::Switch, 1, 1_000_000),
    row("spawn", Work::Spawn, 1, 0),
    row("spawn-10k", Work::Batches, 1, 0),
    row("ping-pong", Work::PingPong, 1, 0),
    row("ping-pong-2t", Work::PingPong, 2, 0),
    row("channel", Work::Channel, 1, 0),
    row("channel-2t", Work::Channel, 2, 0),
    row("wake-1000", Work::Wake, 1, 1000),
    row("wake-1m", Work::Wake, 1, 1_000_000),
    row("burst-2t", Work::Burst, 2, 0),
    row("handoff-2t", Work::Handoff, 2, 0),
    row("lock", Work::Lock, 1, 0),
    row("lock-handover", Work::Lock, 1, 1),
    row("lock-2t", Work::Lock, 2, 0),
    row("lock-handover-2t", Work::Lock, 2, 1),
    row("fib-20", Work::Fib, 1, 20),
    row("fib-20-2t", Work::Fib, 2, 20),
    row("fib-30", Work::Fib, 1, 30),
    row("fib-30-2t", Work::Fib, 2, 30),
    row("timers", Work::Timers, 1, 0),
    row("memory-100k", Work::Memory, 1, 100_000),
    row("memory-1m", Work::Memory, 1, 1_000_000),
];

fn times(count: u64) -> u64 {
    let divisor = std::env::var("BENCH_DIVIDE").ok();
    let divisor = divisor.and_then(|text| text.parse().ok()).unwrap_or(1);
    (count / std::cmp::max(1, divisor)).max(1)
}

fn cpu_ns() -> f64 {
    // SAFETY: getrusage() writes the structure that it is given.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut used);
        used
    };
    let seconds = used.ru_utime.tv_sec + used.ru_stime.tv_sec;
    let micros = used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    seconds as f64 * 1e9 + micros as f64 * 1e3
}

struct Watch {
    row: Row,
    wall: Instant,
    cpu: f64,
}

impl Watch {
    fn begin(row: Row) -> Watch {
        let cpu = cpu_ns();
        Watch { row, wall: Instant::now(), cpu }
    }

    fn value(&self, metric: &str, value: f64) {
        println!("{}\t{}\t{}", self.row.name, metric, value);
    }

    fn wall_ns(&self) -> f64 {
        self.wall.elapsed().as_nanos() as f64
    }

    fn end(&self, count: u64) {
        let wall = self.wall_ns();
        let cpu = cpu_ns() - self.cpu;
        self.value("wall_ns", wall / count as f64);
        self.value("cpu_ns", cpu / count as f64);
        self.value("cores", cpu / wall);
        self.value("count", count as f64);
    }
}

type Tasks = Vec<tokio::task::JoinHandle<()>>;

async fn join_all(tasks: Tasks) {
    for task in tasks {
        task.await.unwrap();
    }
}

/// Tasks have begun, and may go on.
#[derive(Default)]
struct Start {
    arrived: AtomicU64,
    begun: AtomicBool,
}

impl Start {
    fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    async fn all_arrived(&self, count: u64) {
        while self.arrived.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
    }
}

async fn switch(row: Row) {
    let each = times(10_000_000) / row.number;
    let start = Arc::new(Start::default());
    let mut tasks = Tasks::new();
    for _ in 0..row.number {
        let start = start.clone();
        tasks.push(tokio::spawn(async move {
            start.arrive();
            while !start.begun.load(Ordering::Relaxed) {
                yield_now().await;
            }
            for _ in 0..each {
                yield_now().await;
            }
        }));
    }
    start.all_arrived(row.number).await;
    let watch = Watch::begin(row);
    start.begun.store(true, Ordering::Relaxed);
    join_all(tasks).await;
    watch.end(each * row.number);
}

async fn spawn(row: Row) {
    let count = times(1_000_000);
    let watch = Watch::begin(row);
    for _ in 0..count {
        tokio::spawn(async {}).await.unwrap();
    }
    watch.end(count);
}

/// What tasks wait at until it is closed, and how many have come there.
struct Gate {
    closed: Semaphore,
    start: Start,
}

impl Gate {
    fn new() -> Arc<Gate> {
        Arc::new(Gate { closed: Semaphore::new(0), start: Start::default() })
    }

    async fn wait(&self) {
        self.start.arrive();
        let _ = self.closed.acquire().await;
    }
}

async fn batches(row: Row) {
    const BATCH: u64 = 10_000;
    let count = times(50);
    let mut watch = Watch::begin(row);
    for i in 0..=count {
        if i == 1 {
            watch = Watch::begin(row);
        }
        let gate = Gate::new();
        let mut tasks = Tasks::with_capacity(BATCH as usize);
        for _ in 0..BATCH {
            let gate = gate.clone();
            tasks.push(tokio::spawn(async move { gate.wait().await }));
        }
        gate.start.all_arrived(BATCH).await;
        gate.closed.close();
        join_all(tasks).await;
    }
    watch.end(count * BATCH);
}

async fn ping_pong(row: Row) {
    let count = times(1_000_000);
    let (put_there, mut get_there) = mpsc::channel::<u64>(1);
    let (put_back, mut get_back) = mpsc::channel::<u64>(1);
    tokio::spawn(async move {
        while let Some(item) = get_there.recv().await {
            put_back.send(item).await.unwrap();
        }
    });
    let watch = Watch::begin(row);
    for i in 0..count {
        put_there.send(i).await.unwrap();
        assert_eq!(get_back.recv().await, Some(i));
    }
    watch.end(2 * count);
}

async fn channel(row: Row) {
    let count = times(5_000_000);
    let (put, mut get) = mpsc::channel::<u64>(128);
    tokio::spawn(async move {
        for i in 0..count {
            put.send(i).await.unwrap();
        }
    });
    let watch = Watch::begin(row);
    for i in 0..count {
        assert_eq!(get.recv().await, Some(i));
    }
    watch.end(count);
}

/// The numbers of tasks, by chance but each time the same.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % count) as usize
    }
}

async fn wake(row: Row) {
    let count = times(1_000_000);
    let start = Arc::new(Start::default());
    let (put_back, mut get_back) = mpsc::channel::<u64>(1);
    let mut inboxes = Vec::new();
    for _ in 0..row.number {
        let (put, mut inbox) = mpsc::channel::<u64>(1);
        let (start, put_back) = (start.clone(), put_back.clone());
        inboxes.push(put);
        tokio::spawn(async move {
            start.arrive();
            while let Some(item) = inbox.recv().await {
                put_back.send(item).await.unwrap();
            }
        });
    }
    start.all_arrived(row.number).await;
    let mut random = Random(88_172_645_463_325_252);
    let watch = Watch::begin(row);
    for i in 0..count {
        inboxes[random.below(row.number)].send(i).await.unwrap();
        assert_eq!(get_back.recv().await, Some(i));
    }
    watch.end(2 * count);
    std::process::exit(0);
}

fn compute(us: u64) {
    let end = Instant::now() + Duration::from_micros(us);
    while Instant::now() < end {}
}

/// How soon another thread took up what one gave to do.
#[derive(Default)]
struct TakenUp {
    us: Vec<f64>,
    elsewhere: u64,
}

impl TakenUp {
    fn add(&mut self, late: Duration, elsewhere: bool) {
        self.us.push(late.as_nanos() as f64 / 1e3);
        self.elsewhere += u64::from(elsewhere);
    }

    fn end(mut self, row: Row) {
        let watch = Watch::begin(row);
        let count = self.us.len();
        self.us.sort_unstable_by(f64::total_cmp);
        watch.value("p50_us", self.us[count / 2]);
        watch.value("p99_us", self.us[count * 99 / 100]);
        watch.value("elsewhere", self.elsewhere as f64 / count as f64);
    }
}

async fn burst(row: Row) {
    const BURST: usize = 8;
    let mut taken_up = TakenUp::default();
    for _ in 0..times(200) {
        compute(2000);
        let giver = thread::current().id();
        let first = Arc::new(OnceCell::new());
        let begin = Instant::now();
        let mut tasks = Tasks::with_capacity(BURST);
        for _ in 0..BURST {
            let first = first.clone();
            tasks.push(tokio::spawn(async move {
                if thread::current().id() != giver {
                    let _ = first.set(begin.elapsed());
                }
                compute(200);
            }));
        }
        join_all(tasks).await;
        let late = first.get().copied();
        taken_up.add(late.unwrap_or_else(|| begin.elapsed()), late.is_some());
    }
    taken_up.end(row);
}

async fn handoff(row: Row) {
    let (put_there, mut get_there) = mpsc::channel(1);
    let (put_back, mut get_back) = mpsc::channel(1);
    let taker = tokio::spawn(async move {
        let mut taken_up = TakenUp::default();
        while let Some((begin, giver)) = get_there.recv().await {
            let late = Instant::elapsed(&begin);
            taken_up.add(late, thread::current().id() != giver);
            put_back.send(()).await.unwrap();
        }
        taken_up
    });
    for _ in 0..times(100) {
        yield_now().await;
        compute(2000);
        let now = (Instant::now(), thread::current().id());
        put_there.send(now).await.unwrap();
        compute(5000);
        get_back.recv().await.unwrap();
    }
    drop(put_there);
    taker.await.unwrap().end(row);
}

async fn lock(row: Row) {
    const LOCKERS: u64 = 100;
    let each = times(100_000);
    let counter = Arc::new(Mutex::new(0));
    let mut tasks = Tasks::new();
    let watch = Watch::begin(row);
    for _ in 0..LOCKERS {
        let counter = counter.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..each {
                let mut held = counter.lock().await;
                *held += 1;
                if row.number != 0 {
                    yield_now().await;
                }
            }
        }));
    }
    join_all(tasks).await;
    watch.end(each * LOCKERS);
    assert_eq!(*counter.lock().await, each * LOCKERS);
}

fn fib(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let smaller = tokio::spawn(fib(n - 1));
        let smallest = fib(n - 2).await;
        smaller.await.unwrap() + smallest
    })
}

fn fib_of(n: u64) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

async fn fork_join(row: Row) {
    let watch = Watch::begin(row);
    let result = fib(row.number).await;
    watch.end(fib_of(row.number + 1) - 1);
    assert_eq!(result, fib_of(row.number));
}

const SLEEPERS: u64 = 100_000;
const SLEEPS: u64 = 10;

async fn sleep_often(i: u64, late_us: Arc<Vec<AtomicI64>>) {
    for round in 0..SLEEPS {
        let sleep = Duration::from_millis(1 + (i * 7919 + round * 104_729) % 100);
        let begin = Instant::now();
        tokio::time::sleep(sleep).await;
        let late = begin.elapsed().as_nanos() as i64 - sleep.as_nanos() as i64;
        late_us[(i * SLEEPS + round) as usize].store(late.div_euclid(1000), Ordering::Relaxed);
    }
}

async fn timers(row: Row) {
    let count = SLEEPERS * SLEEPS;
    let late_us: Vec<_> = (0..count).map(|_| AtomicI64::new(0)).collect();
    let late_us = Arc::new(late_us);
    let watch = Watch::begin(row);
    let mut tasks = Tasks::new();
    for i in 0..SLEEPERS {
        tasks.push(tokio::spawn(sleep_often(i, late_us.clone())));
    }
    join_all(tasks).await;
    watch.value("cpu_s", (cpu_ns() - watch.cpu) / 1e9);
    watch.value("wall_s", watch.wall_ns() / 1e9);
    let mut late: Vec<i64> = late_us.iter().map(|us| us.load(Ordering::Relaxed)).collect();
    late.sort_unstable();
    let part = |share: f64| late[(share * count as f64) as usize].max(0) as f64;
    watch.value("late_p50_us", part(0.5));
    watch.value("late_p99_us", part(0.99));
    watch.value("early", late.iter().filter(|us| **us < 0).count() as f64);
}

fn status(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn memory(row: Row) {
    let (rss, tables) = (status("VmRSS:"), status("VmPTE:"));
    let gate = Gate::new();
    let watch = Watch::begin(row);
    for i in 1..=row.number {
        let same = gate.clone();
        tokio::spawn(async move { same.wait().await });
        if i % 1000 == 0 {
            gate.start.all_arrived(i).await;
        }
    }
    let wall = watch.wall_ns();
    let count = row.number as f64;
    watch.value("rss", (status("VmRSS:") - rss) * 1024.0 / count);
    watch.value("page_tables", (status("VmPTE:") - tables) * 1024.0 / count);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    watch.value("mappings", maps.lines().count() as f64);
    watch.value("create_ns", wall / count);
    std::process::exit(0);
}

async fn run(row: Row) {
    match row.work {
        Work::Switch => switch(row).await,
        Work::Spawn => spawn(row).await,
        Work::Batches => batches(row).await,
        Work::PingPong => ping_pong(row).await,
        Work::Channel => channel(row).await,
        Work::Wake => wake(row).await,
        Work::Burst => burst(row).await,
        Work::Handoff => handoff(row).await,
        Work::Lock => lock(row).await,
        Work::Fib => fork_join(row).await,
        Work::Timers => timers(row).await,
        Work::Memory => memory(row).await,
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut rows = ROWS.iter();
    if name == "--list" {
        rows.for_each(|row| println!("{}", row.name));
        return;
    }
    let row = *rows.find(|row| row.name == name).unwrap();
    let mut builder = match row.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if row.threads > 1 {
        builder.worker_threads(row.threads);
    }
    let runtime = builder.enable_time().build().unwrap();
    // A task of its own, so that it is one of the workers' with several threads.
    runtime.block_on(async { tokio::spawn(run(row)).await.unwrap() });
}
