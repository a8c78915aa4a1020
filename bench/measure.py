# SPDX-License-Identifier: MIT
"""Runs the programs: interleaved, so that what disturbs the machine for a
while disturbs all alike."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

CANNOT = 77
CALIBRATION_DIVISOR = 50
RUN_LIMIT_SECONDS = 60
TRIES = 2       # a row that has failed so often is given up
TRACE = ["strace", "-f", "-c", "-U", "calls,name", "-o"]


class Progress:
    """One line on a terminal that is written over; else a line a round."""

    def __init__(self):
        self.terminal = sys.stderr.isatty()
        self.begin = time.monotonic()

    def step(self, text, done=0.0):
        if not self.terminal:
            return
        left = ""
        if done > 0.02:
            seconds = (time.monotonic() - self.begin) * (1 - done) / done
            left = f", {seconds / 60:.1f} min left"
        line = f"{100 * done:3.0f} %{left}: {text}"
        sys.stderr.write("\r\033[K" + line[:78])
        sys.stderr.flush()

    def say(self, text):
        sys.stderr.write(("\r\033[K" if self.terminal else "") + text + "\n")
        sys.stderr.flush()


class Job:
    """A row of one program, run beside the row BESIDE of others."""

    def __init__(self, program, row, line):
        self.program = program
        self.row = row
        self.beside = line.row
        self.fixed = line.fixed
        self.traced = line.traced
        self.divisor = 1
        self.failure = ""       # of the last run
        self.failures = 0

    def run_once(self, divisor, before=()):
        """What it printed, nothing if it failed, and how long it took."""
        environment = dict(os.environ, BENCH_DIVIDE=str(divisor))
        begin = time.monotonic()
        try:
            done = subprocess.run(
                [*before, *self.program.run, self.row], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, check=False,
                timeout=RUN_LIMIT_SECONDS)
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            status, output = CANNOT, f"longer than {RUN_LIMIT_SECONDS} s"
        except FileNotFoundError as error:
            status, output = CANNOT, str(error)
        if status != 0:
            self.fail(status, output)
            return {}, time.monotonic() - begin
        return metrics(output, self.row), time.monotonic() - begin

    def calibrate(self, seconds):
        """Find by what to divide the work so that a run takes SECONDS."""
        if self.fixed:
            return
        found, took = self.run_once(CALIBRATION_DIVISOR)
        if "count" in found:
            # Without what it takes to begin.
            took = found["count"] * found["wall_ns"] / 1e9
        self.divisor = max(1, round(CALIBRATION_DIVISOR * took / seconds))

    def fail(self, status, output):
        self.failures += 1
        text = " ".join(output.split())[-200:]
        self.failure = text if status == CANNOT else f"status {status}: {text}"

    def trace(self, divisor):
        """System calls of a run, and operations in it."""
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as report:
            found, _ = self.run_once(divisor, TRACE + [report.name])
            calls = re.search(r"^ *(\d+) total$", report.read(), re.M)
        if "count" not in found or calls is None:
            return 0, 0
        return int(calls.group(1)), found["count"]

    def count_calls(self):
        """System calls for each operation: what is done once cancels out
        between a run and one half as long."""
        short_calls, short = self.trace(2 * self.divisor)
        calls, count = self.trace(self.divisor)
        if count <= short:
            return {}
        return {"calls": max(0.0, (calls - short_calls) / (count - short))}

    def measure(self, number):
        self.failure = ""
        others = OtherWork()
        begin = time.monotonic()
        found = self.count_calls() if self.traced \
            else self.run_once(self.divisor)[0]
        took = time.monotonic() - begin
        record = {"round": number, "suite": self.program.suite,
                  "beside": self.beside, "program": self.program.name,
                  "row": self.row, "divisor": self.divisor,
                  "seconds": round(took, 4),
                  "others": round(others.cores(took), 2)}
        if self.failure:
            record["failure"] = self.failure
        else:
            record["metrics"] = found
        return record


class OtherWork:
    """How many cores work for others than the program that is run."""

    def __init__(self):
        self.busy, self.own = self.now()

    @staticmethod
    def now():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        mine = resource.getrusage(resource.RUSAGE_SELF)
        own = sum((children.ru_utime, children.ru_stime,
                   mine.ru_utime, mine.ru_stime))
        try:
            with open("/proc/stat", encoding="ascii") as file:
                fields = [int(word) for word in file.readline().split()[1:]]
        except OSError:
            return own, own
        # User, nice, system, interrupts; not idle, nor what a guest is given.
        ticks = sum(fields[:3] + fields[5:8])
        return ticks / os.sysconf("SC_CLK_TCK"), own

    def cores(self, seconds):
        busy, own = self.now()
        return max(0.0, (busy - self.busy - own + self.own) / seconds)


def metrics(output, row):
    found = {}
    for line in output.splitlines():
        words = line.split("\t")
        if len(words) == 3 and words[0] == row:
            found[words[1]] = float(words[2])
    return found


class Group:
    """Jobs that are compared with each other, so they follow each other."""

    def __init__(self):
        self.jobs = {}
        self.rounds = 0

    def add(self, line, programs):
        """Let it have what LINE needs."""
        self.rounds = line.rounds
        wanted = [(program, line.row) for program in programs]
        wanted += [(program, row) for program in programs
                   for name, row in sorted(line.beside())
                   if program.name == name]
        for program, row in wanted:
            if row in program.rows:
                self.jobs.setdefault((program.name, row),
                                     Job(program, row, line))

    def turn(self, number, rounds):
        """The jobs for this of so many rounds, in the order of their turn.
        Who begins changes, for the first one may find the caches cold."""
        if 0 < self.rounds < rounds \
                and number * self.rounds % rounds >= self.rounds:
            return []
        jobs = list(self.jobs.values())
        first = number % max(1, len(jobs))
        return jobs[first:] + jobs[:first]


def groups_of(lines, programs):
    """In the order of the tables."""
    groups = {}
    for line in lines:
        group = groups.setdefault((line.suite, line.row, line.traced),
                                  Group())
        group.add(line, [program for program in programs
                         if program.suite == line.suite])
    return list(groups.values())


def calibrate(groups, seconds, progress):
    jobs = [job for group in groups for job in group.jobs.values()]
    for i, job in enumerate(jobs):
        progress.step(f"trying {job.program.title}, {job.row}",
                      0.02 * i / len(jobs))
        job.calibrate(seconds)


def measure(groups, options, raw, progress):
    """Rounds until there are enough or the time is up.  Returns the records;
    each is written to the file RAW, too."""
    records = []
    rounds = options.repeat
    end = time.monotonic() + 60 * options.minutes
    plan = [[job for group in groups for job in group.turn(number, rounds)]
            for number in range(rounds)]
    count = sum(len(jobs) for jobs in plan)
    longest = 0
    for number, jobs in enumerate(plan):
        begin = time.monotonic()
        if begin + longest > end:
            break
        for job in jobs:
            progress.step(f"round {number + 1} of {rounds}, "
                          f"{job.row}: {job.program.title}",
                          len(records) / count)
            if job.failures >= TRIES:
                continue
            record = job.measure(number)
            raw.write(json.dumps(record) + "\n")
            raw.flush()
            records.append(record)
        took = time.monotonic() - begin
        longest = max(longest, took)
        progress.say(f"round {number + 1} of {rounds}: {len(jobs)} runs in "
                     f"{took:.0f} s")
    return records
