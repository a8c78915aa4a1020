# SPDX-License-Identifier: MIT
"""Marks the parts of a program, so that comments and strings stand back."""

import re

KEYWORDS = ('break case char const continue default do else enum for func go '
            'goto if int long return select signed sizeof static struct '
            'switch typedef unsigned void volatile while')

PARTS = re.compile(
    r'(?P<comment>/\*.*?\*/|//[^\n]*)'
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r'|(?P<directive>^#[a-z]+)'
    r'|(?P<keyword>\b(?:' + KEYWORDS.replace(' ', '|') + r')\b)',
    re.M | re.S)


def highlight(code):
    """CODE, which is HTML without tags, with a span around each such part."""
    def mark(match):
        return f'<span class="{match.lastgroup}">{match[0]}</span>'

    return PARTS.sub(mark, code)
