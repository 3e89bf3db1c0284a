"""Fallbacks: the other stores that hold the same things, and whether each could be used now, told without a network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from codex_connectors.beneath import open_folder, split_key
from codex_connectors.faults import explain_faults
from codex_connectors.refusal import has_client, no_client, request_url
from codex_connectors.stdlib import stdlib_root
from codex_connectors.stores import connect_local, file_root
from codex_core.errors import CodexError, ConnectorMissing, ObjectMissing, PolicyRefused, StorageError
from codex_core.fallbacks import fallback_names
from codex_core.policy import Request, decide
from codex_core.storage import Fallback, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from codex_core.policy import Policy
    from codex_core.storage import StoreConfig

T = TypeVar("T")


def enumerate_fallbacks(
    store: StoreConfig,
    stores: Mapping[str, StoreConfig],
    policy: Policy,
    *,
    now: datetime,
    stage: str = "cli",
    key: str = "",
) -> tuple[Fallback, ...]:
    """The fallbacks of ``store`` for what it holds at ``key``: its own in their order, then those of each, once.

    A file store is usable if there is something at ``key``; a remote one if the policy lets ``stage`` list it and a
    connector speaks its scheme. Nothing is recorded: nobody has asked to go there yet.
    """
    found = []
    for name in fallback_names(store, stores):
        if name not in stores:
            found.append(Fallback(name, False, "no store has this name"))
        elif connect_local(stores[name]):
            found.append(look(stores[name], key))
        else:
            found.append(_ask(stores[name], key, policy, now, stage))
    return tuple(found)


def first_local(place: Place, stores: Mapping[str, StoreConfig]) -> Place | None:
    """The first fallback of ``place`` that is local and has something there; None if there is none."""
    for name in fallback_names(stores[place.store], stores):
        if name in stores and connect_local(stores[name]) and look(stores[name], place.key).usable:
            return Place(name, place.key)
    return None


def look(store: StoreConfig, key: str) -> Fallback:
    """Whether a local store has something at ``key``.

    The reason holds no path of this machine: it becomes part of outputs that are the same bytes everywhere.
    """
    root = stdlib_root() if store.url.startswith("python:") else file_root(store.url)
    try:
        with explain_faults(root, key):
            _check_readable(root, key)
    except CodexError as error:
        reason = error.message.replace(f"the store's folder {root}", "its folder").replace(str(root), "its folder")
        return Fallback(store.name, False, reason)
    return Fallback(store.name, True, f"its folder holds {key!r}" if key else "its folder is there")


def read_or_fall_back(
    place: Place,
    attempt: Callable[[Place], T],
    fallbacks: Callable[[], tuple[Fallback, ...]],
    *,
    use: bool,
    say: Callable[[str], None],
) -> T:
    """``attempt`` at ``place``; if that is refused or cannot be reached, and ``use``, at its first usable fallback.

    ``say`` is told which and why, for a fallback is never used silently. Otherwise the error of the place itself is
    raised, with the fallbacks if it is a refusal.
    """
    failure = _failure_of(place, attempt)
    if not isinstance(failure, _Failed):
        return failure
    known = fallbacks()
    usable = next((one for one in known if one.usable), None)
    if usable is None or not use:
        raise failure.with_fallbacks(known)
    instead = Place(usable.store, place.key)
    say(f"{place} could not be read: {failure.error.message}")
    say(f"using its fallback {instead}: {usable.reason}")
    return attempt(instead)  # outside of any except: its own error must not look like the refusal's consequence


@dataclass(frozen=True)
class _Failed:
    """Why a place could not be read, so that a fallback may stand in."""

    error: PolicyRefused | StorageError

    def with_fallbacks(self, known: tuple[Fallback, ...]) -> PolicyRefused | StorageError:
        if isinstance(self.error, PolicyRefused):
            return PolicyRefused(self.error.decision, fallbacks=known)
        return self.error


def _failure_of(place: Place, attempt: Callable[[Place], T]) -> T | _Failed:
    try:
        return attempt(place)
    except (PolicyRefused, ConnectorMissing, ObjectMissing) as error:
        return _Failed(error)


def _check_readable(root: Path, key: str) -> None:
    """Raise OSError or KeyRefused if nothing can be read at ``key``."""
    folders, name = split_key(key) if key else ((), ".")
    with open_folder(root, folders) as folder:
        os.close(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder))


def _ask(store: StoreConfig, key: str, policy: Policy, now: datetime, stage: str) -> Fallback:
    try:
        decision = decide(policy, Request("list", request_url(store, key), stage, "connector"), now=now)
    except CodexError as error:
        return Fallback(store.name, False, error.message)
    if decision.allowed and not has_client(store.url.partition(":")[0]):
        return Fallback(store.name, False, f"{decision.reason}, but {no_client(store).message}")
    return Fallback(store.name, decision.allowed, decision.reason)
