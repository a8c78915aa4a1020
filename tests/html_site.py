# SPDX-License-Identifier: MIT
"""html_site.py SITE FUNCTIONS - what must hold of what `make html' makes

FUNCTIONS is a file with the names of all exported functions.  Speaks TAP."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

EMPTY = {'br', 'input', 'link', 'meta'}
LOADS = {'script': 'src', 'link': 'href', 'img': 'src', 'iframe': 'src'}


class Reader(HTMLParser):
    """Reads a page: its ids, its links, its programs, and what is wrong."""

    def __init__(self, path):
        super().__init__()
        self.name, self.open, self.faults = path.name, [], []
        self.ids, self.links, self.loads = {'': 1}, [], []
        self.programs, self.text = [], None
        self.feed(path.read_text(encoding='utf-8'))
        self.close()
        if self.open:
            self.faults.append(f'{self.name}: {self.open} is never closed')

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == 'ul' and self.open[-2] == 'ul':
            self.faults.append(f'{self.name}: a list right in a list')
        if 'id' in attrs:
            self.ids[attrs['id']] = self.ids.get(attrs['id'], 0) + 1
        if tag == 'a':
            self.links.append(attrs['href'])
        if tag in LOADS:
            self.loads.append(attrs[LOADS[tag]])
        if tag == 'pre':
            self.text = ''

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f'{self.name}:{self.getpos()[0]}: </{tag}>')
        if tag == 'pre':
            if re.search(r'^int main', self.text, re.M):
                self.programs.append(self.text)
            self.text = None

    def handle_data(self, data):
        if self.text is not None:
            self.text += data


def broken_links(pages):
    for page in pages.values():
        for link in page.links:
            if re.match(r'https://manpages\.debian\.org/[\w.-]+\.\d$', link):
                continue
            file, _, place = link.partition('#')
            target = pages.get(file or page.name)
            if target is None or place not in target.ids:
                yield f'{page.name}: {link}'


def foreign(pages, site):
    for page in pages.values():
        for load in page.loads:
            if not load.startswith('data:') and not (site / load).is_file():
                yield f'{page.name}: {load}'
    for path in site.glob('*.css'):
        for found in re.findall(r'url\(.*?\)|@import.*', path.read_text()):
            yield f'{path.name}: {found}'


def malformed(pages):
    for page in pages.values():
        yield from page.faults
        for name, count in page.ids.items():
            if count > 1:
                yield f'{page.name}: {count} times the id {name}'


def unreached(pages):
    reached, rest = set(), ['index.html']
    while rest:
        name = rest.pop()
        if name in pages and name not in reached:
            reached.add(name)
            rest += [link.partition('#')[0] for link in pages[name].links]
    return sorted(set(pages) - reached)


def unfindable(pages, entries, functions):
    homes = {name: address for name, _, address, kind in entries
             if kind == 'function'}
    for function in functions:
        file, _, place = homes.get(function, '').partition('#')
        if file not in pages or place != function:
            yield f'{function} is not in the index'
        elif function not in pages[file].ids:
            yield f'{function} has no place in {file}'
    for name, about, _, _ in entries:
        if not about:
            yield f'{name}: nothing is said of it'


def not_first(script, functions):
    """What isn't the first that is found when its name is typed."""
    ask = ('\nfor (const name of process.argv.slice(2))\n'
           '\tconsole.log(name, find(name)[0]?.[0]);\n')
    run = subprocess.run(['node', '-', *functions], input=script + ask,
                         capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    if run.returncode != 0 or len(lines) != len(functions):
        yield run.stderr
    for name, found in map(str.split, lines):
        if found != name:
            yield f'{name}: {found} is found'


def not_compiled(pages):
    """Programs that can't be compiled as they are copied."""
    include = [f'-I{os.environ[top]}/include'
               for top in ('top_srcdir', 'top_builddir')]
    with TemporaryDirectory() as work:
        source = Path(work) / 'program.c'
        for page in pages.values():
            for program in page.programs:
                source.write_text(program + '\n', encoding='utf-8')
                run = subprocess.run(
                    [*os.environ['CC'].split(), '-std=gnu11', '-Wall',
                     '-Wextra', '-Wpedantic', '-Werror', '-pthread',
                     '-fsyntax-only', *include, str(source)],
                    capture_output=True, text=True, check=False)
                if run.returncode != 0:
                    yield f'{page.name}: {run.stderr}'


def main():
    site = Path(sys.argv[1])
    functions = Path(sys.argv[2]).read_text(encoding='utf-8').split()
    pages = {path.name: Reader(path) for path in site.glob('*.html')}
    script = (site / 'search.js').read_text(encoding='utf-8')
    entries = json.loads(re.search(r'ENTRIES = (\[.*\]);', script)[1])
    tests = [('each link leads to its place', broken_links(pages)),
             ('nothing is loaded from elsewhere', foreign(pages, site)),
             ('tags are closed, and each id is there once', malformed(pages)),
             ('each page is reached from the first', unreached(pages)),
             ('each function is in the index of the search',
              unfindable(pages, entries, functions)),
             ('each program can be copied and compiled', not_compiled(pages))]
    programs = sum(len(page.programs) for page in pages.values())
    if len(functions) < 80 or programs < 20:
        tests.append(('functions and programs were found', ['too few']))
    if subprocess.run(['sh', '-c', 'command -v node'], check=False,
                      stdout=subprocess.DEVNULL).returncode == 0:
        tests.append(('a name that is typed is found first',
                      not_first(script, functions)))
    for number, (what, faults) in enumerate(tests, 1):
        faults = list(faults)
        print(f'{"not ok" if faults else "ok"} {number} - {what}')
        for fault in faults:
            print('#', str(fault).replace('\n', '\n# '))
    print(f'1..{len(tests)}')


main()
