"""Storage: what a connector must do, what an object is, and how a place in a store is named.

A key is a relative path with ``/`` between its parts; ``store://NAME/KEY`` is a place in the store NAME of a project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from codex_core.errors import KeyRefused, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from datetime import datetime

PLACE_SCHEME = "store://"


@dataclass(frozen=True)
class ObjectInfo:
    """What a store knows of an object: ``size`` in bytes; the rest is None where the store cannot tell."""

    key: str
    size: int
    digest: str | None = None
    etag: str | None = None
    modified: datetime | None = None


@runtime_checkable
class Connector(Protocol):
    """Moves bytes for one scheme. Keys are relative to the store's root; bytes are streamed, never whole.

    Its errors are those of ``codex_core.errors.StorageError`` and ``PolicyRefused``. ``contract`` is the version of
    this protocol that it was written for.
    """

    contract: ClassVar[int]

    async def stat(self, key: str) -> ObjectInfo:
        """The object's info, with its digest; ObjectMissing if there is none."""
        ...

    def scan(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Every object whose key is ``prefix`` or lies below it, sorted by the bytes of the key.

        ``digest`` is None where the store would have to read the object to know it.
        """
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The object's bytes from ``start`` up to, and without, ``end``; ShortRead if they end before that."""
        ...

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """Store ``chunks`` under ``key``, all of them or nothing; ObjectExists if ``if_absent`` and there is one."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; ObjectMissing if there is none."""
        ...


@dataclass(frozen=True)
class StoreConfig:
    """A ``[stores.NAME]`` table. ``url`` is absolute; ``fallbacks`` are names of other stores, in their order.

    ``credentials`` names where the secret is found, and never holds it.
    """

    name: str
    url: str
    endpoint: str | None = None
    fallbacks: tuple[str, ...] = ()
    credentials: str | None = None


@dataclass(frozen=True)
class Place:
    """``store://NAME[/KEY]``: a store of the project, and a key or a prefix in it (empty: all of it)."""

    store: str
    key: str = ""

    def __str__(self) -> str:
        return f"{PLACE_SCHEME}{self.store}/{self.key}" if self.key else f"{PLACE_SCHEME}{self.store}"


def parse_place(text: str) -> Place:
    """The place that ``text`` names; UsageError if it is not ``store://NAME[/KEY]``, KeyRefused for a bad key."""
    name, _, key = text.removeprefix(PLACE_SCHEME).partition("/")
    if not text.startswith(PLACE_SCHEME) or not name:
        raise UsageError(f"{text!r} is not a place in a store", hint="write store://NAME/KEY")
    return Place(name, check_key(key.removesuffix("/")) if key else "")


def check_key(key: str) -> str:
    """``key`` itself, if it stays inside its store; KeyRefused if it is empty, absolute, or has ``.``, ``..``, NUL."""
    parts = key.split("/")
    if "\0" in key or any(part in {"", ".", ".."} for part in parts):
        raise KeyRefused(
            f"the key {key!r} is not a relative path inside the store", hint="write it without '', '.' and '..'"
        )
    return key


@dataclass(frozen=True)
class Fallback:
    """Another store that holds the same things: whether it could be used now, and why or why not."""

    store: str
    usable: bool
    reason: str

    def to_json(self) -> dict[str, object]:
        """The object that ``fallbacks`` of ``--json`` shows."""
        return {"store": self.store, "usable": self.usable, "reason": self.reason}
