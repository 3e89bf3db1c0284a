"""Markers: the comments in which someone noted that work is left."""

from __future__ import annotations

import io
import re
import tokenize
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORDS = ("TODO", "FIXME", "XXX", "HACK", "STUB", "TBD", "WIP")
"""Each stands for itself, in capitals and as a whole word."""

_WORD = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")


class Marker(NamedTuple):
    """A comment that holds a marker: its text without ``#``, its line (from 1) and its column (from 0)."""

    text: str
    line: int
    column: int


def find_markers(text: str, starts: Sequence[tuple[int, int]]) -> Iterator[Marker]:
    """The comments of a source text that hold a marker, by line; tokenize's errors where they cannot be told.

    ``starts`` are the line and column of every statement. They make it fast: tokenizing a file takes as long as parsing
    it, so only those logical lines are tokenized that have a ``#`` before the letters of a marker.
    """
    if not any(word in text for word in WORDS):
        return
    lines = text.split("\n")
    edges = [1, *(line for line, column in starts if not lines[line - 1][:column].strip()), len(lines) + 1]
    done = 0
    for line, written in enumerate(lines, 1):
        if line >= done and _may_hold_marker(written):
            after = bisect_right(edges, line)
            done = edges[after]
            yield from _comments(lines, edges[after - 1], done)


def _may_hold_marker(line: str) -> bool:
    """Whether ``#`` comes before the letters of a marker, be it in a comment or in a string."""
    _, sign, rest = line.partition("#")
    return bool(sign) and any(word in rest for word in WORDS)


def _comments(lines: list[str], start: int, end: int) -> Iterator[Marker]:
    """The marked comments of the lines from ``start`` up to, and without, ``end``: whole logical lines.

    They stand in brackets for the tokenizer, which then does not ask whether their indentation began before them.
    """
    part = "\n".join(["(", *lines[start - 1 : end - 1], ")"])
    for token in tokenize.generate_tokens(io.StringIO(part).readline):
        if token.type == tokenize.COMMENT and _WORD.search(token.string):
            line, column = token.start
            yield Marker(token.string.lstrip("#").strip(), start + line - 2, column)
