#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what operations take of the machine, with 1 to 16 threads and, in a
simulation, up to 64 cores.

`make bench-counts' calls it; bench/count/count.h says what is counted, and
bench/count/simulate.h what is simulated.  It needs Python only."""

import argparse
import os
import re
import statistics
import subprocess
import sys

BEGIN = "<!-- counts: bench/counts.py --markdown writes what is between -->"
END = "<!-- end of counts -->"

# Rows: the title; the operations of one task in the simulation, by how many
# threads are simulated, where the default would take too long or end too soon.
ROWS = {
    "yield": ("Switch, 2 tasks for each thread", {}),
    "spawn": ("Spawn and join, 1 task for each thread", {}),
    "fib": ("Fork and join, fib", {0: 26}),
    "channel-0": ("Channel of 0, a pair for each thread", {}),
    "channel-128": ("Channel of 128, a pair for each thread", {}),
    "many-to-many": ("Channel of 128, 4 producers, 4 consumers", {}),
    "ping-pong": ("Question and answer, one pair", {}),
    "lock": ("Lock that is free, 1 task for each thread", {}),
    "lock-shared": ("Lock handed over, 4 tasks for each thread", {}),
    "outside": ("Task given by another thread", {0: 1000, 64: 200}),
    "sleepers": ("Sleep, 200 sleepers for each thread", {}),
    "echo": ("Question and answer over TCP, a pair for each thread", None),
}
REAL = [1, 2, 4, 8, 16]
SIMULATED = [1, 2, 4, 8, 16, 32, 64]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--build", default="bench", metavar="DIR",
        help="bench/ of the build, where count/rows is")
    add("--only", default="", metavar="A,B", help="only these rows")
    add("--real", default="", metavar="1,2", help="so many real threads")
    add("--simulated", default="", metavar="1,2",
        help="so many simulated threads")
    add("--rounds", type=int, default=3, metavar="N",
        help="runs of each; the median counts")
    add("--markdown", metavar="FILE",
        help="write the tables between the marks in this file, too")
    return parser.parse_args()


def run(program, row, threads, operations=None, seed=1):
    """What one run prints, as a dictionary."""
    command = [program, row, str(threads)]
    if operations is not None:
        command.append(str(operations))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          check=True, timeout=900,
                          env=dict(os.environ, SIMULATE_SEED=str(seed),
                                   COLOOP_BACKEND="epoll"))
    counts = {}
    for line in done.stdout.splitlines():
        what, value = line.split("\t")
        counts[what] = counts.get(what, 0) + float(value)
    return counts


def calls(counts, of="call."):
    """System calls, without looks at the clock, which are none."""
    return sum(value for what, value in counts.items()
               if what.startswith(of) and what != of + "clock")


def atomics(counts):
    return counts.get("rmw", 0) + counts.get("fence", 0)


def median(runs, what):
    return statistics.median(what(counts) for counts in runs)


def number(value):
    if value == 0:
        return "0"
    if value < 0.001:
        return "<0.001"
    if value < 0.1:
        return f"{value:.3f}"
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def row_of(words):
    return "| " + " | ".join(words) + " |"


def table(heading, runs, threads, what, show=number):
    """A row for each row, a column for each number of threads."""
    lines = ["", heading, "",
             row_of([""] + [str(n) for n in threads]),
             row_of(["---"] + ["---:"] * len(threads))]
    for row, by_threads in runs.items():
        lines.append(row_of([ROWS[row][0]] + [
            show(median(by_threads[n], what)) for n in threads]))
    return lines


def parts_of(runs):
    """Which lines move, of those that move most."""
    parts = {}
    for counts in runs:
        for what, value in counts.items():
            if what.startswith("part."):
                parts.setdefault(what[5:], []).append(value)
    sums = sorted(((sum(values) / len(runs), part)
                   for part, values in parts.items()), reverse=True)
    return ", ".join(f"{part} {number(value)}" for value, part in sums[:4]
                     if value >= 0.0005)


def parts_table(heading, runs, threads):
    lines = ["", heading, "", row_of(["", "moves", "of"]),
             row_of(["---", "---:", "---"])]
    for row, by_threads in runs.items():
        lines.append(row_of([
            ROWS[row][0], number(median(by_threads[threads],
                                        lambda counts: counts.get("moves", 0))),
            parts_of(by_threads[threads])]))
    return lines


def speedup(runs, threads):
    """How many times as many operations in the same time as one thread."""
    lines = ["", "Operations in the same time, one thread being 1:", "",
             row_of(["", "1, ns"] + [str(n) for n in threads[1:]]),
             row_of(["---"] + ["---:"] * len(threads))]
    for row, by_threads in runs.items():
        times = [median(by_threads[n], lambda counts: counts["time"])
                 for n in threads]
        lines.append(row_of([ROWS[row][0], number(times[0])] + [
            f"{times[0] / time:.1f}" for time in times[1:]]))
    return lines


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def measure(program, rows, threads, rounds, simulated):
    runs = {}
    for row in rows:
        operations = ROWS[row][1] if simulated else {}
        if operations is None:
            continue
        runs[row] = {}
        for n in threads:
            runs[row][n] = []
            for seed in range(rounds):
                progress(f"{os.path.basename(program)} {row} {n}")
                runs[row][n].append(run(
                    program, row, n, operations.get(n, operations.get(0)),
                    2 * seed + 1))
    progress("")
    return runs


def numbers(text, otherwise):
    return [int(word) for word in text.split(",")] if text else otherwise


def report(options):
    rows = [row for row in ROWS
            if not options.only or row in options.only.split(",")]
    real = numbers(options.real, REAL)
    simulated = numbers(options.simulated, SIMULATED)
    count = os.path.join(options.build, "count")
    runs = measure(os.path.join(count, "rows"), rows, real, options.rounds,
                   False)
    cores = len(os.sched_getaffinity(0))
    text = ["", f"### Threads on {cores} cores"]
    text += table("Atomic read-modify-writes and fences:", runs, real, atomics)
    text += table("Cache lines that moved:", runs, real,
                  lambda counts: counts.get("moves", 0))
    text += table("System calls of the workers:", runs, real, calls)
    text += table("System calls of the monitor:", runs, real,
                  lambda counts: calls(counts, "call of others."))
    runs = measure(os.path.join(count, "simulate"), rows, simulated,
                   options.rounds, True)
    text += ["", "### A core for each thread, simulated"]
    text += speedup(runs, simulated)
    text += table("Atomic read-modify-writes and fences:", runs, simulated,
                  atomics)
    text += table("Cache lines that moved:", runs, simulated,
                  lambda counts: counts.get("moves", 0))
    text += table("System calls of the workers:", runs, simulated, calls)
    text += parts_table(f"What moves, with {simulated[-1]} threads:", runs,
                        simulated[-1])
    return text + [""]


def write_markdown(path, lines):
    """Put the tables between the two marks in the file PATH."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if not between.search(text):
        raise SystemExit(f"{path}: it lacks the marks around the counts")
    text = between.sub(lambda _: "\n".join([BEGIN] + lines + [END]), text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    options = arguments()
    lines = report(options)
    if options.markdown:
        write_markdown(options.markdown, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
