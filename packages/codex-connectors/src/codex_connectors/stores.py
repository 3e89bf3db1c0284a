"""Opening a store by its URL: as a Connector, and as ``Store``, the same verbs for code without an event loop."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from codex_connectors.local import CHUNK, LocalStore
from codex_connectors.loop import LoopThread
from codex_connectors.refusal import Judge, RemoteStore
from codex_connectors.stdlib import StdlibStore
from codex_core.errors import UsageError
from codex_core.policy import Policy
from codex_core.storage import PLACE_SCHEME, StoreConfig, parse_place
from codex_core.store_urls import absolute_store_url, check_http_url
from codex_core.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from codex_core.policy import Decision
    from codex_core.storage import Connector, ObjectInfo

_LISTED_AT_ONCE = 256


class Store:
    """A Connector's verbs as ordinary calls. A context manager; any thread may call, and a forked child too."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._loop = LoopThread()

    def stat(self, key: str) -> ObjectInfo:
        """The object's info, with its digest; ObjectMissing if there is none."""
        return self._loop.run(self._connector.stat(key))

    def scan(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key is ``prefix`` or lies below it, sorted by the bytes of the key."""
        return self._loop.iterate(self._connector.scan(prefix), at_once=_LISTED_AT_ONCE)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The object's bytes from ``start`` up to ``end``, chunk by chunk; ShortRead if they end before that."""
        return self._loop.iterate(self._connector.read(key, start=start, end=end))

    def write(self, key: str, data: bytes | Path | Iterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """Store ``data`` under ``key``, all of it or nothing: bytes, the file at a path, or chunks."""
        if isinstance(data, Path):
            from codex_connectors.transfer import put_file

            return self._loop.run(put_file(self._connector, key, data, if_absent=if_absent))
        chunks = (data,) if isinstance(data, bytes) else _gather(data)
        return self._loop.feed(lambda fed: self._connector.write(key, fed, if_absent=if_absent), chunks)

    def delete(self, key: str) -> None:
        """Remove the object; ObjectMissing if there is none."""
        self._loop.run(self._connector.delete(key))

    def close(self) -> None:
        """End what is under way and the store's thread."""
        self._loop.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(
    url: str,
    *,
    endpoint: str | None = None,
    policy: Policy | None = None,
    stage: str = "cli",
    record: Callable[[Decision], None] | None = None,
    now: Callable[[], datetime] | None = None,
    stores: Mapping[str, StoreConfig] | None = None,
) -> Store:
    """``open_connector``, for code without an event loop."""
    connector = open_connector(
        url, endpoint=endpoint, policy=policy, stage=stage, record=record, now=now, stores=stores
    )
    return Store(connector)


def open_connector(
    url: str,
    *,
    endpoint: str | None = None,
    policy: Policy | None = None,
    stage: str = "cli",
    record: Callable[[Decision], None] | None = None,
    now: Callable[[], datetime] | None = None,
    stores: Mapping[str, StoreConfig] | None = None,
) -> Connector:
    """The store at ``url``: a store URL, a relative ``file:`` below the working directory, or ``store://NAME``.

    ``policy`` judges a remote store's requests for ``stage``, at the times that ``now`` gives (default: the clock's);
    no policy allows none. ``record`` gets each Decision. ``stores`` are those that ``store://NAME`` may name.
    """
    judge = Judge(policy or Policy(), stage, now or _clock, record or (lambda decision: None))
    if not url.startswith(PLACE_SCHEME):
        checked = None if endpoint is None else check_http_url(endpoint)
        return connect(StoreConfig(url, absolute_store_url(url, Path.cwd()), checked), judge)
    place = parse_place(url)
    if place.key:
        raise UsageError(
            f"{url!r} names a key in a store", hint=f"open {PLACE_SCHEME}{place.store}, and give its verbs the key"
        )
    return connect(find_store(stores or {}, place.store), judge)


def connect(config: StoreConfig, judge: Judge) -> Connector:
    """The Connector for a configured store."""
    return connect_local(config) or RemoteStore(config, judge)


def connect_local(config: StoreConfig) -> LocalStore | StdlibStore | None:
    """The Connector for a store on this machine, which no policy judges; None if it is elsewhere."""
    if config.url.startswith("file:"):
        return LocalStore(file_root(config.url))
    return StdlibStore() if config.url.startswith("python:") else None


def find_store(stores: Mapping[str, StoreConfig], name: str) -> StoreConfig:
    """The store of this name; UsageError, with the nearest name, if there is none."""
    if name in stores:
        return stores[name]
    known = f"known stores: {', '.join(stores)}" if stores else f"add [stores.{name}] with its url to codex.toml"
    raise UsageError(f"there is no store {name!r}", hint=did_you_mean(name, stores) or known)


def file_root(url: str) -> Path:
    """The folder that an absolute ``file:`` URL names (RFC 8089)."""
    return Path(unquote(url.removeprefix("file://"), errors="surrogateescape"))


def _gather(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces joined, so that each trip to the loop's thread carries something."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held.clear()
            size = 0
    if held:
        yield b"".join(held)


def _clock() -> datetime:
    return datetime.now(UTC)
