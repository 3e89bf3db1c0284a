"""The doctor: what is installed, what is broken, and what this machine and this project can do."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from codex_cli import index_cache, siblings
from codex_cli.origins import find_origins, module_file
from codex_cli.user_folders import cache_folder
from codex_core.errors import CodexError, ConfigError
from codex_core.exchange import swap
from codex_core.install import install_line
from codex_core.offline.levels import explain
from codex_core.offline.probe import probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from codex_cli.origins import Origin

REASONS = {
    "kernel": "programs run in network, mount and user namespaces of their own, where nothing but loopback exists",
    "nosocket": "seccomp leaves programs no socket but unix ones, so loopback does not work inside either",
    "python": "an audit hook explains refusals inside Python; it does not stop native code",
}
"""What each level means, for a person."""
_INHERITED = "there is no network here already, as in a container without one or inside another seal"
_SHARED_PIDS = "; without a pid namespace, since /proc is masked here"
OLDEST_PYTHON = (3, 11)
_ROOM = 64 * 1024
"""Bytes that a state folder must still take."""


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``warn`` can be lived with, ``fail`` cannot; ``hint`` says what to do."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    hint: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """The object that ``checks`` of ``doctor`` shows."""
        return dict(vars(self))


def examine(start: Path, environ: Mapping[str, str]) -> list[Check]:
    """Every check; ``start`` is the folder whose project is looked at."""
    return [
        check_python(),
        *check_packages(),
        *check_plugins(),
        check_cache(environ),
        *check_project(start),
        check_ledger(start, environ),
    ]


@dataclass(frozen=True)
class Guard:
    """The level that this machine gives, why it is that one, and what stands in the way of a higher one.

    ``inherited``: the network was gone before.
    """

    level: str
    inherited: bool
    reason: str
    faults: tuple[Check, ...]

    def to_json(self) -> dict[str, str]:
        """The object that ``guard`` of ``doctor`` shows."""
        return {"level": self.level, "reason": self.reason}


def examine_guard() -> Guard:
    """What is enforced around a program here, found by sealing one that does nothing."""
    level, faults = probe()
    reason = _INHERITED if level.inherited else REASONS[level.name]
    if level.namespaces and not level.pids:
        reason += _SHARED_PIDS
    hint = f"without it, the level is {level.name}" if level.name != "kernel" else "the level is kernel all the same"
    told = dict.fromkeys((name, explain((name, step, number))) for name, step, number in faults)
    return Guard(
        level.name, level.inherited, reason, tuple(Check(f"level {name}", "warn", text, hint) for name, text in told)
    )


def describe_checks(guard: Guard, checks: list[Check]) -> str:
    """The checks for a person."""
    width = max(len(check.name) for check in checks)
    reason = textwrap.wrap(guard.reason, 96, initial_indent="  ", subsequent_indent="  ")
    lines = [f"guard level: {guard.level}", *reason, ""]
    for check in checks:
        lines.append(f"{check.status:<4}  {check.name:<{width}}  {check.message}")
        if check.hint:
            lines.append(f"{'':<4}  {'':<{width}}  {check.hint}")
    return "\n".join(lines)


def check_python() -> Check:
    """Whether this Python is one that Codex runs on."""
    version = ".".join(map(str, sys.version_info[:3]))
    message = f"{version}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", message, f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    return Check("python", "ok", message)


def check_packages() -> Iterator[Check]:
    """Each package of Codex: its version and where it is from, or that it is absent."""
    origins = find_origins()
    for name in siblings.PACKAGES:
        found = [origin for origin in origins if origin.name == name]
        yield from map(_check_origin, found)
        if not found:
            yield _check_absent(name)


def _check_origin(origin: Origin) -> Check:
    where = f"{origin.version}, {'editable, ' if origin.editable else ''}{origin.folder}"
    if origin.ours:
        return Check(origin.name, "ok", where)
    loaded = module_file(origin.name)
    message = f"{where}: this is not the package that provides {loaded or siblings.PACKAGES[origin.name]}"
    return Check(origin.name, "warn", message, f"pip uninstall {origin.name}, and install it again from a wheelhouse")


def _check_absent(name: str) -> Check:
    loaded = module_file(name)
    line = install_line(name.removeprefix("codex-"))
    if loaded is not None:
        return Check(name, "warn", f"{loaded} has no metadata, so its plug-ins are not found", line)
    return Check(name, "ok", "not installed", line)


def check_plugins() -> Iterator[Check]:
    """Every plug-in that cannot be used, of all groups, with its origin and the reason."""
    from codex_cli.command_search import find_commands
    from codex_core.registry import KINDS, Registry

    plugins = [(group, plugin) for group in KINDS for plugin in Registry(group).plugins()]
    bad = [(group, plugin) for group, plugin in plugins if plugin.state != "ok"]
    for group, plugin in bad:
        message = f"{plugin.name} in {group} is {plugin.state}: {plugin.reason}; it is from {plugin.origin}"
        yield Check("plug-in", "warn", message, "uninstall it, or install a version that works with this release")
    for fault in find_commands().faults:
        yield Check("plug-in", "warn", fault)
    if not bad:
        yield Check("plug-ins", "ok", f"{len(plugins)} found")


def check_cache(environ: Mapping[str, str]) -> Check:
    """Whether the command index can be kept; without it every start looks for plug-ins anew."""
    folder = cache_folder(environ)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 -- a str, as the front door has it
        fault = index_cache.fault_of(folder) or _write_fault(Path(folder))
    except OSError as error:
        fault = error.strerror or str(error)
    if fault:
        return Check(
            "cache",
            "warn",
            f"{folder}: {fault}",
            "set XDG_CACHE_HOME to a folder of your own; starts are slower without",
        )
    return Check("cache", "ok", folder)


def check_project(start: Path) -> Iterator[Check]:
    """The nearest pipeline file, and what its state folder's file system can do."""
    from codex_core.project import find_pipeline_file

    file = find_pipeline_file(start)
    if file is None:
        yield Check("pipeline", "ok", f"there is no codex.toml in {start} or above")
        return
    yield check_pipeline(file)
    state = file.absolute().parent / ".codex"
    yield from check_state(state if state.is_dir() else state.parent)


