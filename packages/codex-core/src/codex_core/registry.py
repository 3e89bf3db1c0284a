"""The registry: plug-ins, found by their entry points and checked one by one, so that a broken one breaks no other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar, overload

from codex_core.command import Commands
from codex_core.errors import PluginError, PluginUnknown
from codex_core.events import Writer
from codex_core.evidence import Provider
from codex_core.install import install_line
from codex_core.stage import Stage
from codex_core.status import Target
from codex_core.storage import Connector
from codex_core.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import Distribution, EntryPoint

    Source = Callable[[], Iterable[Distribution]]

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """What the entry points of a group name: an object that keeps ``contract``, or a class of such objects (``made``).

    A class is for what must be told which store, file or place it works for. ``version`` is the one version of the
    contract that this release speaks; a plug-in says in its attribute ``contract`` which one it was written for.
    """

    noun: str
    contract: type
    made: bool = False
    version: int = 1


KINDS = {
    "codex.commands": Kind("command list", Commands),
    "codex.connectors": Kind("connector", Connector, made=True),
    "codex.providers": Kind("provider", Provider, made=True),
    "codex.stages": Kind("stage", Stage),
    "codex.targets": Kind("target", Target, made=True),
    "codex.tasks": Kind("task", Task),
    "codex.writers": Kind("writer", Writer, made=True),
}
"""The entry point groups, and what they hold."""

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_SIBLINGS = ("analysis", "connectors", "deploy", "train")


@dataclass(frozen=True)
class Plugin:
    """What is known of a plug-in. ``origin`` is ``DISTRIBUTION VERSION (module:attribute)``.

    A ``duplicate`` is a name that more than one distribution claims: none of them is used. ``reason`` says why a
    plug-in is not ``ok``, and is None if it is.
    """

    name: str
    origin: str
    state: Literal["ok", "broken", "duplicate"]
    reason: str | None = None


def installed_distributions() -> Iterable[Distribution]:
    """The distributions on ``sys.path``, in its order."""
    from importlib.metadata import distributions  # it costs as much as a Python start, and few need a plug-in

    return distributions()


class Registry(Generic[T]):
    """The plug-ins of one entry point group. What is installed is looked up once; a plug-in is imported by ``load``.

    A name is made of lower-case letters and digits, with single ``.``, ``-`` and ``_`` between them. Of a distribution
    that is on ``sys.path`` twice the first counts, as it does for ``import``.
    """

    @overload
    def __init__(
        self: Registry[Commands], group: Literal["codex.commands"], *, distributions: Source = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Registry[type[Connector]], group: Literal["codex.connectors"], *, distributions: Source = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Registry[type[Provider]], group: Literal["codex.providers"], *, distributions: Source = ...
    ) -> None: ...
    @overload
    def __init__(self: Registry[Stage], group: Literal["codex.stages"], *, distributions: Source = ...) -> None: ...
    @overload
    def __init__(
        self: Registry[type[Target]], group: Literal["codex.targets"], *, distributions: Source = ...
    ) -> None: ...
    @overload
    def __init__(self: Registry[Task], group: Literal["codex.tasks"], *, distributions: Source = ...) -> None: ...
    @overload
    def __init__(
        self: Registry[type[Writer]], group: Literal["codex.writers"], *, distributions: Source = ...
    ) -> None: ...
    @overload
    def __init__(self: Registry[object], group: str, *, distributions: Source = ...) -> None: ...
    def __init__(self, group: str, *, distributions: Source = installed_distributions) -> None:
        self.group = group
        self.kind = KINDS[group]
        self._distributions = distributions

    def names(self) -> tuple[str, ...]:
        """The names that can be asked for, sorted; nothing is imported, so one of them may turn out to be broken."""
        return tuple(name for name in sorted(self._survey.claims) if _NAME.fullmatch(name))

    def load(self, name: str) -> T:
        """The plug-in of this name, imported and checked.

        PluginUnknown if there is none; PluginError, with the origin and the reason, if it is broken or claimed twice.
        """
        claims = self._survey.claims.get(name)
        if not claims:
            raise self._unknown(name)
        if len(claims) > 1:
            origins = " and ".join(claim.origin for claim in claims)
            raise PluginError(
                f"the {self.kind.noun} {name!r} is claimed by {origins}", hint="uninstall all but one of them"
            )
        try:
            return self._load(claims[0])
        except _Broken as error:
            message = f"the {self.kind.noun} {name!r} of {claims[0].origin} cannot be used: {error}"
            raise PluginError(
                message, hint="install what it lacks, or a version that is written for this release"
            ) from error.__cause__

    def plugins(self) -> tuple[Plugin, ...]:
        """All plug-ins of the group, by name and origin, each imported and checked; this raises for none of them."""
        found = [self._examine(claim, claims) for claims in self._survey.claims.values() for claim in claims]
        return tuple(sorted([*found, *self._survey.unreadable], key=lambda plugin: (plugin.name, plugin.origin)))

    def _examine(self, claim: _Claim, claims: list[_Claim]) -> Plugin:
        others = [other.origin for other in claims if other is not claim]
        if others:
            return Plugin(claim.name, claim.origin, "duplicate", f"claimed by {' and '.join(others)} as well")
        try:
            self._load(claim)
        except _Broken as error:
            return Plugin(claim.name, claim.origin, "broken", str(error))
        return Plugin(claim.name, claim.origin, "ok")

    def _load(self, claim: _Claim) -> T:
        if not _NAME.fullmatch(claim.name):
            raise _Broken("its name is not made of a-z and 0-9, with single '.', '-' and '_' between them")
        try:
            loaded = claim.entry.load()
            fault = _fault(self.kind, loaded)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the border: a plug-in raises anything, SystemExit and native panics too
            raise _Broken(f"it raised {_one_line(error)}") from error
        if fault:
            raise _Broken(fault)
        return loaded  # type: ignore[no-any-return]  # _fault has compared it with the kind that T stands for

    def _unknown(self, name: str) -> PluginUnknown:
        from codex_core.wording import did_you_mean

        names, package = self.names(), name.partition(".")[0]
        hints = [did_you_mean(name, names)]
        if package in _SIBLINGS and not any(known.partition(".")[0] == package for known in names):
            hints.append(f"install it: {install_line(package)}")
        hint = " or ".join(filter(None, hints)) or f"there are {', '.join(names) or 'none'}"
        return PluginUnknown(f"no {self.kind.noun} {name!r} is installed", hint=hint)

    @cached_property
    def _survey(self) -> _Survey:
        survey, seen = _Survey(), set()
        for distribution in self._distributions():
            origin = f"a distribution in {distribution.locate_file('')}"
            try:
                if f"[{self.group}]" not in (distribution.read_text("entry_points.txt") or ""):
                    continue
                name, origin = _title(distribution)
                if name in seen:
                    continue
                seen.update({name} - {""})
                unique = {
                    (entry.name, entry.value): entry for entry in distribution.entry_points.select(group=self.group)
                }
            except Exception as error:  # noqa: BLE001  # the border: others' metadata is malformed in any way
                reason = f"its entry points cannot be read: {_one_line(error)}"
                survey.unreadable.append(Plugin("?", origin, "broken", reason))
                continue
            for entry in unique.values():
                claim = _Claim(entry.name, f"{origin} ({entry.value})", entry)
                survey.claims.setdefault(entry.name, []).append(claim)
        return survey


class _Broken(Exception):
    """Why a plug-in cannot be used."""


@dataclass(frozen=True)
class _Claim:
    """An entry point, and where it comes from."""

    name: str
    origin: str
    entry: EntryPoint


@dataclass(frozen=True)
class _Survey:
    """Who claims which name in a group, and the distributions that cannot be asked."""

    claims: dict[str, list[_Claim]] = field(default_factory=dict)
    unreadable: list[Plugin] = field(default_factory=list)


def _title(distribution: Distribution) -> tuple[str, str]:
    """A distribution's name, normalised (PEP 503; empty if it has none), and how it is shown, with its version."""
    metadata = distribution.metadata.json
    name, version = (str(metadata.get(key, "")) for key in ("name", "version"))
    return re.sub(r"[-_.]+", "-", name).lower(), f"{name or 'a nameless distribution'} {version}".rstrip()


