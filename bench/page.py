# SPDX-License-Identifier: MIT
"""The results as one page of HTML, which needs nothing from elsewhere.

Its charts are SVG with widths in per cent and heights and letters in pixels,
so that they fit a phone as well as a desk."""

import math
from html import escape

from figures import OURS
import text

STYLE = """
:root {
	color-scheme: light dark;
	--page: #f6f5f1; --card: #ffffff; --ink: #1c2430; --soft: #5d6878;
	--rule: #e3e1da; --ours: #0a7d76; --peer: #c3cad4; --best: #8b97a8;
	--limit: #c98a12; --good: #0a7d76; --bad: #b4532a; --tint: #e4f2f0;
	--warm: #f8ebe3;
}
@media (prefers-color-scheme: dark) {
	:root {
		--page: #11151b; --card: #191f28; --ink: #e7ebf1;
		--soft: #98a4b5; --rule: #2a323e; --ours: #2fc3b2;
		--peer: #3d4856; --best: #66758a; --limit: #e5ad3c;
		--good: #2fc3b2; --bad: #ee9468; --tint: #14312f;
		--warm: #3a2419;
	}
}
* { box-sizing: border-box; }
body {
	margin: 0; background: var(--page); color: var(--ink);
	font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 80rem; margin: 0 auto; padding: 2.5rem 1.1rem 4rem; }
h1 { font-size: 2.3rem; line-height: 1.1; margin: 0 0 .6rem;
	letter-spacing: -.02em; }
h1 em { font-style: normal; color: var(--ours); }
h2 { font-size: 1.35rem; margin: 3rem 0 1rem; letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0 0 .8rem; max-width: 46rem; }
.lead { font-size: 1.15rem; }
.soft, .means { color: var(--soft); }
.means { font-size: .9rem; margin: .15rem 0 .9rem; }
.grid { display: grid; gap: 1rem;
	grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--rule);
	border-radius: 12px; padding: 1.1rem 1.2rem; min-width: 0;
	display: flex; flex-direction: column; }
.card svg { margin-top: auto; }
.figure { font-size: 1.7rem; font-weight: 650; color: var(--ours);
	letter-spacing: -.02em; margin: .1rem 0 0;
	font-variant-numeric: tabular-nums; }
.figure small { font-size: .85rem; font-weight: 400; letter-spacing: 0;
	color: var(--soft); }
.tiles { display: grid; gap: .7rem; margin: 1.6rem 0 0;
	grid-template-columns: repeat(3, 1fr); }
.tile { background: var(--card); border: 1px solid var(--rule);
	border-radius: 12px; padding: .8rem .9rem; line-height: 1.35; }
.tile b { display: block; font-size: 1.9rem; line-height: 1.2;
	letter-spacing: -.02em; }
.tile small { font-size: .6em; font-weight: 400; letter-spacing: 0;
	color: var(--soft); }
.tile span { color: var(--soft); font-size: .9rem; }
svg { display: block; width: 100%; overflow: visible; }
svg text { font-size: 12.5px; fill: var(--ink);
	font-variant-numeric: tabular-nums; }
svg .quiet { fill: var(--soft); }
svg .strong { font-weight: 650; }
svg .group { font-weight: 600; letter-spacing: .02em; }
.ours { fill: var(--ours); } .peer { fill: var(--peer); }
.best { fill: var(--best); } .slower { fill: var(--bad); }
.axis { stroke: var(--rule); }
.limit { stroke: var(--limit); stroke-width: 2; }
.whisker { stroke: var(--ink); stroke-opacity: .55; }
svg .limit-text { fill: var(--limit); }
svg text.ours { fill: var(--ours); } svg text.slower { fill: var(--bad); }
.goals { list-style: none; margin: .9rem 0 0; padding: 0; display: flex;
	flex-wrap: wrap; gap: .4rem; font-size: .8rem; }
.goals li { padding: .1rem .6rem; border-radius: .75rem; }
.met { background: var(--tint); color: var(--good); }
.missed { background: var(--warm); color: var(--bad); }
.open { border: 1px solid var(--rule); color: var(--soft); }
details { margin: .7rem 0 0; }
summary { cursor: pointer; }
details ul { margin: .6rem 0 0; padding-left: 1.2rem; font-size: .9rem;
	columns: 26rem; }
details b { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem;
	font-size: .9rem; color: var(--soft); margin: 0 0 1rem; padding: 0;
	list-style: none; }
.legend i { display: inline-block; width: 1rem; height: .65rem;
	border-radius: 3px; margin-right: .4rem; background: var(--peer); }
.legend .l-ours i { background: var(--ours); }
.legend .l-best i { background: var(--best); }
.legend .l-limit i { width: 2px; height: .9rem; border-radius: 0;
	background: var(--limit); vertical-align: -.1rem; }
.legend .l-slower i { background: var(--bad); }
.wide { overflow-x: auto; background: var(--card);
	border: 1px solid var(--rule); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem;
	font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .45rem; text-align: right; white-space: nowrap;
	border-bottom: 1px solid var(--rule); }
tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 500; white-space: normal;
	vertical-align: bottom; line-height: 1.2; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
td:nth-child(2) { white-space: normal; min-width: 11rem; }
td small { display: block; color: var(--soft); font-size: .75rem;
	font-weight: 400; line-height: 1.1; }
.wide + .wide { margin-top: 1rem; }
td.won { color: var(--ours); font-weight: 650; }
td.yes { color: var(--good); } td.no { color: var(--bad); }
td.text { white-space: normal; text-align: left; min-width: 14rem; }
footer { margin-top: 3rem; font-size: .9rem; color: var(--soft); }
footer li { margin: .2rem 0; }
footer ul { padding-left: 1.1rem; }
"""

