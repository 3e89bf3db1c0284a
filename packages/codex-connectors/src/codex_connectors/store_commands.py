"""What each ``codex store`` command does: from its words to its Reply."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from codex_connectors.fallbacks import enumerate_fallbacks, read_or_fall_back
from codex_connectors.places import Spot, find_spot
from codex_connectors.refusal import Judge, request_url
from codex_connectors.selection import Selection
from codex_connectors.stores import connect, connect_local, find_store
from codex_connectors.suggestions import suggest
from codex_connectors.tables import object_table, readable_size, shown, table
from codex_connectors.transfer import copy_folder, get_folder, get_object, list_objects, put_file, put_folder
from codex_core.command import Reply
from codex_core.digest import digest_entries
from codex_core.errors import ObjectExists, ObjectMissing, UsageError
from codex_core.ledger import Ledger
from codex_core.policy import Request, decide
from codex_core.project import Project, nearest_project
from codex_core.storage import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_core.digest import FileEntry
    from codex_core.policy import Decision
    from codex_core.storage import Connector, Fallback, ObjectInfo

T = TypeVar("T")
STAGE = "cli"


def ls(text: str, *, use_fallback: bool, digests: bool) -> Reply:
    """The objects at and below a place; an empty store is no error, an empty prefix is."""
    session = _Session.here()
    found, notes = session.read(text, use_fallback, lambda spot, source: (spot, _list(spot, source, digests)))
    spot, objects = found
    listed = [{"key": info.key, "size": info.size, "digest": info.digest} for info in objects]
    text = "\n".join([*notes, object_table(objects)])
    return Reply({"place": str(spot), "notes": notes, "objects": listed}, text)


def stat(text: str, *, use_fallback: bool) -> Reply:
    """One object's size, digest, etag and time."""
    session = _Session.here()
    (spot, info), notes = session.read(
        text, use_fallback, lambda spot, source: (spot, asyncio.run(source.stat(_key(spot))))
    )
    modified = info.modified.isoformat() if info.modified else None
    body = {"key": info.key, "size": info.size, "digest": info.digest, "etag": info.etag, "modified": modified}
    size = f"{info.size} bytes" + (f" ({readable_size(info.size)})" if info.size >= 1024 else "")
    rows = [
        ("key", shown(info.key)),
        ("size", size),
        ("digest", info.digest),
        ("etag", info.etag),
        ("modified", modified),
    ]
    text = "\n".join([*notes, table([(name, str(value)) for name, value in rows if value])])
    return Reply({"place": str(spot), "notes": notes, **body}, text)


def get(text: str, path: Path, *, force: bool, use_fallback: bool) -> Reply:
    """Copy an object or a prefix out of a store."""
    session = _Session.here()
    got, notes = session.read(text, use_fallback, lambda spot, source: _get(spot, source, path, force))
    size = sum(entry.size for entry in got.entries)
    body = {"place": str(got.spot), "notes": notes, "path": str(got.path), "kind": got.kind, "digest": got.digest}
    what = f"{len(got.entries)} files" if got.kind == "folder" else "1 file"
    line = f"{got.spot} -> {shown(str(got.path))}: {what}, {readable_size(size)}, {got.digest}"
    return Reply({**body, "files": len(got.entries), "size": size}, "\n".join([*notes, line]))


def put(path: Path, text: str, *, if_absent: bool) -> Reply:
    """Store a file under a key, or under its own name in a folder; or all that is below a folder."""
    session = _Session.here()
    spot = session.find(text)
    if path.is_dir():
        return _put_folder(path, spot, session.connect(spot), if_absent)
    if not path.is_file():
        raise UsageError(
            f"{path} is {'neither a file nor a folder' if path.exists() else 'not there'}", hint="name a file"
        )
    if not spot.key or text.endswith("/"):
        spot = spot.below(path.name)
    replaced = _exists(spot)
    info = asyncio.run(put_file(session.connect(spot), spot.key, path, if_absent=if_absent))
    body = {"place": str(spot), "path": str(path), "kind": "object", "digest": info.digest, "replaced": replaced}
    line = f"{shown(str(path))} -> {spot}: {readable_size(info.size)}, {info.digest}"
    return Reply({**body, "files": 1, "size": info.size}, line + (" (replaced what was there)" if replaced else ""))


def _put_folder(path: Path, spot: Spot, target: Connector, if_absent: bool) -> Reply:
    entries = asyncio.run(put_folder(target, spot.key, path, if_absent=if_absent))
    size, digest = sum(entry.size for entry in entries), digest_entries(entries)
    body = {"place": str(spot), "path": str(path), "kind": "folder", "digest": digest, "replaced": None}
    line = f"{shown(str(path))} -> {spot}: {len(entries)} files, {readable_size(size)}, {digest}"
    return Reply({**body, "files": len(entries), "size": size}, line)


