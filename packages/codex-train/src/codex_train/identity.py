"""Identity: what decides the bits of a run, and how two identities differ.

``made_from`` (task, data, code, params, seed) decides the weights on one machine; ``environment`` (threads, versions,
processor, switches) is what else their bits depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


DIGESTED = ("data", "code")
"""What of ``made_from`` is there by its digest."""


@dataclass(frozen=True)
class Identity:
    """Two runs of one identity end in the same bits; the values are those of JSON, without numbers beyond 2^53."""

    made_from: Mapping[str, object]
    environment: Mapping[str, object]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Which of data and code nobody told the digest of, and nobody could find: then nothing says they stay."""
        return tuple(name for name in DIGESTED if self.made_from.get(name) is None)


def differences(before: Identity, after: Identity) -> tuple[str, ...]:
    """Everything in which ``after`` is not ``before``, as ``threads: 1 -> 2``; empty if the bits will be the same."""
    return (
        *_changes(before.made_from, after.made_from, ""),
        *_changes(before.environment, after.environment, ""),
    )


def changed_names(changes: Iterable[str]) -> set[str]:
    """What these differences are about: ``threads`` for ``threads: 1 -> 2``."""
    return {change.partition(":")[0] for change in changes}


def _changes(before: Mapping[str, object], after: Mapping[str, object], within: str) -> Iterator[str]:
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _changes(one, other, f"{within}{name}.")
        elif one != other:
            yield f"{within}{name}: {_shown(one)} -> {_shown(other)}"


def _shown(value: object) -> str:
    return "unknown" if value is None else str(value)