LINE = 38		# pixels of a bar with its label
HEADING = 36		# and of a heading above some of them
CLIP = 10		# a bar that is as often as long as ours is cut


def percent(part):
    return f"{100 * part:.2f}%"


def svg(height, label, parts):
    return (f'<svg height="{height}" role="img" aria-label="{escape(label)}">'
            + "".join(parts) + "</svg>")


def label(y, left, right, kind="", right_kind=None):
    right_kind = kind if right_kind is None else right_kind
    return (f'<text x="0" y="{y}" class="{kind}">{escape(left)}</text>'
            f'<text x="100%" y="{y}" text-anchor="end" class="{right_kind}">'
            f'{escape(right)}</text>')


# --- How far from the best peer ----------------------------------------------

def advantage(result):
    """How many times better than the best peer: 1 is as good."""
    if result.to_best is None or result.to_best.median <= 0:
        return None
    if result.line.less_is_better:
        return 1 / result.to_best.median
    return result.to_best.median


def advantage_text(result, times):
    """In few words, and in many."""
    peer = result.titles[result.best]
    if 0.98 < times < 1.02:
        return f"= {peer}", f"as good as {peer}"
    if times > 1:
        factor = text.number(times)
        return (f"\u25b2 {factor}\u00d7 {peer}",
                f"{factor} times better than {peer}")
    factor = text.number(1 / times)
    return (f"\u25bc {factor}\u00d7 {peer}",
            f"{peer} is {factor} times better")


def overview(results):
    shown = [(result, advantage(result)) for result in results]
    shown = [(result, times) for result, times in shown
             if times is not None and result.line.chart]
    if not shown:
        return ""
    reach = max(1.0, min(5.0, max(abs(math.log2(times))
                                  for _, times in shown)))
    parts = []
    y = group = 0
    for result, times in shown:
        if result.line.group != group:
            group = result.line.group
            parts.append(f'<text x="0" y="{y + 24}" class="quiet group">'
                         f"{escape(group)}</text>")
            y += HEADING
        share = max(-1.0, min(1.0, math.log2(times) / reach)) / 2
        x = 0.5 if share >= 0 else 0.5 + share
        kind = "ours" if share >= 0 else "slower"
        short, tip = advantage_text(result, times)
        parts.append(f"<g><title>{escape(tip)}</title>"
                     + label(y + 14, result.line.title, short, "",
                             f"{kind} strong") + "</g>")
        parts.append(
            f'<line x1="50%" x2="50%" y1="{y + 17}" y2="{y + 33}" '
            f'class="whisker"/><rect x="{percent(x)}" y="{y + 20}" height="10" rx="2" '
            f'width="{percent(max(abs(share), .002))}" class="{kind}"/>')
        y += LINE
    return (
        "<h2>coloop and the best peer of each row</h2>"
        '<ul class="legend"><li class="l-ours"><i></i>coloop is better</li>'
        '<li class="l-slower"><i></i>the peer is better</li>'
        "<li>The scale is logarithmic; the line is the best peer.</li></ul>"
        '<div class="card">'
        + svg(y + 4, "coloop in relation to the best peer", parts)
        + "</div>")