def fallbacks(text: str) -> Reply:
    """The decision about listing a place, None for a local one, and the place's fallbacks."""
    session = _Session.here()
    spot = session.find(text)
    decision = session.decide(spot)
    known = session.fallbacks(spot)
    body = {
        "place": str(spot),
        "decision": decision.to_json() if decision else None,
        "fallbacks": [one.to_json() for one in known],
    }
    head = f"{spot} is on this machine" if decision is None else f"{decision.verdict}: {decision.reason}"
    rows = [(one.store, "usable" if one.usable else "not usable", one.reason) for one in known]
    return Reply(body, f"{head}\n{table(rows) if rows else 'it has no fallbacks'}")


@dataclass(frozen=True)
class _Got:
    """What was copied, from where, and to where."""

    spot: Spot
    path: Path
    kind: str
    entries: tuple[FileEntry, ...]

    @property
    def digest(self) -> str:
        return self.entries[0].sha256 if self.kind == "object" else digest_entries(self.entries)


@dataclass(frozen=True)
class _Session:
    """One command's project, and the time at which it began."""

    project: Project
    now: datetime

    @classmethod
    def here(cls) -> _Session:
        return cls(nearest_project(Path.cwd(), os.environ), datetime.now(UTC))

    def find(self, text: str) -> Spot:
        return find_spot(text, self.project.stores, Path.cwd())

    def connect(self, spot: Spot) -> Connector:
        return connect(spot.store, Judge(self.project.policy, STAGE, lambda: self.now, self.record))

    def record(self, decision: Decision) -> None:
        """Keep the Decision in the project's ledger; a refusal is on disk before anything else happens."""
        if self.project.file is not None:
            ledger = Ledger(self.project.root / ".codex" / "ledger.ndjson")
            ledger.append("decision", decision.to_json(), at=self.now, sync=not decision.allowed)

    def decide(self, spot: Spot) -> Decision | None:
        if connect_local(spot.store) is not None:
            return None
        request = Request("list", request_url(spot.store, spot.key), STAGE, "connector")
        decision = decide(self.project.policy, request, now=self.now)
        self.record(decision)
        return decision

    def fallbacks(self, spot: Spot) -> tuple[Fallback, ...]:
        project = self.project
        return enumerate_fallbacks(spot.store, project.stores, project.policy, now=self.now, stage=STAGE, key=spot.key)

    def read(self, text: str, use_fallback: bool, work: Callable[[Spot, Connector], T]) -> tuple[T, list[str]]:
        """What ``work`` reads at the place, or at its fallback, and what a person must be told about that."""
        spot = self.find(text)
        notes: list[str] = []
        if not spot.named:
            return self._attempt(spot, work), notes

        def attempt(place: Place) -> T:
            return self._attempt(Spot(find_store(self.project.stores, place.store), place.key, named=True), work)

        place = Place(spot.store.name, spot.key)
        known = partial(self.fallbacks, spot)
        return read_or_fall_back(place, attempt, known, use=use_fallback, say=notes.append), notes

    def _attempt(self, spot: Spot, work: Callable[[Spot, Connector], T]) -> T:
        source = self.connect(spot)
        try:
            return work(spot, source)
        except ObjectMissing as error:
            local = connect_local(spot.store)
            if local is None or not spot.key:
                raise
            raise suggest(error, local.root, spot.key) from None


def _list(spot: Spot, source: Connector, digests: bool) -> list[ObjectInfo]:
    objects = asyncio.run(list_objects(source, Selection(spot.key), digests=digests))
    if spot.key and not objects:
        raise ObjectMissing(f"{spot} holds nothing")
    return objects


def _key(spot: Spot) -> str:
    if not spot.key:
        raise UsageError(f"{spot} is a whole store, not an object", hint="add the object's key")
    return spot.key


def _get(spot: Spot, source: Connector, path: Path, force: bool) -> _Got:
    path = path.parent.resolve() / path.name
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist", hint="create it, or choose another path")
    if spot.key:
        try:
            return _get_object(spot, source, path, force)
        except ObjectMissing:
            pass  # then it is a folder, or the error of that one tells more
    if os.path.lexists(path) and not (force and path.is_dir()):
        raise _exists_already(path)
    copy = copy_folder if force and path.is_dir() else get_folder
    return _Got(spot, path, "folder", asyncio.run(copy(source, Selection(spot.key), path)))


def _get_object(spot: Spot, source: Connector, path: Path, force: bool) -> _Got:
    target = path / spot.key.rpartition("/")[2] if path.is_dir() else path
    if os.path.lexists(target) and not force:
        raise _exists_already(target)
    return _Got(spot, target, "object", (asyncio.run(get_object(source, spot.key, target, replace=force)),))


def _exists_already(path: Path) -> ObjectExists:
    return ObjectExists(f"{path} exists already", hint="choose another path, or give --force")


def _exists(spot: Spot) -> bool | None:
    """Whether the object is there; None where only a network could tell."""
    local = connect_local(spot.store)
    return os.path.lexists(local.root / spot.key) if local else None
