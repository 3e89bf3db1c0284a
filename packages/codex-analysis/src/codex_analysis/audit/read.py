"""Reading: from the bytes of a Python file to its text and its syntax tree, or to the reason why there is none."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from dataclasses import dataclass

_TOO_DEEP = "does not parse: it is nested deeper than this Python's parser goes"


@dataclass(frozen=True)
class Source:
    """A Python file that parses: its text, with ``\\n`` at the end of each line, and its tree."""

    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How many lines the text has; the last one needs no newline."""
        return self.text.count("\n") + (not self.text.endswith("\n") and bool(self.text))


@dataclass(frozen=True)
class Unreadable:
    """Why a file could not be read as Python, and the line (from 1) at which that shows."""

    reason: str
    line: int = 1


def read_source(data: bytes) -> Source | Unreadable:
    """The source that ``data`` holds, decoded as PEP 263 says; never raises for anything that it may hold."""
    if b"\0" in data:
        return Unreadable("holds a null byte", _line_at(data, data.index(b"\0")))
    text = _decode(data)
    return text if isinstance(text, Unreadable) else _parse(text)


def _decode(data: bytes) -> str | Unreadable:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        reason = f"is not {error.encoding}, its encoding by PEP 263: {error.reason}"
        return Unreadable(reason, _line_at(data, error.start))
    except (SyntaxError, LookupError, ValueError) as error:
        return Unreadable(f"cannot be decoded by PEP 263: {error}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse(text: str) -> Source | Unreadable:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not this audit's business
            return Source(text, ast.parse(text))
    except SyntaxError as error:
        return Unreadable(f"does not parse: {error.msg}", max(error.lineno or 1, 1))
    except (RecursionError, MemoryError):
        return Unreadable(_TOO_DEEP)
    except ValueError as error:
        return Unreadable(f"does not parse: {error}")


def _line_at(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