# --- A card for each row -----------------------------------------------------

def reach_of(result, names):
    """What the whole width of a chart stands for."""
    most = max(result.spreads[name].median for name in names)
    most = max(most, result.limit or 0)
    if result.ours and result.line.less_is_better:
        shortest = max(result.ours.median, result.limit or 0)
        most = min(most, CLIP * shortest) if shortest > 0 else most
    return most or 1.0


def bar(result, name, y, reach):
    spread = result.spreads[name]
    unit = result.line.unit
    kind = ("ours" if name == OURS
            else "best" if name == result.best else "peer")
    part = min(1.0, spread.median / reach)
    cut = spread.median > reach * 1.001
    value = text.human(spread.median, unit) + (" \u2192" if cut else "")
    tip = (f"{result.titles[name]}: {text.human(spread.least, unit)} to "
           f"{text.human(spread.most, unit)}, {spread.count} runs")
    parts = [f"<g><title>{escape(tip)}</title>",
             label(y + 14, result.titles[name], value,
                   "strong" if name == OURS else ""),
             f'<rect x="0" y="{y + 20}" height="11" rx="2.5" '
             f'width="{percent(max(part, .004))}" class="{kind}"/>']
    if not cut:
        least, most = spread.least / reach, min(1.0, spread.most / reach)
        parts.append(f'<line x1="{percent(least)}" x2="{percent(most)}" '
                     f'y1="{y + 25.5}" y2="{y + 25.5}" class="whisker"/>')
    return "".join(parts + ["</g>"])


def chart(result):
    names = ([OURS] if result.ours else []) + sorted(
        result.peers, key=lambda name: result.spreads[name].median,
        reverse=not result.line.less_is_better)
    if not names:
        return ""
    reach = reach_of(result, names)
    height = LINE * len(names)
    parts = [bar(result, name, i * LINE, reach)
             for i, name in enumerate(names)]
    if result.limit is not None:
        x = percent(min(1.0, result.limit / reach))
        parts += [f'<line x1="{x}" x2="{x}" y1="{i * LINE + 17}" '
                  f'y2="{i * LINE + 34}" class="limit"/>'
                  for i in range(len(names))]
        parts.append(
            f'<text x="0" y="{height + 18}" class="limit-text">limit '
            f'{escape(text.human(result.limit, result.line.unit))}</text>')
        height += 24
    return svg(height, result.line.title, parts)


def goal_item(result, goal, value, met):
    if met is None:
        return (f'<li class="open">{escape(text.says(result, goal))}: '
                "not measured</li>")
    kind, mark = ("met", "\u2713") if met else ("missed", "\u2717")
    return (f'<li class="{kind}">{mark} {escape(text.says(result, goal))}: '
            f"{text.found(result, goal, value)}</li>")


def card(result):
    line = result.line
    parts = [f'<section class="card"><h3>{escape(line.title)}</h3>']
    if result.ours:
        parts.append(f'<p class="figure">'
                     f'{escape(text.human(result.ours.median, line.unit))} '
                     "<small>coloop</small></p>")
    parts.append(f'<p class="means">{escape(line.means)}</p>')
    parts.append(chart(result))
    if result.goals:
        items = [goal_item(result, *entry) for entry in result.goals]
        parts.append(f'<ul class="goals">{"".join(items)}</ul>')
    return "".join(parts + ["</section>"])


def cards(results):
    parts = []
    for group in dict.fromkeys(result.line.group for result in results):
        mine = [card(result) for result in results
                if result.line.group == group and result.line.chart]
        parts.append(f"<h2>{escape(group)}</h2>"
                     f'<div class="grid">{"".join(mine)}</div>')
    return "".join(parts)


def missed(results):
    """All goals that aren't met, for who looks for them."""
    items = [f"<li><b>{escape(result.line.title)}</b> "
             f"{escape(text.says(result, goal))}: {text.found(result, goal, value)}</li>"
             for result in results for goal, value, met in result.goals
             if met is False]
    if not items:
        return ""
    return (f'<details class="card"><summary>{len(items)} goals that are not '
            f'met</summary><ul>{"".join(items)}</ul></details>')


# --- Tables ------------------------------------------------------------------

def with_spread(spread):
    if spread is None:
        return ""
    return (f"{text.number(spread.median)}<small>{text.number(spread.least)}"
            f"\u2013{text.number(spread.most)}</small>")


