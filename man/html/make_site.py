# SPDX-License-Identifier: MIT
"""The manual as a small site, which needs nothing from elsewhere.

mandoc(1) makes HTML of each page; here it gets links, a frame, and an index
with a search.  The groups of the pages are those of the map in coloop(7)."""

import argparse
import json
import re
import shutil
import string
import subprocess
import sys
from html import escape, unescape
from pathlib import Path

from marks import highlight

HERE = Path(__file__).resolve().parent
OVERVIEW = 'coloop.7'
ELSEWHERE = 'https://manpages.debian.org/'
TAG = re.compile(r'(<[^>]+>)')


def text_of(html):
    """What a reader sees of HTML, on one line."""
    return ' '.join(unescape(TAG.sub('', html)).split())


def take_programs(source):
    """SOURCE with a mark in the place of each program, whose lines and blanks
    mandoc would not keep, and the programs as HTML."""
    programs = []

    def take(match):
        code = escape(match[1].rstrip('\n'), quote=False)
        code = re.sub(r'\\fB(.*?)\\f[PR]', r'<b>\1</b>', code)
        for escaped, plain in (('\\-', '-'), ('\\(aq', "'"), ('\\(ti', '~'),
                               ('\\(ha', '^'), ('\\(ga', '`'),
                               ('\\&', ''), ('\\e', '\\')):
            code = code.replace(escaped, plain)
        programs.append(code)
        return f'.EX\n@program {len(programs) - 1}@\n.EE\n'

    return re.sub(r'^\.EX\n(.*?)^\.EE\n', take, source,
                  flags=re.M | re.S), programs


class Page:
    """A manual page: what it is about, and its text as HTML."""

    def __init__(self, path, mandoc):
        self.key = path.name
        self.name, self.section = path.name.rsplit('.', 1)
        self.file = self.key + '.html'
        self.source = path.read_text(encoding='utf-8')
        head = re.search(r'^\.SH NAME\n(.*?)^\.SH', self.source, re.M | re.S)
        names, self.about = head[1].split('\\- ')
        self.names = names.replace(',', ' ').split()
        self.about = ' '.join(self.about.split())
        text, programs = take_programs(self.source)
        run = subprocess.run([mandoc, '-Thtml', '-Ofragment'], input=text,
                             check=True, capture_output=True,
                             encoding='utf-8')
        self.body = re.sub(r'@program (\d+)@\s*',
                           lambda match: programs[int(match[1])],
                           tidy(run.stdout))
        self.callable = [name for name in self.names
                         if f'<b>{name}</b>(' in self.body]

    @property
    def title(self):
        return f'{self.name}({self.section})'


def tidy(html):
    """The text of a page without what the frame has, and with headings below
    that of the page."""
    html = re.sub(r'<table class="(head|foot)">.*?</table>', '', html,
                  flags=re.S)
    html = re.sub(r'<section class="Sh">\s*<h1 class="Sh" id="NAME">.*?'
                  r'</section>', '', html, count=1, flags=re.S)
    html = re.sub(r'<(/?)h2', r'<\1h3', html)
    html = re.sub(r'<(/?)h1', r'<\1h2', html)
    html = re.sub(r'<br/>\s*', '', html)
    html = re.sub(r'<p class="Pp">\s*</p>\s*', '', html)
    html = re.sub(r'</pre>\s*<pre>', '\n\n', html)
    html = re.sub(r'<b>(-E\w+)</b>', r'<b class="error">\1</b>', html)
    html = re.sub(r'<table class="tbl" [^>]*>', '<table class="box">', html)
    html = re.sub(r'<table class="(?:box|tbl)">.*?</table>', table, html,
                  flags=re.S)
    return re.sub(r'</b>(\s*)<b>', r'\1', html).strip()


def table(match):
    """A table that scrolls by itself, with its first line as its head if it is
    set off from the others."""
    html = match[0]
    if '"box"' in html or 'border-bottom-style' in html:
        head, rest = html.split('</tr>', 1)
        head = head.replace('<td>', '<th scope="col">').replace('/td>', '/th>')
        html = head + '</tr>' + rest
    html = re.sub(r' style="[^"]*"', '', html)
    return ('<div class="wide" role="region" aria-label="Table" tabindex="0">'
            f'{html}</div>')


# --- Places ----------------------------------------------------------------


def anchor(page, name):
    """Give the place on PAGE where NAME is described an id: where a paragraph
    or a sentence of the description begins with it, or else the first that
    there is.  Returns what is said there."""
    start = page.body.index('id="DESCRIPTION"')
    end = page.body.index('<h2', start)
    mark = f'<b>{re.escape(name)}</b>'
    found = None
    for pattern in (rf'<p class="Pp">\s*{mark}', rf'[.:]\s+{mark}', mark):
        found = found or re.compile(pattern).search(page.body, start, end)
    found = found or re.compile(mark).search(page.body, start)
    at = page.body.index('<b>', found.start())
    page.body = f'{page.body[:at]}<b id="{name}">{page.body[at + 3:]}'
    return sentence(page.body[at:], name)