def _fault(kind: Kind, plugin: object) -> str | None:
    """Why ``plugin`` is not what an entry point of this kind names; None if it is."""
    if isinstance(plugin, type) != kind.made:
        wanted = f"a class that makes one {kind.noun}" if kind.made else "an object"
        return f"it is {'a class' if isinstance(plugin, type) else f'a {type(plugin).__name__}'}; name {wanted}"
    if Protocol not in kind.contract.__mro__ and not isinstance(plugin, kind.contract):
        return f"it is a {type(plugin).__name__}; name a {kind.contract.__name__} of {kind.contract.__module__}"
    if not hasattr(plugin, "contract"):
        return f"it does not say in 'contract' what it was written for; this release speaks {kind.version}"
    if plugin.contract != kind.version:
        return f"it was written for contract {plugin.contract!r}; this release speaks {kind.version}"
    missing = [name for name in _members(kind.contract) if not _has(plugin, kind.contract, name)]
    return f"as a {kind.noun} it lacks {', '.join(missing)}" if missing else None


def _members(contract: type) -> list[str]:
    """The names that a contract asks for, sorted."""
    methods = (name for name in vars(contract) if name == "__call__" or not name.startswith("_"))
    return sorted({*contract.__annotations__, *methods})


def _has(plugin: object, contract: type, name: str) -> bool:
    return callable(getattr(plugin, name, None)) if callable(getattr(contract, name, None)) else hasattr(plugin, name)


def _one_line(error: BaseException) -> str:
    from traceback import format_exception_only  # it also shows an error whose own text cannot be had

    return " ".join("".join(format_exception_only(error)).split())
