# SPDX-License-Identifier: MIT
"""What the records say: medians, spreads, and ratios.

A ratio is taken within each round, between runs that follow each other, and
then the median of all rounds, because the machine changes its pace."""

from statistics import median

from tables import Term

OURS = "coloop"


class Spread:
    """The median of some values, the least and the greatest."""

    def __init__(self, values):
        self.median = median(values)
        self.least = min(values)
        self.most = max(values)
        self.count = len(values)


class Figures:
    """The values of all records: by what was run together, program, row and
    metric, and then by round."""

    def __init__(self, records):
        self.values = {}
        self.failures = {}
        for record in records:
            suite, program = record["suite"], record["program"]
            if "failure" in record:
                self.failures[suite, program, record["row"]] = \
                    record["failure"]
            for metric, value in record.get("metrics", {}).items():
                key = (suite, record["beside"], program, record["row"],
                       metric)
                self.values.setdefault(key, {})[record["round"]] = value

    def of(self, line, program, row, metric):
        """What PROGRAM's ROW took in each round when LINE's was run."""
        return self.values.get((line.suite, line.row, program, row, metric),
                               {})

    def spread(self, line, program, row, metric):
        values = self.of(line, program, row, metric)
        return Spread(list(values.values())) if values else None

    def ratio(self, line, metric, terms):
        """Of ours to the sum of TERMS, or None if one is unknown."""
        ours = self.of(line, OURS, line.row, metric)
        parts = [(term.factor, self.of(line, term.program, term.row, metric))
                 for term in terms]
        rounds = set(ours).intersection(*(values for _, values in parts))
        sums = {number: sum(factor * values[number]
                            for factor, values in parts)
                for number in rounds}
        ratios = [ours[number] / total for number, total in sums.items()
                  if total > 0]
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
            spread = figures.spread(line, program.name, line.row, line.metric)
            if spread is not None:
                self.spreads[program.name] = spread
        self.titles = {program.name: program.title for program in mine}
        self.ours = self.spreads.get(OURS)
        self.peers = [program.name for program in mine
                      if program.kind == "peer"
                      and program.name in self.spreads]
        self.best = self.best_peer()
        self.limit = self.find_limit()
        self.to_best = self.ratio_to(Term(1, self.best, line.row))
        self.to_limit = self.ratio_to(line.limit)
        self.goals = [(goal, *self.check(goal)) for goal in line.goals]

    def best_peer(self):
        if not self.peers:
            return None
        choose = min if self.line.less_is_better else max
        return choose(self.peers, key=lambda name: self.spreads[name].median)

    def find_limit(self):
        limit = self.line.limit
        if limit is None:
            return None
        spread = self.figures.spread(self.line, limit.program, limit.row,
                                     self.line.metric)
        return spread.median * limit.factor if spread else None

    def ratio_to(self, term):
        if term is None or term.program is None:
            return None
        return self.figures.ratio(self.line, self.line.metric, [term])

    def check(self, goal):
        """What stands against the goal's bound, and whether that will do;
        None where nobody can tell."""
        if goal.constant:
            spread = self.figures.spread(self.line, OURS, self.line.row,
                                         goal.metric)
            scale = 1
        else:
            spread = self.figures.ratio(self.line, goal.metric, goal.terms)
            scale = goal.bound
        if spread is None:
            return None, None
        value = spread.median * scale
        return value, goal.met_by(value)


def results(lines, records, programs):
    """The lines of which there is any figure."""
    figures = Figures(records)
    every = [Result(line, figures, programs) for line in lines]
    return [result for result in every if result.spreads]
