"""``python:stdlib``: the source of the running interpreter's library as a read-only store, on every machine."""

from __future__ import annotations

import stat
import sysconfig
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from codex_connectors.listing import list_files
from codex_connectors.local import LocalStore
from codex_connectors.threads import in_thread
from codex_core.errors import ObjectMissing, ReadOnlyStore

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, AsyncIterator

    from codex_core.storage import ObjectInfo

_LEFT_OUT = frozenset({"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"})


def stdlib_root() -> Path:
    """The folder of the running interpreter's library, which a virtual environment shares with its base."""
    return Path(sysconfig.get_path("stdlib"))


class StdlibStore:
    """The ``*.py`` files of the standard library, as a Connector that refuses to write.

    Left out are installed packages, tests, caches, and links: distributions link ``sitecustomize.py`` to a file of the
    machine's configuration, which is not part of the library.
    """

    contract: ClassVar[int] = 1

    def __init__(self) -> None:
        self.root = stdlib_root()
        self._files = LocalStore(self.root)

    async def stat(self, key: str) -> ObjectInfo:
        """The file's info, with its digest."""
        return await self._files.stat(_check(key))

    async def scan(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Every source file at or below ``prefix``, sorted by the bytes of its key."""
        if not _LEFT_OUT.isdisjoint(prefix.split("/")):
            return
        found = list_files(self.root, prefix, keep=_is_source)
        while batch := await in_thread(list, islice(found, 512)):
            for info in batch:
                yield info

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The file's bytes, as LocalStore reads them."""
        return self._files.read(_check(key), start=start, end=end)

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """ReadOnlyStore, always."""
        raise _read_only(key)

    async def delete(self, key: str) -> None:
        """ReadOnlyStore, always."""
        raise _read_only(key)


def _is_source(key: str, found: os.stat_result) -> bool:
    if stat.S_ISDIR(found.st_mode):
        return key.rpartition("/")[2] not in _LEFT_OUT
    return stat.S_ISREG(found.st_mode) and key.endswith(".py")


def _check(key: str) -> str:
    if key.endswith(".py") and _LEFT_OUT.isdisjoint(key.split("/")):
        return key
    raise ObjectMissing(
        f"python:stdlib holds no object {key!r}", hint="it holds the library's *.py files, without tests"
    )


def _read_only(key: str) -> ReadOnlyStore:
    return ReadOnlyStore(
        f"cannot change {key!r} in python:stdlib: it is the interpreter's own", hint="use a file store"
    )
