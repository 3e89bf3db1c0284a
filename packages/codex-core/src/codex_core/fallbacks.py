"""Fallbacks of stores and targets: their names in order, and what is wrong with those in a pipeline file."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from codex_core.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from codex_core.errors import Problem
    from codex_core.toml import TomlSource


class Named(Protocol):
    """A store's table, or a target's."""

    @property
    def name(self) -> str: ...
    @property
    def fallbacks(self) -> tuple[str, ...]: ...


def fallback_names(one: Named, known: Mapping[str, Named]) -> Iterator[str]:
    """The names of the fallbacks of ``one``: its own in their order, then those of each, once; also unknown ones."""
    pending, seen = deque(one.fallbacks), {one.name}
    while pending:
        name = pending.popleft()
        if name not in seen:
            seen.add(name)
            yield name
            pending.extend(known[name].fallbacks if name in known else ())


def check_fallbacks(
    tables: Mapping[str, Mapping[str, Any]], source: TomlSource, key: str
) -> list[Problem]:  # Any: TOML's
    """The mistakes in ``fallbacks`` of the tables ``[key.NAME]``: an unknown name, one twice, a way back to itself.

    Names that are no text are left to others.
    """
    links = {name: _names(table.get("fallbacks")) for name, table in tables.items()}
    noun = key.removesuffix("s")
    problems: list[Problem] = []
    for name, others in links.items():
        for index, other in others.items():
            before = [earlier for at, earlier in others.items() if at < index]
            if (wrong := _mistake(name, other, before, source.data[key], noun)) is not None:
                problems.append(source.problem((key, name, "fallbacks", index), *wrong))
    for circle in _circles({name: tuple(others.values()) for name, others in links.items()}):
        message = f"{noun}s fall back in a circle: {' -> '.join((*circle, circle[0]))}"
        problems.append(source.problem((key, circle[0], "fallbacks"), message, "remove one of these fallbacks"))
    return problems


def _names(fallbacks: object) -> dict[int, str]:
    found = fallbacks if isinstance(fallbacks, list) else []
    return {index: name for index, name in enumerate(found) if isinstance(name, str)}


def _mistake(
    name: str, other: str, before: list[str], known: Mapping[str, object], noun: str
) -> tuple[str, str] | None:
    if other == name:
        return f"{noun} {name!r} falls back on itself", "remove it"
    if other in before:
        return f"{noun} {name!r} falls back on {other!r} twice", "remove it"
    if other not in known:
        near = did_you_mean(other, known) or f"known {noun}s: {', '.join(known)}"
        return f"{noun} {name!r} falls back on {other!r}, which is no {noun}", near
    return None


def _circles(links: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """A way from each name back to itself over names that come after it, so that each circle is told once."""
    order = list(links)
    for at, name in enumerate(order):
        later = set(order[at + 1 :])
        ways: list[tuple[str, ...]] = [(name,)]
        while ways:
            way = ways.pop(0)
            if name in links[way[-1]] and len(way) > 1:
                yield way
                break
            for other in links[way[-1]]:
                if other in later:
                    later.discard(other)
                    ways.append((*way, other))
