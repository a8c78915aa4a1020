# SPDX-License-Identifier: MIT
"""What the records say: medians, spreads, and ratios.

A ratio is taken within each round, between runs that follow each other, and
then the median of all rounds, because the machine changes its pace."""

from statistics import median

OURS = "coloop"


class Spread:
    """The median of some values, the least and the greatest."""

    def __init__(self, values):
        self.median = median(values)
        self.least = min(values)
        self.most = max(values)
        self.count = len(values)


class Figures:
    """The values of all records: by program, row and metric, then round."""

    def __init__(self, records):
        self.values = {}
        self.failures = {}
        self.others = [record.get("others", 0) for record in records]
        for record in records:
            suite, program = record["suite"], record["program"]
            if "failure" in record:
                self.failures[suite, program, record["row"]] = \
                    record["failure"]
            for metric, value in record.get("metrics", {}).items():
                key = (suite, program, record["row"], metric)
                self.values.setdefault(key, {})[record["round"]] = value

    def spread(self, suite, program, row, metric):
        values = self.values.get((suite, program, row, metric))
        return Spread(list(values.values())) if values else None

    def ratio(self, suite, metric, program, row, to_program, to_row):
        """Of PROGRAM's ROW to TO_PROGRAM's TO_ROW, or None."""
        ours = self.values.get((suite, program, row, metric), {})
        theirs = self.values.get((suite, to_program, to_row, metric), {})
        ratios = [ours[number] / theirs[number]
                  for number in ours.keys() & theirs.keys()
                  if theirs[number] > 0]
        return Spread(ratios) if ratios else None


class Result:
    """A line of the tables with its figures."""

    def __init__(self, line, figures, programs):
        self.line = line
        self.figures = figures
        mine = [program for program in programs
                if program.suite == line.suite]
        self.spreads = {}
        for program in mine:
            spread = figures.spread(line.suite, program.name, line.row,
                                    line.metric)
            if spread is not None:
                self.spreads[program.name] = spread
        self.titles = {program.name: program.title for program in mine}
        self.ours = self.spreads.get(OURS)
        self.peers = [program.name for program in mine
                      if program.kind == "peer"
                      and program.name in self.spreads]
        self.best = self.best_peer()
        self.limit = self.find_limit()
        self.to_best = self.ratio_to(self.best, line.row)
        self.to_limit = self.ratio_to_limit()
        self.goals = [(goal, *self.check(goal)) for goal in line.goals]

    def best_peer(self):
        if not self.peers:
            return None
        choose = min if self.line.less_is_better else max
        return choose(self.peers, key=lambda name: self.spreads[name].median)

    def find_limit(self):
        line = self.line
        if line.limit_program is None:
            return None
        spread = self.figures.spread(line.suite, line.limit_program,
                                     line.limit_row, line.metric)
        return spread.median * line.limit_factor if spread else None

    def ratio_to(self, program, row):
        if program is None:
            return None
        return self.figures.ratio(self.line.suite, self.line.metric, OURS,
                                  self.line.row, program, row)

    def ratio_to_limit(self):
        line = self.line
        spread = self.ratio_to(line.limit_program, line.limit_row)
        if spread is not None:
            spread.median /= line.limit_factor
            spread.least /= line.limit_factor
            spread.most /= line.limit_factor
        return spread

    def check(self, goal):
        """What there is instead, and whether that meets the goal; None where
        nobody can tell."""
        line = self.line
        if goal.program is None:
            spread = self.figures.spread(line.suite, OURS, line.row,
                                         goal.metric)
        else:
            spread = self.figures.ratio(line.suite, goal.metric, OURS,
                                        line.row, goal.program, goal.row)
        if spread is None:
            return None, None
        return spread.median, goal.met_by(spread.median)

    def says(self, goal):
        """A goal as people read it."""
        words = [goal.metric] if goal.metric != self.line.metric else []
        words += ["at most" if goal.relation == "<=" else "at least",
                  f"{goal.number:g}"]
        if goal.program is not None:
            words += ["x", self.titles.get(goal.program, goal.program)]
        if goal.row != self.line.row:
            words.append(f"({goal.row})")
        return " ".join(words)


def results(lines, records, programs):
    """The lines of which there is any figure."""
    figures = Figures(records)
    every = [Result(line, figures, programs) for line in lines]
    return [result for result in every if result.spreads]
