"""Globs over keys: ``*`` and ``?`` stay within a segment, ``**`` stands for any number of segments.

``**`` is a segment of its own and matches none, one or many; at the end of a pattern at least one, so that ``a/**`` is
what lies below ``a``. There are no other special characters. This is .gitignore's meaning without its leading-slash and
no-slash rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def compile_globs(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a key matches one of ``patterns``; ConfigError for a pattern that could match no key."""
    expressions = [_expression(pattern) for pattern in patterns]
    if not expressions:
        raise ConfigError("include names no pattern", hint='write include = ["**"] for everything')
    match = re.compile("|".join(expressions), re.DOTALL).fullmatch
    return lambda key: match(key) is not None


def _expression(pattern: str) -> str:
    segments = pattern.split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ConfigError(f"the pattern {pattern!r} is not a relative path", hint="write it without '', '.' and '..'")
    if any("**" in segment and segment != "**" for segment in segments):
        raise ConfigError(f"the pattern {pattern!r} has a '**' that is not a segment", hint="write 'a/**/b', or 'a*b'")
    *leading, last = segments
    start = "".join("(?:[^/]+/)*" if segment == "**" else _segment(segment) + "/" for segment in leading)
    return start + ("(?:[^/]+/)*[^/]+" if last == "**" else _segment(last))


def _segment(segment: str) -> str:
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(char) or re.escape(char) for char in segment)
