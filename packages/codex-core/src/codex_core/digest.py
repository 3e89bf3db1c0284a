"""Digests: canonical JSON (RFC 8785), files, and folders, always written ``sha256:<hex>``.

Canonical JSON is the JSON Canonicalization Scheme of RFC 8785: members sorted by their UTF-16 code units, numbers as
ECMAScript writes them, no white space, UTF-8. Integers beyond 2^53, NaN, infinities, lone surrogates and keys that
are not strings have no such form and are refused.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from codex_core.errors import DigestError
from codex_core.sha256 import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LARGEST_INTEGER = 2**53
"""The largest integer that canonical JSON holds: beyond it, an IEEE 754 double skips integers (RFC 8785, 3.2.2.3)."""

_CHUNK = 2**18

_quote = json.JSONEncoder(ensure_ascii=False).encode


def canonical_json(value: object) -> bytes:
    """The one RFC 8785 form of ``value``: None, bool, int, float, str, and mappings, lists and tuples of these.

    Raises DigestError for anything that has no such form.
    """
    try:
        return "".join(_parts(value)).encode()
    except UnicodeEncodeError as error:
        raise DigestError("a string with a lone surrogate has no canonical JSON form") from error
    except RecursionError as error:
        raise DigestError("a value that contains itself, or nests too deep, has no canonical JSON form") from error


def digest_bytes(data: bytes) -> str:
    """``sha256:<hex>`` of ``data``."""
    return f"sha256:{sha256(data).hexdigest()}"


def digest_json(value: object) -> str:
    """The digest of the canonical JSON of ``value``."""
    return digest_bytes(canonical_json(value))


def digest_stream(stream: BinaryIO) -> str:
    """The digest of what ``stream`` still holds."""
    import hashlib  # here, since it loads all of OpenSSL, which is what is fast where there is much to hash

    hashed = hashlib.sha256()  # not hashlib.file_digest: of a BytesIO that takes all, read already or not
    while chunk := stream.read(_CHUNK):
        hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


_NO_LINK = "put a regular file in its place, or remove it"


def digest_file(path: str | os.PathLike[str]) -> str:
    """The digest of a regular file's bytes; DigestError for a link or a special file, OSError as open(2) says."""
    with open_regular(path) as stream:
        return digest_stream(stream)


@dataclass(frozen=True)
class FileEntry:
    """A file of a folder: its path below it with ``/`` between the parts, its size in bytes, its digest."""

    path: str
    size: int
    sha256: str


def list_folder(folder: Path) -> tuple[FileEntry, ...]:
    """Every file below ``folder``, sorted by the bytes of its path.

    Empty folders are not listed. DigestError for links, special files and names that are not UTF-8.
    """
    return sort_entries(_entry(folder, path) for path in walk_files(folder))


def sort_entries(entries: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    """``entries`` in the order a folder's digest wants: by the bytes of their paths."""
    return tuple(sorted(entries, key=lambda entry: entry.path.encode(errors="surrogatepass")))


def digest_entries(entries: Iterable[FileEntry]) -> str:
    """The digest of a folder, or of a store's listing, that holds ``entries``: of ``[[path, size, sha256], ...]``."""
    return digest_json([[entry.path, entry.size, entry.sha256] for entry in sort_entries(entries)])


def digest_folder(folder: Path) -> str:
    """The digest of everything below ``folder``; times, modes and empty folders do not change it."""
    return digest_entries(list_folder(folder))


def digest_path(path: Path) -> str:
    """The digest of a file, or of a folder."""
    return digest_folder(path) if stat.S_ISDIR(path.lstat().st_mode) else digest_file(path)


def walk_files(folder: Path) -> Iterator[str]:
    """The paths of all regular files below ``folder``, relative to it; DigestError for links and special files."""
    if folder.is_symlink():
        raise DigestError(f"{os.fspath(folder)!r} is a link, which has no digest", hint=_NO_LINK)
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(folder / below) as found:
            for item in found:
                path = f"{below}/{item.name}" if below else item.name
                if item.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif item.is_file(follow_symlinks=False):
                    yield _utf8(path)
                else:
                    message = f"{os.fspath(folder / path)!r} is a link or a special file, which has no digest"
                    raise DigestError(message, hint=_NO_LINK)


def open_regular(path: str | os.PathLike[str], *, dir_fd: int | None = None) -> BinaryIO:
    """Open a regular file for reading, following no link in its last part and waiting for no pipe's writer."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DigestError(f"{os.fspath(path)!r} is a link, which has no digest", hint=_NO_LINK) from error
        if error.errno == errno.ENXIO:  # a socket
            raise DigestError(f"{os.fspath(path)!r} is not a regular file, so it has no digest") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DigestError(f"{os.fspath(path)!r} is not a regular file, so it has no digest")
    return os.fdopen(descriptor, "rb", buffering=0)


def _entry(folder: Path, path: str) -> FileEntry:
    with open_regular(folder / path) as stream:
        digest = digest_stream(stream)
        return FileEntry(path, stream.tell(), digest)  # the size that was read: the file may have grown meanwhile


def _utf8(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DigestError(f"the file name {path!r} is not UTF-8, so its folder has no digest") from error
    return path


def _parts(value: object) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, str):
        yield _quote(value)
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise DigestError(f"an integer beyond 2^53 ({value.bit_length()} bits) has no canonical JSON form")
        yield str(int(value))
    elif isinstance(value, float):
        yield _number(float(value))  # of a subclass, such as numpy's, repr may write more than the number
    elif isinstance(value, Mapping):
        yield from _members(value)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield "," if index else "["
            yield from _parts(item)
        yield "]" if value else "[]"
    else:
        raise DigestError(f"a {type(value).__name__} has no canonical JSON form")


def _members(value: Mapping[object, object]) -> Iterator[str]:
    keys: list[str] = []
    for key in value:
        if not isinstance(key, str):
            raise DigestError(f"the key {key!r} is not a string, so the object has no canonical JSON form")
        keys.append(key)
    keys.sort(key=lambda key: str.encode(key, "utf-16-be", "surrogatepass"))  # str's own, as an enum's may differ
    for index, key in enumerate(keys):
        yield "," if index else "{"
        yield _quote(key)
        yield ":"
        yield from _parts(value[key])
    yield "}" if value else "{}"


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20); ``repr`` gives the same shortest digits."""
    if not math.isfinite(value):
        raise DigestError(f"{value!r} has no canonical JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    """``0.digits`` times ten to the ``point``, written as ECMAScript does."""
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{mantissa}e{point - 1:+d}"
