"""Patterns: which paths an exclude list names, in the form that the include lists of stages have.

``*`` and ``?`` stay within a part of a path; ``**`` is a part of its own and stands for any number of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WILD = {"*": "[^/]*", "?": "[^/]"}


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether one of ``patterns`` names a path relative to the audited root, be it a file's or a folder's.

    ConfigError for a pattern that could name none.
    """
    wanted = [re.compile(_expression(pattern.removesuffix("/")), re.DOTALL) for pattern in patterns]
    return lambda path: any(expression.fullmatch(path) for expression in wanted)


def _expression(pattern: str) -> str:
    parts = pattern.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ConfigError(f"the pattern {pattern!r} is not a relative path", hint="write it without '', '.' and '..'")
    if any("**" in part and part != "**" for part in parts):
        raise ConfigError(f"the pattern {pattern!r} has a '**' inside a part", hint="write 'a/**/b', or 'a*b'")
    *leading, last = parts
    start = "".join("(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in leading)
    return start + ("(?:[^/]+/)*[^/]+" if last == "**" else _part(last))


def _part(part: str) -> str:
    return "".join(_WILD.get(char) or re.escape(char) for char in part)
