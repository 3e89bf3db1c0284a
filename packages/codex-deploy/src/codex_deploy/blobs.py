"""Blobs: files copied into a layout under the digest of the copy, and examined while they are hashed.

The copy runs one piece ahead in a thread (copy_file_range(2), which shares blocks where the file system can), and
each piece is read back and hashed behind it while it is in the processor's cache: the digest is of the bytes that lie
in the layout. The disk is set to work on each piece at once (sync_file_range(2)), so that the fsync at the end has
little left to wait for.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.digest import digest_bytes, open_regular
from codex_deploy.content import Content, Examiner
from codex_deploy.layout import BLOBS, blob_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COPIED_AT_ONCE = 2**22
_READ_AT_ONCE = 2**18
_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_CANNOT_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Blob:
    """A blob: its digest, its size in bytes, and what it holds."""

    digest: str
    size: int
    content: Content


class BlobFolder:
    """The blobs of a layout that is being written at ``layout``."""

    def __init__(self, layout: Path) -> None:
        self._layout = layout
        (layout / BLOBS).mkdir(parents=True)

    def add_file(self, path: Path) -> Blob:
        """Copy the regular file at ``path`` in; ContentRefused, with nothing left of it, if it may not be inside."""
        draft = self._layout / BLOBS / "draft"
        sha256, examiner, size = hashlib.sha256(), Examiner(), 0
        with open_regular(path) as source, open(draft, "w+b", buffering=0) as copy:
            for chunk in _copy(source.fileno(), copy.fileno()):
                sha256.update(chunk)
                examiner.feed(chunk)
                size += len(chunk)
        try:
            blob = Blob(f"sha256:{sha256.hexdigest()}", size, examiner.finish())
            draft.rename(self._layout / blob_path(blob.digest))
        finally:
            draft.unlink(missing_ok=True)
        return blob

    def add(self, content: bytes) -> str:
        """Store ``content`` and return its digest."""
        digest = digest_bytes(content)
        (self._layout / blob_path(digest)).write_bytes(content)
        return digest


def copy_file(source: Path, target: Path) -> int:
    """Copy a regular file to the new file ``target``; its size in bytes."""
    with open_regular(source) as original, open(target, "xb", buffering=0) as copy:
        while _copy_some(original.fileno(), copy.fileno()):
            continue
        return copy.tell()


def read_chunks(descriptor: int) -> Iterator[memoryview]:
    """The bytes of a file from its beginning; each piece is valid until the next one is asked for."""
    buffer = memoryview(bytearray(_READ_AT_ONCE))
    position = 0
    while count := os.preadv(descriptor, [buffer], position):
        yield buffer[:count]
        position += count


def _copy(source: int, target: int) -> Iterator[memoryview]:
    """Copy, and give what was copied as it is read back; each piece is valid until the next one is asked for."""
    buffer = memoryview(bytearray(_READ_AT_ONCE))
    position = end = 0
    with ThreadPoolExecutor(1) as copier:
        ahead = copier.submit(_copy_some, source, target)
        while count := ahead.result():
            ahead = copier.submit(_copy_some, source, target)
            _libc.sync_file_range(target, end, count, _SYNC_FILE_RANGE_WRITE)  # a hint: where it fails, fsync does all
            end += count
            while position < end:
                read = os.preadv(target, [buffer[: end - position]], position)
                yield buffer[:read]
                position += read


def _copy_some(source: int, target: int) -> int:
    """Copy the next bytes, by sendfile(2) where copy_file_range(2) is refused; 0 at the end."""
    try:
        return os.copy_file_range(source, target, _COPIED_AT_ONCE)
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
        return os.sendfile(target, source, None, _COPIED_AT_ONCE)
