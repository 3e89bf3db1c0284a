"""Flaws: what a verification finds wrong, each with the file that it is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_core.errors import CodexError, Problem, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with the file at ``path``, which is relative to what was verified."""

    path: str
    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        """The object that ``problems`` of ``codex verify --json`` shows."""
        return dict(vars(self))

    def problem(self, folder: Path) -> Problem:
        """The same for the ``errors`` of any command; ``folder`` is what was verified."""
        return Problem(self.code, self.message, file=str(folder / self.path))


@dataclass
class Flaws:
    """The flaws found so far."""

    found: list[Flaw] = field(default_factory=list)

    def add(self, path: str, code: str, message: str) -> None:
        """Note that something is wrong with the file at ``path``."""
        self.found.append(Flaw(path, code, message))

    def about(self, path: str) -> _About:
        """A context that notes what is raised inside as a flaw of the file at ``path``, and goes on after it."""
        return _About(self, path)


@dataclass(frozen=True)
class _About:
    """Written as a class, because a type checker takes a generator's context for one that lets every error out."""

    flaws: Flaws
    path: str

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, CodexError):
            self.flaws.add(self.path, error.code, error.message)
        return isinstance(error, CodexError)


def require_none(flaws: Sequence[Flaw], folder: Path) -> None:
    """VerificationError, with all of them, if there are flaws in ``folder``."""
    if flaws:
        first = flaws[0]
        message = f"{folder} does not verify: {first.path}: {first.message}"
        raise VerificationError(message, problems=[flaw.problem(folder) for flaw in flaws])