def table(results):
    """Of one suite, for each has peers of its own."""
    peers = text.peers_of(results)
    headings = ["", "", "", "limit", "coloop", "to the limit",
                "to the best", "goals", *peers.values()]
    rows = ["<tr>" + "".join(f"<th>{escape(heading)}</th>"
                             for heading in headings) + "</tr>"]
    for result in results:
        times = advantage(result)
        won = ' class="won"' if times is not None and times >= 1 else ""
        limit = "" if result.limit is None else text.number(result.limit)
        verdict = text.verdict(result)
        parts = [f"<td>{escape(result.line.number)}</td>",
                 f"<td>{escape(result.line.title)}</td>",
                 f'<td class="soft">{escape(result.line.unit)}</td>',
                 f"<td>{limit}</td>",
                 f"<td{won}>{with_spread(result.ours)}</td>",
                 f"<td>{text.ratio(result.to_limit)}</td>",
                 f"<td{won}>{text.ratio(result.to_best)}</td>",
                 f'<td class="{verdict}">{verdict}</td>']
        for name in peers:
            spread = result.spreads.get(name)
            value = text.number(spread.median) if spread else ""
            parts.append(f"<td>{value}</td>")
        rows.append("<tr>" + "".join(parts) + "</tr>")
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def all_tables(results):
    suites = dict.fromkeys(result.line.suite for result in results)
    return "".join(table([result for result in results
                          if result.line.suite == suite])
                   for suite in suites)


def machine_table(results):
    rows = []
    for result in results:
        for spread in result.spreads.values():
            value = text.human(spread.median, result.line.unit)
            rows.append(
                f"<tr><td>{escape(result.line.title)}</td>"
                f"<td><b>{escape(value)}</b></td>"
                f"<td>{text.number(spread.least)}-"
                f"{text.number(spread.most)}</td>"
                f'<td class="text soft">{escape(result.line.means)}</td></tr>')
    if not rows:
        return ""
    return ("<h2>What this machine can do</h2><p class=\"soft\">No scheduler "
            "can be faster than what it stands on.</p>"
            f'<div class="wide"><table>{"".join(rows)}</table></div>')


# --- The page ----------------------------------------------------------------

def tile(count, whole, words):
    return (f'<div class="tile"><b>{count}<small> of {whole}'
            f"</small></b><span>{escape(words)}</span></div>")


def tiles(results):
    compared = [advantage(result) for result in results]
    compared = [times for times in compared if times is not None]
    goals = [met for result in results for _, _, met in result.goals
             if met is not None]
    near = [result for result in results if result.to_limit is not None]
    return ('<div class="tiles">'
            + tile(sum(times >= 0.98 for times in compared), len(compared),
                   "rows: as good as the best peer, or better")
            + tile(sum(goals), len(goals), "goals met")
            + tile(sum(result.to_limit.median <= 2 for result in near),
                   len(near), "rows: within twice the limit")
            + "</div>")


LEGEND = """<ul class="legend"><li class="l-ours"><i></i>coloop</li>
<li class="l-best"><i></i>the best peer</li><li><i></i>other peers</li>
<li class="l-limit"><i></i>the limit: what is left if nothing else is done</li>
<li>thin line: from the least to the greatest value</li>
<li>arrow: the bar is longer than there is room</li></ul>"""


def page(results, about, failures):
    compared, machine = text.ours_first(results)
    where = ", ".join(line.split(": ", 1)[1] for line in about
                      if line.startswith(("machine: ", "date: ")))
    notes = "".join(f"<li>{escape(line)}</li>" for line in about + failures)
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>coloop: benchmarks</title>
<style>{STYLE}</style>
<main>
<h1><em>coloop</em> in figures</h1>
<p class="lead">What its operations cost, beside the same work in other
runtimes and beside the least that the machine allows.</p>
<p class="soft">{escape(where)}</p>
{tiles(compared)}
{missed(compared)}
{overview(compared)}
<h2>How to read the charts</h2>
<p>Each bar is the median of runs that took turns, so that what disturbed the
machine for a while disturbed all alike. Shorter is better unless it says
otherwise; ratios are taken between runs that followed each other.</p>
{LEGEND}
{cards(compared)}
<h2>All figures</h2>
{all_tables(compared)}
{machine_table(machine)}
<footer><h2>How they were taken</h2><ul>{notes}</ul></footer>
</main>
</html>
"""
