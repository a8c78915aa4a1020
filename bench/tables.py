# SPDX-License-Identifier: MIT
"""What is measured: the tables rows.ini and programs.ini, and the peers that
can be built here."""

import configparser
import os
import shlex
import subprocess


class Program:
    """A program of a suite, such as Go's of `micro'."""

    def __init__(self, suite, name, section, where):
        self.suite = suite
        self.name = name
        self.title = section.get("title", name)
        self.kind = section.get("kind", "peer")
        self.needs = section.get("needs", "")
        self.out = os.path.join(where["build"], "peers", f"{suite}-{name}")
        self.words = dict(where, out=self.out)
        self.probe = self.command(section.get("probe", ""))
        self.build_command = self.command(section.get("build", ""))
        self.run = self.command(section.get("run", "{out}"))
        self.version = ""
        self.rows = []

    def command(self, text):
        return [word.format(**self.words) for word in shlex.split(text)]

    def prepare(self):
        """Build it and ask for its rows.  Returns why that can't be, or ""."""
        missing = f"it needs {self.needs}" if self.needs else "it isn't built"
        if self.probe:
            status, output = call(self.probe)
            if status != 0:
                return missing
            self.version = (output.strip().splitlines() or [""])[0].strip('" ')
        if self.build_command:
            os.makedirs(os.path.dirname(self.out), exist_ok=True)
            status, output = call(self.build_command)
            if status != 0:
                return "it can't be built:\n" + output
        status, output = call(self.run + ["--list"])
        if status != 0:
            return missing
        self.rows = output.split()
        return ""


def call(command):
    """Run a command; its exit status and all that it wrote."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout


class Goal:
    """METRIC <= NUMBER [PROGRAM [ROW]], or >= instead."""

    def __init__(self, text, row):
        words = text.split() + [None, None]
        self.text = text
        self.metric, self.relation = words[0], words[1]
        self.number = float(words[2])
        self.program = words[3]
        self.row = words[4] or row
        if self.relation not in ("<=", ">="):
            raise ValueError("not a goal: " + text)

    def met_by(self, value):
        if self.relation == "<=":
            return value <= self.number
        return value >= self.number


class Line:
    """A line of the tables: one metric of a row."""

    def __init__(self, number, section):
        self.number = number
        self.group = section.get("group", "")
        self.title = section["title"]
        self.means = section.get("means", "")
        self.suite = section.get("suite", "micro")
        self.row = section["row"]
        self.metric = section.get("metric", "wall_ns")
        self.unit = section.get("unit", "ns")
        self.less_is_better = section.get("better", "less") == "less"
        self.fixed = section.getboolean("fixed", False)
        self.quick = section.getboolean("quick", True)
        self.chart = section.getboolean("chart", True)
        self.goals = [Goal(text, self.row)
                      for text in section.get("goal", "").splitlines()
                      if text.strip()]
        limit = (section.get("limit", "limit").split() + [None, None])[:3]
        self.limit_program = None if limit[0] == "none" else limit[0]
        self.limit_row = limit[1] or self.row
        self.limit_factor = float(limit[2] or 1)


def read(path):
    parser = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    return parser


def read_lines(source):
    parser = read(os.path.join(source, "rows.ini"))
    return [Line(name, parser[name]) for name in parser.sections()]


def read_programs(source, build):
    where = {"source": source, "build": build}
    parser = read(os.path.join(source, "programs.ini"))
    return [Program(*name.split(), parser[name], where)
            for name in parser.sections()]