def check_pipeline(file: Path) -> Check:
    """Whether a pipeline file has no mistake."""
    from codex_cli.pipeline import read_pipeline

    try:
        pipeline = read_pipeline(file)
    except ConfigError as error:
        count = len(error.problems)
        message = f"{file} has {count} mistake{'' if count == 1 else 's'}, the first: {error.problems[0]}"
        return Check("pipeline", "fail", message, "codex plan shows them all")
    count = len(pipeline.stages)
    return Check("pipeline", "ok", f"{file}, {count} stage{'' if count == 1 else 's'}")


def check_ledger(start: Path, environ: Mapping[str, str]) -> Check:
    """Whether the chain of the ledger holds that is written to here."""
    from codex_cli.sealed_project import STATE, place_of_ledger
    from codex_core import ledger
    from codex_core.project import find_pipeline_file

    file = find_pipeline_file(start)
    path = place_of_ledger(None if file is None else str(file.absolute().parent / STATE), environ)
    if not os.path.exists(path):  # noqa: PTH110 -- a str, as a sealed command has it
        return Check("ledger", "ok", f"{path} is not there yet")
    try:
        report = ledger.verify(path)
    except (OSError, CodexError) as error:
        return Check("ledger", "fail", f"{path}: {error}", "nothing can be recorded there, and so nothing run")
    if report.bad_line is not None:
        message = f"{path}:{report.bad_line}: the chain does not hold: {report.reason}"
        return Check("ledger", "warn", message, ledger.hint_of(report.reason))
    return Check("ledger", "ok", f"{path}, {report.entries} entr{'y' if report.entries == 1 else 'ies'}")


def check_state(folder: Path) -> Iterator[Check]:
    """Whether ``folder`` can be written to, locked in, and have its outputs replaced in one step."""
    from codex_cli.pipeline.state import hint_of

    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as name:
            _check_room(Path(name))
            yield Check("state folder", "ok", f"{folder} can be written to")
            yield _check_lock(Path(name))
            yield _check_exchange(Path(name))
    except OSError as error:
        yield Check("state folder", "fail", f"{folder}: {error.strerror}", hint_of(error))


def _write_fault(folder: Path) -> str:
    with tempfile.TemporaryFile(dir=folder):
        return ""


def _check_room(folder: Path) -> None:
    """OSError if nothing can be written: a full disk takes new names all the same."""
    with open(folder / "room", "wb") as stream:
        stream.write(bytes(_ROOM))
        stream.flush()
        os.fsync(stream.fileno())


def _check_lock(folder: Path) -> Check:
    with open(folder / "lock", "wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = "use a local file system: without locks, two runs at once are not kept apart"
            return Check("file locks", "fail", f"flock(2): {error.strerror}", hint)
    return Check("file locks", "ok", "flock(2) works")


def _check_exchange(folder: Path) -> Check:
    old, new = folder / "old", folder / "new"
    old.touch()
    new.mkdir()
    try:
        swap(new, old)
    except OSError as error:
        hint = "an output that is replaced is absent for a moment; nothing is lost by that"
        return Check("rename exchange", "warn", f"renameat2(2): {error.strerror}", hint)
    return Check("rename exchange", "ok", "renameat2(2) exchanges an output for its successor in one step")