def sentence(html, name):
    """The first sentence of HTML, which begins with NAME, without that."""
    said = text_of(re.split(r'</(?:p|dd|td|dt|li)>', html, maxsplit=1)[0])
    said = re.split(r'(?<=\.)\s', said, maxsplit=1)[0].rstrip('.:')
    return re.sub(rf'^{re.escape(name)}(\([^)]*\))?,?\s*', '', said)


def find_places(pages):
    """Where each name is described: {name: (page, what is said)}."""
    places = {}
    for page in pages:
        for name in page.callable:
            places[name] = page, anchor(page, name) or page.about
    # Types, constants and variables, at home on the pages of functions.
    for page in sorted(pages, key=lambda page: page.section):
        for name in re.findall(r'<b>((?:struct co_|CO_|COLOOP_)\w+)</b>',
                               page.body):
            word = name.replace('struct ', '')
            if word in places:
                continue
            if f'id="{word}"' not in page.body:
                page.body = page.body.replace(
                    f'<b>{name}</b>', f'<b id="{word}">{name}</b>', 1)
            places[word] = page, f'{page.title}: {page.about}'
    return places


class Links:
    """Turns names in the text of a page into links."""

    def __init__(self, pages, places):
        self.places = places
        self.names = {name: page for page in pages for name in page.names}

    def place(self, page, name):
        """The address of what NAME is about, seen from PAGE, or None."""
        if name in self.places:
            home = self.places[name][0]
            return (home.file if home is not page else '') + '#' + name
        home = self.names.get(name)
        return home.file if home and home is not page else None

    def reference(self, page, name, section):
        """The address of the page NAME(SECTION), or None."""
        if name in self.names:
            return self.place(page, name)
        if name.startswith(('co_', 'coloop')):
            return None
        return f'{ELSEWHERE}{name}.{section}'

    def apply(self, page):
        def bold(match):
            name, after = match[1], match[2]
            section = re.match(r'\((\d)\)', after)
            if section:
                address = self.reference(page, name, section[1])
            else:
                address = self.place(page, name)
            return link(address, f'<b>{name}</b>') + after

        def whole(match):
            return link(self.reference(page, match[1], match[2]), match[0])

        def constant(match):
            return link(self.place(page, match[1]), match[0])

        html = re.sub(r'<b>([\w.-]+)</b>(\(\d?\))', bold, page.body)
        html = re.sub(r'<b>([\w.-]+)\((\d)\)</b>', whole, html)
        html = re.sub(r'<b>(?:struct )?((?:co_|CO_|COLOOP_)\w+)</b>(?![(<])',
                      constant, html)
        html = re.sub(r'(<pre>)(.*?)(</pre>)', lambda match: match[1]
                      + self.code(page, match[2]) + match[3], html,
                      flags=re.S)
        return html

    def code(self, page, html):
        """A program, or part of one."""
        def name(match):
            return link(self.place(page, match[1]), match[1])

        html = html.strip('\n').rstrip()
        if '<b>' not in html:
            html = highlight(html)
        parts = TAG.split(html)
        for i in range(0, len(parts), 2):
            parts[i] = re.sub(r'\b(co_\w+|CO_WITH_DEADLINE)(?=\()', name,
                              parts[i])
        return ''.join(parts)


def link(address, html):
    if address is None:
        return html
    away = ' rel="external"' if address.startswith('http') else ''
    return f'<a href="{address}"{away}>{html}</a>'


# --- Pages -----------------------------------------------------------------


def beside(html):
    """Let two programs of a subsection stand side by side where there is
    room."""
    def pair(match):
        head, *columns = re.split(r'(?<=</pre>)', match[2], maxsplit=2)
        if len(columns) != 2 or '<pre>' in columns[1]:
            return match[0]
        return (f'{match[1]}<div class="beside"><div>{head}</div>'
                f'<div>{columns[0]}</div></div>{columns[1]}</section>')

    return re.sub(r'(<section class="Ss">\s*<h3.*?</h3>)(.*?)</section>',
                  pair, html, flags=re.S)


def contents(html):
    """The list of what is on a page."""
    chapters = []
    for level, place, title in re.findall(
            r'<h([23]) class="S." id="([^"]*)">(.*?)</h\1>', html, re.S):
        title = text_of(title)
        if level == '2' and title.isupper():
            title = title.capitalize().replace(' go', ' Go')
        item = f'<a href="#{place}">{escape(title)}</a>'
        if level == '2':
            chapters.append((item, []))
        else:
            chapters[-1][1].append(item)
    return listed(item + (listed(below) if below else '')
                  for item, below in chapters)


