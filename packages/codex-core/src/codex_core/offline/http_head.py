"""The head of an HTTP/1.1 request, read strictly (RFC 9112): what two readers could understand differently is refused.

Among that are bare line feeds, folded lines, space before a colon, a second Host or Content-Length, a Content-Length
beside a Transfer-Encoding, and any Transfer-Encoding but ``chunked``: the forms of request smuggling. The head of an
answer is sent on as it is, but for where it says that the connection ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

END = b"\r\n\r\n"
LONGEST = 32 * 1024
"""Bytes of a head, at the most."""
MOST_FIELDS = 100

_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,8192}) HTTP/1\.([01])")
_FIELD = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*"
)
_LENGTH = re.compile("[0-9]{1,18}")
_ANSWER_END = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9][0-9][ \r\n]")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_OF_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection"}
_OVERRIDES = {"x-http-method", "x-http-method-override", "x-method-override"}
_HOP_BY_HOP = {
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Malformed(Exception):
    """The request is not one that has a single meaning; ``status`` is the answer to it."""

    def __init__(self, reason: str, status: int = 400, *, remedy: str = "send a request that has one meaning") -> None:
        super().__init__(reason)
        self.reason, self.status, self.remedy = reason, status, remedy


@dataclass(frozen=True)
class Head:
    """A request's method, its target as written, and its fields in their order, names as written.

    ``length`` is that of the body in bytes; ``chunked`` says that it comes in chunks instead.
    """

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    length: int = 0
    chunked: bool = False

    @property
    def host(self) -> str | None:
        """The Host field; None without one."""
        return next((value for name, value in self.fields if name.lower() == "host"), None)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        return any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in self.fields)

    @property
    def other_method(self) -> str | None:
        """The field by which a server may be asked to take the request for one of another method; None without one."""
        return next((name for name, _ in self.fields if name.lower() in _OVERRIDES), None)

    def forwarded(self, target: str, host: str) -> bytes:
        """This head as it is sent on: ``target`` and ``host`` for its own, one request for the connection."""
        named = {
            word.strip().lower()
            for name, value in self.fields
            if name.lower() == "connection"
            for word in value.split(",")
        }
        dropped = _HOP_BY_HOP | named | {"host"}
        kept = [f"{name}: {value}" for name, value in self.fields if name.lower() not in dropped or self._frames(name)]
        framing = ["Transfer-Encoding: chunked"] if self.chunked else []
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {host}", *kept, *framing, "Connection: close"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _frames(self, name: str) -> bool:
        """Whether a field must stay, whatever Connection says of it: a client may not hide where its body ends."""
        return name.lower() == "content-length"


def parse_head(data: bytes) -> Head:
    """The head in ``data``, which ends with an empty line; Malformed if it has no single meaning."""
    if len(data) > LONGEST:
        raise Malformed(f"its head is longer than {LONGEST} bytes", 431)
    if not data.endswith(END):
        raise Malformed("its head does not end")
    first, *rest = data[: -len(END)].decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Malformed("its first line is not METHOD TARGET HTTP/1.1")
    if len(rest) > MOST_FIELDS:
        raise Malformed(f"it has more than {MOST_FIELDS} fields", 431)
    fields = tuple(map(_field, rest))
    single = _single_values(fields)
    method, target, minor = line.groups()
    if minor == "1" and "host" not in single:
        raise Malformed("it has no Host field")
    length, chunked = _framing(single, minor)
    return Head(method, target, fields, length, chunked)


def split_answer(data: bytes) -> tuple[bytes, bytes] | None:
    """The first head of an answer in ``data``, with the empty line that ends it, and the rest; None without an end."""
    found = _ANSWER_END.search(data)
    return None if found is None else (data[: found.end()], data[found.end() :])


def is_interim(head: bytes) -> bool:
    """Whether another head follows the one of an answer, as after 100 (Continue)."""
    return _INTERIM.match(head) is not None


def closing(head: bytes) -> bytes:
    """The head of an answer, which says that its connection ends with it: not every server does that when asked to.

    Who is not told would send its next request where nobody reads it.
    """
    first, *fields = head.splitlines(keepends=True)
    if not first.startswith(b"HTTP/1."):
        return head
    kept = [line for line in fields[:-1] if line.partition(b":")[0].strip().lower() not in _OF_CONNECTION]
    return b"".join([first, *kept, b"Connection: close\r\n", fields[-1]])


def parse_chunk_size(line: bytes) -> int:
    """The size in the line that begins a chunk; Malformed if it is anything but a number and a line's end."""
    found = _CHUNK.fullmatch(line)
    if found is None:
        raise Malformed("a chunk of its body does not begin with its size")
    return int(found[1], 16)


def _field(line: str) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise Malformed("one of its fields is not NAME: VALUE on a line of its own")
    return found[1], found[2]


def _single_values(fields: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """The fields that a request has once, by their names in lower case."""
    found: dict[str, str] = {}
    for name, value in fields:
        lowered = name.lower()
        if lowered in {"host", "content-length", "transfer-encoding"} and lowered in found:
            raise Malformed(f"it has two {name} fields")
        found[lowered] = value
    return found


def _framing(fields: Mapping[str, str], minor: str) -> tuple[int, bool]:
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Malformed("it has both a Content-Length and a Transfer-Encoding")
        if minor == "0" or coding.lower() != "chunked":
            raise Malformed("its Transfer-Encoding is not chunked")
        return 0, True
    if length is None:
        return 0, False
    if not _LENGTH.fullmatch(length):
        raise Malformed("its Content-Length is not a number")
    return int(length), False
