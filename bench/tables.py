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


class Term:
    """So many times what PROGRAM's ROW took; without a program, a number."""

    def __init__(self, factor, program, row):
        self.factor = factor
        self.program = program
        self.row = row


class Goal:
    """METRIC <= NUMBER, or METRIC <= NUMBER PROGRAM [ROW] and more of these
    after + or -; or >= instead."""

    def __init__(self, text, row):
        self.metric, self.relation, *words = text.split()
        if self.relation not in ("<=", ">="):
            raise ValueError("not a goal: " + text)
        self.terms = []
        sign = 1
        while words:
            count = next((i for i, word in enumerate(words) if word in "+-"),
                         len(words))
            number, program, other = (words[:count] + [None, None])[:3]
            self.terms.append(Term(sign * float(number), program,
                                   other or row))
            sign = -1 if words[count:count + 1] == ["-"] else 1
            words = words[count + 1:]
        self.constant = self.terms[0].program is None
        # A sum has no one factor to be shown beside: once its value will do.
        self.bound = self.terms[0].factor if len(self.terms) == 1 else 1

    def met_by(self, value):
        if self.relation == "<=":
            return value <= self.bound
        return value >= self.bound


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
        self.traced = section.getboolean("traced", False)
        self.rounds = section.getint("rounds", 0)
        self.quick = section.getboolean("quick", True)
        self.chart = section.getboolean("chart", True)
        self.goals = [Goal(text, self.row)
                      for text in section.get("goal", "").splitlines()
                      if text.strip()]
        limit = section.get("limit", "limit").split() + [None, None]
        self.limit = None
        if limit[0] != "none":
            self.limit = Term(float(limit[2] or 1), limit[0],
                              limit[1] or self.row)

    def beside(self):
        """The rows of programs that are to be run beside this one, besides
        the same row of each."""
        terms = [term for goal in self.goals for term in goal.terms]
        terms += [self.limit] if self.limit else []
        return {(term.program, term.row) for term in terms if term.program}


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