def listed(items):
    return '<ul>' + ''.join(f'<li>{item}</li>' for item in items) + '</ul>'


def menu(groups, current):
    here, parts = ' aria-current="page"', []
    for title, pages in groups:
        parts.append(f'<h2>{escape(title)}</h2>')
        parts.append(listed(
            f'<a href="{page.file}"{here if page is current else ""}>'
            f'{page.title}</a>' for page, _ in pages))
    return ''.join(parts)


def names_of(page, file=''):
    """The functions of PAGE, as links to FILE, or within the page."""
    if len(page.callable) < 2:
        return ''
    items = listed(f'<a href="{file}#{name}">{name}</a>'
                   for name in page.callable)
    return items.replace('<ul>', '<ul class="names">', 1)


def read_groups(pages):
    """The groups of the map in coloop(7): [(title, [(page, words)])]."""
    overview = next(page for page in pages if page.key == OVERVIEW)
    by_title = {page.title: page for page in pages}
    text = overview.source.replace('\\-', '-')
    text = re.search(r'^\.SS The pages\n(.*?)^\.S[SH]', text, re.M | re.S)[1]
    groups = []
    for title, rows in re.findall(
            r'^([A-Z][^\n]*)\n\.RS 4\n\.TS\n(.*?)^\.TE', text, re.M | re.S):
        found = [row.split('\t') for row in rows.splitlines() if '\t' in row]
        groups.append((title, [(by_title[name], words)
                               for name, words in found if name in by_title]))
    known = {page for _, rows in groups for page, _ in rows}
    for page in pages:
        if page not in known:
            sys.exit(f'{page.title} is not in the map of coloop(7)')
    return groups


def front(groups, overview):
    """What the first page has."""
    program = re.search(r'id="A_first_program".*?(<pre>.*?</pre>)',
                        overview.body, re.S)[1]
    parts = []
    for title, rows in groups:
        parts.append(f'<section><h2>{escape(title)}</h2><div class="cards">')
        for page, words in rows:
            names = names_of(page, page.file)
            parts.append(f'<article><h3><a href="{page.file}">{page.title}'
                         f'</a></h3><p>{escape(words)}</p>{names}</article>')
        parts.append('</div></section>')
    return (HERE / 'front.html').read_text(encoding='utf-8').replace(
        '$program', program).replace('$groups', ''.join(parts))


def entries(pages, places):
    """What can be searched: [name, what it is, address, kind]."""
    found = [[page.title, page.about, page.file, 'page'] for page in pages]
    for name, (page, said) in places.items():
        kind = 'function' if name in page.callable else 'name'
        found.append([name, said, f'{page.file}#{name}', kind])
    for page in pages:
        for place, title in re.findall(
                r'<h3 class="Ss" id="([^"]*)">(.*?)</h3>', page.body, re.S):
            found.append([text_of(title), page.title, f'{page.file}#{place}',
                          'section'])
        for place, title, said in re.findall(
                r'<dt id="(E[A-Z0-9]+(?:~\d+)?)">(.*?)</dt>\s*<dd>(.*?)</dd>',
                page.body, re.S):
            found.append([text_of(title), f'{page.title} {text_of(said)}',
                          f'{page.file}#{place}', 'error'])
    return found


def write(output, name, template, **fields):
    text = string.Template(template).substitute(fields)
    (output / name).write_text(text, encoding='utf-8')


def build(pages, output, version):
    groups = read_groups(pages)
    ordered = [page for _, rows in groups for page, _ in rows]
    places = find_places(ordered)
    links = Links(ordered, places)
    found = entries(ordered, places)
    for page in ordered:
        page.body = links.apply(page)
    output.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / 'style.css', output)
    script = (HERE / 'search.js').read_text(encoding='utf-8')
    (output / 'search.js').write_text(script.replace(
        '/* entries */', json.dumps(found, ensure_ascii=False,
                                    separators=(',', ':'))[1:-1]),
        encoding='utf-8')
    template = (HERE / 'page.html').read_text(encoding='utf-8')
    overview = next(page for page in pages if page.key == OVERVIEW)
    write(output, 'index.html', template, title='coloop manual', kind='front',
          about=escape(overview.about), menu='', heading='', contents='',
          version=version, body=front(groups, overview))
    for page in ordered:
        heading = (f'<h1>{page.title}</h1><p class="about">'
                   f'{escape(page.about)}</p>'
                   + names_of(page))
        write(output, page.file, template, title=f'{page.title} - coloop',
              kind='manual', about=escape(page.about),
              menu=menu(groups, page), heading=heading,
              contents=contents(page.body), version=version,
              body=beside(page.body))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mandoc', default='mandoc')
    parser.add_argument('--version', required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('pages', type=Path, nargs='+')
    args = parser.parse_args()
    build([Page(path, args.mandoc) for path in args.pages], args.output,
          args.version)


if __name__ == '__main__':
    main()
