"""A TOML file with the line and column of every key.

``tomllib`` parses but gives no positions, and neither does any light, typed library. So a scanner of our own walks
the text once ``tomllib`` has accepted it: it may rely on the text being TOML 1.0, and it looks only at keys, brackets
and the ends of values. It runs when the first position is asked for; a file without a mistake never pays for it.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from codex_core.digest import digest_bytes
from codex_core.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

KeyPath = tuple[str | int, ...]
"""Where a value is in a document: keys, and indexes from 0 of what stands in an array."""

_QUOTED = r'"(?:\\.|[^"\\])*"' + r"|'[^']*'"
_MULTILINE = r'"""(?:\\.|[^\\])*?"{3,5}' + r"|'''.*?'{3,5}"
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(rf"[ \t]*({_QUOTED}|[A-Za-z0-9_-]+)[ \t]*([.=\]])[ \t]*")
_PLAIN = re.compile(rf"{_MULTILINE}|{_QUOTED}|[^,\]}}#\r\n]+", re.DOTALL)
_STOPPED_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DATE = re.compile(r"[^=#]*=[ \t]*(\d{4}-\d\d?-\d\d?)(?![-:\w])")
_KEY_TUPLE = re.compile(r"\(('[^()]*')\)|\(('[^()]*'),\)")
_HINTS = {
    "invalid value": "text stands in quotes",
    "cannot declare": "a table has one header",
    "cannot overwrite": "a key has one value",
}


@dataclass(frozen=True)
class TomlSource:
    """A parsed TOML document: ``name`` is how errors call the file, ``digest`` is that of its bytes."""

    name: str
    text: str
    digest: str
    data: dict[str, Any]  # Any: the values that TOML has, as tomllib gives them

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Line and column, both from 1, of the first character of the key at ``path``; columns count characters.

        An item of an array is where the item begins; a table of ``[[name]]`` is where the name begins. A path that
        the document does not have is where the nearest table around it is; the document itself is at 1, 1.
        """
        for length in range(len(path), 0, -1):
            if (offset := self._offsets.get(path[:length])) is not None:
                return _line_and_column(self.text, offset)
        return 1, 1

    def problem(self, path: KeyPath, message: str, hint: str | None = None, code: str = ConfigError.code) -> Problem:
        """A Problem at the place of ``path``."""
        return Problem(code, message, hint, self.name, *self.position(path))

    @cached_property
    def _offsets(self) -> dict[KeyPath, int]:
        return _Scanner(self.text).scan()


def read_toml(path: Path, *, name: str | None = None) -> TomlSource:
    """The document in the file ``path``; ConfigError if it cannot be read or is not TOML.

    ``name`` is how errors call the file; without it, they write its path.
    """
    name = str(path) if name is None else name
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{name} does not exist", hint="check the path, or create the file") from error
    except OSError as error:
        hint = "check its path and its permissions"
        raise ConfigError(f"{name} cannot be read: {error.strerror}", hint=hint) from error
    return _parse(data, name)


def parse_toml(text: str, name: str) -> TomlSource:
    """The document ``text``; ConfigError, with one Problem at its place, if it is not TOML."""
    return _parse(text.encode(errors="surrogatepass"), name)


def _parse(data: bytes, name: str) -> TomlSource:
    text = _decode(data, name)
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise _invalid(name, None, "values are nested too deeply", "use fewer levels of brackets") from error
    except ValueError as error:  # TOMLDecodeError, or an integer with more digits than int() takes
        raise _syntax_error(name, text, str(error)) from error
    return TomlSource(name, text, digest_bytes(data), values)


def _decode(data: bytes, name: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        message = f"not UTF-8: byte {data[error.start]:#04x} begins no character"
        raise _invalid(name, _line_and_column(before, len(before)), message, "save the file as UTF-8") from error
    if text.startswith("\ufeff"):
        raise _invalid(name, (1, 1), "the file begins with a byte order mark", "save it as UTF-8 without one")
    return text


def _syntax_error(name: str, text: str, message: str) -> ConfigError:
    """The ConfigError for what ``tomllib`` said, at the place that its last words name."""
    stopped = _STOPPED_AT.search(message)
    said = _KEY_TUPLE.sub(_dotted, _STOPPED_AT.sub("", message))
    said = said[:1].lower() + said[1:]
    hint = next((hint for start, hint in _HINTS.items() if said.startswith(start)), "see https://toml.io/en/v1.0.0")
    if stopped is None:
        return _invalid(name, None, f"not valid TOML: {said}", hint)
    place = (int(stopped[1]), int(stopped[2])) if stopped[1] else _line_and_column(text, len(text))
    date = _DATE.match(text.splitlines()[place[0] - 1]) if stopped[1] else None
    if date is not None and date.end() >= place[1] > date.start(1):
        return _invalid(name, (place[0], date.start(1) + 1), f"{date[1]!r} is no date", "write one such as 2027-01-31")
    return _invalid(name, place, f"not valid TOML: {said}", hint)


def _dotted(key: re.Match[str]) -> str:
    """``('a', 'b')``, which is how ``tomllib`` writes a key in an error, as ``'a.b'``."""
    return repr(".".join(re.findall(r"'([^']*)'", key[0])))


def _invalid(name: str, place: tuple[int, int] | None, message: str, hint: str) -> ConfigError:
    line, column = place or (None, None)
    problem = Problem(ConfigError.code, message, hint, name, line, column)
    return ConfigError(f"{name} is not a TOML file: {message}", problems=[problem])


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


@dataclass
class _Open:
    """An array or an inline table whose closing bracket is still to come; ``items`` is None for a table."""

    path: KeyPath
    items: int | None


class _Scanner:
    """One walk over valid TOML, left to right, without recursion: what is open stands on a stack."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.offsets: dict[KeyPath, int] = {}
        self.table: KeyPath = ()
        self.tables_of: Counter[KeyPath] = Counter()  # how many [[headers]] each array of tables has had so far
        self.open: list[_Open] = []

    def scan(self) -> dict[KeyPath, int]:
        """The offset at which each key, and each item of an array, begins."""
        self._skip_blank()
        while self.at < len(self.text):
            self._step()
            self._skip_blank()
        return self.offsets

    def _step(self) -> None:
        here = self.text[self.at]
        inner = self.open[-1] if self.open else None
        if inner and here in "]}":
            self.open.pop()
            self.at += 1
        elif inner and here == ",":
            self.at += 1
        elif inner and inner.items is not None:
            path = (*inner.path, inner.items)
            inner.items += 1
            self.offsets[path] = self.at
            self._value(path)
        elif here == "[":
            self._header()
        else:
            self._value(self._keys(inner.path if inner else self.table))

    def _header(self) -> None:
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        self.table = self._keys((), many=many)
        self.at += many

    def _keys(self, base: KeyPath, *, many: bool = False) -> KeyPath:
        """Walk over ``a.b.c`` and the ``=`` or ``]`` that ends it; the path that it names below ``base``."""
        path, end = base, "."
        while end == ".":
            found = self._take(_KEY)
            start, end = found.start(1), found[2]
            path = (*path, _unquote(found[1]))
            if end == "." or many:
                self.offsets.setdefault(path, start)
            else:
                self.offsets[path] = start
            if end != "." and many:
                self.tables_of[path] += 1
                self.offsets[(*path, self.tables_of[path] - 1)] = start
            if path in self.tables_of:  # a key that goes through an array of tables means the latest of them
                path = (*path, self.tables_of[path] - 1)
        return path

    def _value(self, path: KeyPath) -> None:
        """Walk over a value that holds no others, or into one that does."""
        opening = self.text[self.at]
        if opening in "[{":
            self.open.append(_Open(path, 0 if opening == "[" else None))
            self.at += 1
        else:
            self._take(_PLAIN)

    def _skip_blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = cast("re.Match[str]", pattern.match(self.text, self.at))  # in valid TOML what must follow does follow
        self.at = found.end()
        return found


def _unquote(key: str) -> str:
    """The key that ``key`` writes, with or without quotes."""
    if key[0] == '"':
        return next(iter(tomllib.loads(f"{key} = 0")))
    return key.strip("'")
