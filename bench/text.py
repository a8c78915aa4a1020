# SPDX-License-Identifier: MIT
"""The tables as text: for a terminal, and as Markdown for the manual."""

import re

BEGIN = "<!-- figures: bench/run.py --markdown writes what is between -->"
END = "<!-- end of the figures -->"


def number(value, unit=""):
    """Three digits that count, and the unit."""
    if abs(value) < 0.01:
        text = f"{value:.5f}".rstrip("0").rstrip(".")
    elif abs(value) >= 100:
        text = f"{value:,.0f}"
    elif abs(value) >= 10:
        text = f"{value:.1f}"
    else:
        text = f"{value:.2f}"
    return f"{text} {unit}".strip()


MICROSECONDS = "\u00b5s"

# What people call a metric, where a goal is not about that of its line.
NAMES = {"cores": "cores busy", "cpu_ns": "CPU time", "early": "too early",
         "elsewhere": "part that another thread ran",
         "in_vain": "reads in vain", "page_table_bytes": "page tables",
         "page_tables": "page tables", "rss": "memory",
         "wakeups": "wake-ups"}

STEPS = {"ns": (1000, ["ns", "us", "ms", "s"]),
         "us": (1000, ["us", "ms", "s"]),
         "s": (1000, ["s"]),
         "B": (1024, ["B", "KiB", "MiB"])}


def human(value, unit):
    """The same in the unit in which it is easiest to read."""
    step, units = STEPS.get(unit, (1, [unit]))
    while len(units) > 1 and abs(value) >= 10 * step:
        value /= step
        units = units[1:]
    return number(value, units[0].replace("us", MICROSECONDS))


def ratio(spread):
    return f"{spread.median:.2f}" if spread else ""


def verdict(result):
    """yes, no, or nothing if there is no goal that can be looked at."""
    known = [met for _, _, met in result.goals if met is not None]
    if not known:
        return ""
    return "yes" if all(known) else "no"


def unit_of(result, goal):
    """The unit of a goal's figures, which is known of its line's metric."""
    return result.line.unit if goal.metric == result.line.metric else ""


def says_term(result, goal, term):
    if term.program is None:
        unit = unit_of(result, goal).replace("us", MICROSECONDS)
        return f"{term.factor:,g} {unit}".strip()
    title = result.titles.get(term.program, term.program)
    row = "" if term.row == result.line.row else f" ({term.row})"
    factor = abs(term.factor)
    if factor == 1 and len(goal.terms) > 1:
        return title + row
    return f"{factor:g} \u00d7 {title}{row}"


def says(result, goal):
    """A goal as people read it."""
    words = []
    if goal.metric != result.line.metric:
        words.append(NAMES.get(goal.metric, goal.metric) + ":")
    words.append("at most" if goal.relation == "<=" else "at least")
    for i, term in enumerate(goal.terms):
        if i > 0:
            words.append("+" if term.factor > 0 else "\u2212")
        words.append(says_term(result, goal, term))
    return " ".join(words)


def found(result, goal, value):
    """What stands against a goal."""
    if goal.constant:
        return human(value, unit_of(result, goal))
    return number(value) + ("" if len(goal.terms) == 1 else " times that")


def cells(result):
    """What stands in a line, as text."""
    unit = result.line.unit
    ours = result.ours
    best = result.best
    return [
        result.line.number,
        result.line.title,
        number(ours.median, unit) if ours else "",
        f"{number(ours.least)}-{number(ours.most)}" if ours else "",
        number(result.limit, unit) if result.limit is not None else "",
        ratio(result.to_limit),
        f"{result.titles[best]} {number(result.spreads[best].median)}"
        if best else "",
        ratio(result.to_best),
        verdict(result),
    ]


HEADINGS = ["", "", "coloop", "min-max", "limit", "to it", "best peer",
            "to it", "goal met"]


def ours_first(results):
    """The comparisons, and then what is a property of the machine."""
    return ([result for result in results if result.ours],
            [result for result in results if not result.ours])


def table(results):
    """For a terminal."""
    compared, machine = ours_first(results)
    lines = [HEADINGS] + [cells(result) for result in compared]
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(HEADINGS))]
    text = []
    for line in lines:
        text.append("  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    text.append("")
    for result in machine:
        for spread in result.spreads.values():
            value = number(spread.median, result.line.unit)
            text.append(f"{result.line.title:40} {value:>14}")
    return "\n".join(text)


def row_of(words):
    return "| " + " | ".join(words) + " |"


def peers_of(results):
    names = {}
    for result in results:
        for name in result.peers:
            names[name] = result.titles[name]
    return names


def markdown_table(results):
    peers = peers_of(results)
    headings = ["", "", "unit", "limit", "coloop", "min-max",
                *peers.values(), "to the limit", "to the best peer",
                "goal met"]
    text = [row_of(headings),
            row_of(["---", "---", "---"] + ["---:"] * (len(headings) - 3))]
    for result in results:
        cell = cells(result)
        text.append(row_of(
            [cell[0], cell[1], result.line.unit,
             number(result.limit) if result.limit is not None else "",
             number(result.ours.median), cell[3]]
            + [number(result.spreads[name].median)
               if name in result.spreads else "" for name in peers]
            + [cell[5], cell[7], cell[8]]))
    return text


def markdown(results, about):
    compared, machine = ours_first(results)
    text = [BEGIN, ""] + [f"- {line}" for line in about] + [""]
    for suite in dict.fromkeys(result.line.suite for result in compared):
        text += markdown_table([result for result in compared
                                if result.line.suite == suite]) + [""]
    if machine:
        text += [row_of(["what this machine can do", "", "min-max"]),
                 row_of(["---", "---:", "---:"])]
    for result in machine:
        for spread in result.spreads.values():
            text.append(row_of([
                result.line.title, number(spread.median, result.line.unit),
                f"{number(spread.least)}-{number(spread.most)}"]))
    return "\n".join(text + ["", END])


def write_markdown(path, results, about):
    """Put the tables between the two marks in the file PATH."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if not between.search(text):
        raise SystemExit(f"{path}: it lacks the marks around the figures")
    text = between.sub(lambda _: markdown(results, about), text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def failures(figures, programs):
    """What could not be measured."""
    titles = {(program.suite, program.name): program.title
              for program in programs}
    return [f"{titles.get((suite, name), name)}, {row}: {why}"
            for (suite, name, row), why in figures.failures.items()]
