"""Content: what may be inside a bundle, decided by what a file holds and never by its name.

Safetensors, JSON, and text in UTF-8, of which Markdown is one; nothing else. A pickle is refused in any disguise: as
binary, in an archive, compressed, or written as text. Bytes inside of a tensor, and texts inside of safetensors'
metadata or of JSON, may look like anything: they are data, and nothing loads them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codex_core.errors import ContentRefused
from codex_deploy.formats import PICKLE, recognise
from codex_deploy.pickles import Unpickling
from codex_deploy.weights import LENGTH_BYTES, Weights, header_length, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["safetensors", "json", "text"]

LARGEST_TEXT = 2**26
"""The most bytes that a JSON or text file may have: it is read whole. Large tokenizers have half of this."""

NAMED_BY = 2**16
"""How much of the beginning of a refused file is looked at to say what it is."""

_CONTROL_BYTE = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f]")
_CONTROL_CHARACTER = re.compile("[\x7f-\x9f]")
_JSON_BEGINS = tuple('{["-0123456789tfn')


@dataclass(frozen=True)
class Content:
    """What a file holds. ``weights`` are there for safetensors; ``schema`` is what a JSON object says of itself."""

    kind: Kind
    weights: Weights | None = None
    schema: str | None = None


class Examiner:
    """Takes a file's bytes in any pieces, keeps no more of them than it has to, and says what the file holds."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._size = 0
        self._header: int | None = None
        self._has_control = False
        self._unpickling = Unpickling()

    def feed(self, chunk: bytes | memoryview) -> None:
        """The next bytes of the file."""
        self._unpickling.feed(chunk)
        start, self._size = self._size, self._size + len(chunk)
        if (room := self._wanted() - len(self._kept)) > 0:
            self._kept += chunk[:room]
        if start <= LENGTH_BYTES < self._size:
            self._header = header_length(self._kept[: LENGTH_BYTES + 1])
        if self._header is None and not self._has_control:
            self._has_control = _CONTROL_BYTE.search(chunk) is not None and self._size > LENGTH_BYTES

    def finish(self) -> Content:
        """What the file holds; ContentRefused, whose message goes on after the file's name, if it may not go in."""
        kept = bytes(self._kept)
        if self._header is not None:
            return Content("safetensors", self._weights(kept, self._header))
        if self._has_control or _CONTROL_BYTE.search(kept):
            raise self._name(kept)
        if self._size > LARGEST_TEXT:
            hint = f"leave it out, or split it: a JSON or text file has at most {LARGEST_TEXT} bytes"
            raise _refuse(f"text or other data of {self._size} bytes", hint)
        try:
            text = kept.decode()
        except UnicodeDecodeError:
            raise self._name(kept) from None
        return _examine_text(text, pickled=self._unpickling.finish(text=True))

    def _wanted(self) -> int:
        """How much of the file's beginning has to be kept."""
        if self._header is not None:
            return LENGTH_BYTES + self._header
        return NAMED_BY if self._has_control else LARGEST_TEXT

    def _weights(self, kept: bytes, length: int) -> Weights:
        end = LENGTH_BYTES + length
        if self._size < end:
            message = f"is cut: its safetensors header has {length} bytes, and the file {self._size}"
            raise ContentRefused(message, hint="write the file again")
        if self._unpickling.finish(text=False):
            raise _refuse("a pickle that is a safetensors file as well", "write the file again with safetensors")
        return read_header(kept[LENGTH_BYTES:end], self._size - end)

    def _name(self, kept: bytes) -> ContentRefused:
        return _refuse(*(PICKLE if self._unpickling.finish(text=False) else recognise(kept[:NAMED_BY])))


def examine(chunks: Iterable[bytes]) -> Content:
    """What a file with these bytes holds; ContentRefused if it may not go into a bundle."""
    examiner = Examiner()
    for chunk in chunks:
        examiner.feed(chunk)
    return examiner.finish()


def _examine_text(text: str, *, pickled: bool) -> Content:
    parsed, value = _parse(text)
    if parsed:
        schema = value.get("schema") if isinstance(value, dict) else None
        return Content("json", schema=schema if isinstance(schema, str) else None)
    if found := _CONTROL_CHARACTER.search(text):
        hint = "remove it: text has no control characters but tab, line feed, form feed and carriage return"
        raise _refuse(f"text with the control character U+{ord(found[0]):04X}", hint)
    if pickled:
        raise _refuse(*PICKLE)
    return Content("text")


def _parse(text: str) -> tuple[bool, object]:
    """Whether ``text`` is JSON (RFC 8259), and its value, in which numbers may be anything."""
    if not text.lstrip(" \t\r\n").startswith(_JSON_BEGINS):
        return False, None
    try:
        return True, json.loads(text, parse_int=len, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False, None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _refuse(what: str, hint: str) -> ContentRefused:
    return ContentRefused(f"is {what}", hint=hint)
