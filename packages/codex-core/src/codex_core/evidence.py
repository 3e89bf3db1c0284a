"""Evidence: what a provider finds, in one shape for code, documents, runs and the web."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class Evidence:
    """One finding. ``id`` stays the same while the finding does; ``span`` is its first and last line, from 1.

    ``raw_score`` is the provider's own; ``score`` is comparable between providers, from 0 to 1.
    """

    id: str
    uri: str
    title: str
    span: tuple[int, int] | None
    snippet: str
    raw_score: float
    score: float
    source: str

    def to_json(self) -> dict[str, object]:
        """The object that ``codex analyze search --json`` shows."""
        names = ("id", "uri", "title", "snippet", "score", "source")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class SearchResult:
    """A provider's answer: its evidence, best first, whether it could look everywhere, and if not, why."""

    evidence: tuple[Evidence, ...]
    status: Literal["ok", "degraded", "unavailable"] = "ok"
    reason: str = ""


@runtime_checkable
class Provider(Protocol):
    """Finds evidence in one kind of source. ``contract`` is the version of this protocol it was written for."""

    contract: ClassVar[int]

    def search(self, query: str, *, limit: int = 20) -> SearchResult:
        """At most ``limit`` findings for ``query``; what cannot be searched is said in the result, never raised."""
        ...
