#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares coloop with its peers and with what the machine can do at best.

`make bench' calls it; CONTRIBUTING.md says more.  It needs Python only.  The
tables rows.ini and programs.ini say what is measured."""

import argparse
import json
import os
import platform
import sys
import time

import figures
import measure
import page
import tables
import text


def arguments():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--build", default=".", metavar="DIR",
        help="bench/ of the build, where the programs are")
    add("--output", default="bench-results", metavar="DIR",
        help="for raw.jsonl, table.txt and index.html")
    add("--repeat", type=int, default=9, metavar="N", help="rounds")
    add("--minutes", type=float, default=240, metavar="M",
        help="begin no round that would not end by then")
    add("--seconds", type=float, default=0.3, metavar="S",
        help="for one run; what can be divided is divided")
    add("--quick", action="store_true", help="without the longest rows")
    add("--suite", default="", metavar="A,B", help="only these suites")
    add("--only", default="", metavar="1,2a", help="only these lines")
    add("--programs", default="", metavar="A,B", help="only these programs")
    add("--realtime", action="store_true",
        help="run in the real-time class, before all other work, if allowed")
    add("--about", action="append", default=[], metavar="TEXT",
        help="something to be told with the figures; may be repeated")
    add("--report", metavar="RAW", help="measure nothing: take old figures")
    add("--markdown", metavar="FILE",
        help="write the tables between the marks in this file, too")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.source = here
    return options


def chosen(words, name):
    return not words or name in words.split(",")


def machine():
    """What the figures were taken on."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    model = line.split(":", 1)[1].strip()
    except OSError:
        pass
    cpus = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (AttributeError, KeyError, OSError):
        system = "unknown"
    return [f"machine: {cpus} CPUs ({model}), {memory:.0f} GiB",
            f"system: {system}, {platform.system()} {platform.release()}"]


def prepare(programs, progress):
    """Build them.  Returns those that can be run."""
    ready = []
    for program in programs:
        progress.step(f"building {program.title} ({program.suite})")
        why = program.prepare()
        if why:
            progress.say(f"without {program.title} ({program.suite}): {why}")
        else:
            ready.append(program)
    return ready


def summary(programs):
    """Versions, as in `Go 1.2'."""
    found = {}
    for program in programs:
        if program.kind == "peer":
            found.setdefault(program.title, program.version)
    return "peers: " + ", ".join(f"{title} ({version})" if version else title
                                 for title, version in found.items())


def realtime(programs, progress):
    """Let the programs go before all other work on this machine.  Returns
    what is to be told of it."""
    prefix = ["chrt", "-f", "10"]
    if tables.call(prefix + ["true"])[0] != 0:
        progress.say("the real-time class is not allowed: going on without")
        return []
    for program in programs:
        program.run = prefix + program.run
    return ["class: real-time, before all other work"]


def run(lines, programs, options):
    """Measure, and return what was found and what to say of it."""
    progress = measure.Progress()
    programs = prepare(programs, progress)
    about = options.about + machine() + [
        "date: " + time.strftime("%-d %B %Y"), summary(programs)]
    if options.realtime:
        about += realtime(programs, progress)
    groups = measure.groups_of(lines, programs)
    raw = os.path.join(options.output, "raw.jsonl")
    with open(raw, "w", encoding="utf-8") as file:
        file.write(json.dumps({"about": about}) + "\n")
        progress.begin = time.monotonic()
        measure.calibrate(groups, options.seconds, progress)
        records = measure.measure(groups, options, file, progress)
    return records, about


def load(path):
    with open(path, encoding="utf-8") as file:
        first, *records = [json.loads(line) for line in file]
    return records, first["about"]


def disturbance(records):
    """How the figures came about."""
    rounds = 1 + max(record["round"] for record in records)
    others = [record["others"] for record in records]
    return (f"method: the median of {rounds} interleaved rounds, or of some "
            "of them where a run takes long; meanwhile other work took "
            f"{sum(others) / len(others):.2f} cores")


def report(lines, programs, records, about, options):
    found = figures.results(lines, records, programs)
    about = about + [disturbance(records)]
    failures = text.failures(figures.Figures(records), programs)
    plain = text.table(found)
    with open(os.path.join(options.output, "table.txt"), "w",
              encoding="utf-8") as file:
        file.write("\n".join(about + ["", plain, ""] + failures) + "\n")
    where = os.path.join(options.output, "index.html")
    with open(where, "w", encoding="utf-8") as file:
        file.write(page.page(found, about, failures))
    if options.markdown:
        text.write_markdown(options.markdown, found, about)
    print("\n".join([plain, ""] + failures + [f"The page: {where}"]))


def main():
    options = arguments()
    os.makedirs(options.output, exist_ok=True)
    lines = [line for line in tables.read_lines(options.source)
             if (line.quick or not options.quick)
             and chosen(options.only, line.number)
             and chosen(options.suite, line.suite)]
    programs = [program for program
                in tables.read_programs(options.source, options.build)
                if chosen(options.suite, program.suite)
                and chosen(options.programs, program.name)]
    if options.report:
        records, about = load(options.report)
    else:
        records, about = run(lines, programs, options)
    if not records:
        sys.exit("nothing was measured")
    report(lines, programs, records, about, options)


if __name__ == "__main__":
    main()
