# SPDX-License-Identifier: MIT
"""Runs the programs: interleaved, so that what disturbs the machine for a
while disturbs all alike."""

import json
import os
import resource
import subprocess
import sys
import time

CANNOT = 77
CALIBRATION_DIVISOR = 50
RUN_LIMIT_SECONDS = 60


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
    """A row of one program."""

    def __init__(self, program, row, fixed):
        self.program = program
        self.row = row
        self.fixed = fixed
        self.divisor = 1
        self.failure = ""

    def run_once(self, divisor):
        """Status, output, and how long it took."""
        environment = dict(os.environ, BENCH_DIVIDE=str(divisor))
        begin = time.monotonic()
        try:
            done = subprocess.run(
                self.program.run + [self.row], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, check=False,
                timeout=RUN_LIMIT_SECONDS)
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            status, output = CANNOT, f"longer than {RUN_LIMIT_SECONDS} s"
        return status, output, time.monotonic() - begin

    def calibrate(self, seconds):
        """Find by what to divide the work so that a run takes SECONDS."""
        if self.fixed:
            return
        status, output, took = self.run_once(CALIBRATION_DIVISOR)
        if status != 0:
            self.fail(status, output)
        self.divisor = max(1, round(CALIBRATION_DIVISOR * took / seconds))

    def fail(self, status, output):
        text = " ".join(output.split())[-200:]
        self.failure = text if status == CANNOT else f"status {status}: {text}"

    def measure(self, number):
        others = OtherWork()
        status, output, took = self.run_once(self.divisor)
        if status != 0:
            self.fail(status, output)
        record = {"round": number, "suite": self.program.suite,
                  "program": self.program.name, "row": self.row,
                  "divisor": self.divisor, "seconds": round(took, 4),
                  "others": round(others.cores(took), 2)}
        if self.failure:
            record["failure"] = self.failure
        else:
            record["metrics"] = metrics(output, self.row)
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


def jobs_of(lines, programs):
    """Lists of jobs to be compared with each other, in the tables' order."""
    groups = {}
    for line in lines:
        group = groups.setdefault((line.suite, line.row), {})
        wanted = [(program, line.row) for program in programs
                  if program.suite == line.suite]
        wanted += [(program, line.limit_row) for program in programs
                   if program.suite == line.suite
                   and program.name == line.limit_program]
        for program, row in wanted:
            if row in program.rows:
                group[program.name, row] = Job(program, row, line.fixed)
    return [list(group.values()) for group in groups.values()]


def calibrate(groups, seconds, progress):
    jobs = [job for group in groups for job in group]
    for i, job in enumerate(jobs):
        progress.step(f"trying {job.program.title}, {job.row}",
                      0.02 * i / len(jobs))
        job.calibrate(seconds)


def measure(groups, options, raw, progress):
    """Rounds until there are enough or the time is up.  Returns the records;
    each is written to the file RAW, too."""
    records = []
    end = time.monotonic() + 60 * options.minutes
    count = sum(len(group) for group in groups)
    for number in range(options.repeat):
        begin = time.monotonic()
        done = 0
        for group in groups:
            # Who begins changes, for the first one may find the caches cold.
            turn = number % max(1, len(group))
            for job in group[turn:] + group[:turn]:
                done += 1
                if job.failure and number > 0:
                    continue
                progress.step(f"round {number + 1} of {options.repeat}, "
                              f"{job.row}: {job.program.title}",
                              (number + done / count) / options.repeat)
                record = job.measure(number)
                raw.write(json.dumps(record) + "\n")
                records.append(record)
            raw.flush()
        now = time.monotonic()
        progress.say(f"round {number + 1}: {done} runs in "
                     f"{now - begin:.0f} s")
        if now + (now - begin) > end:
            break
    return records
