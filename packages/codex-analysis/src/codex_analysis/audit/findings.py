"""Findings: the kinds and verdicts, one finding with its fingerprint, and the whole audit as JSON shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from codex_core.digest import digest_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

SCHEMA = "codex.audit/1"

Kind = Literal["marker", "not-implemented", "empty-body", "unreadable"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Verdict = Literal["stub", "note", "unknown", "no-op", "contract"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

SETTLED: frozenset[Verdict] = frozenset({"no-op", "contract"})
"""The verdicts with which nothing is left to do: a finding that bears one never fails an audit."""


@dataclass(frozen=True)
class Sighting:
    """What was seen at one place of a file, before it is told apart from others like it.

    ``line`` counts from 1, ``column`` from 0. ``text`` is what stands there, in the form that a fingerprint covers;
    ``message`` says it to a person, and ``why`` gives the reason for the verdict.
    """

    kind: Kind
    line: int
    column: int
    verdict: Verdict
    qualname: str
    text: str
    message: str
    why: str


@dataclass(frozen=True)
class Finding:
    """One finding of an audit. ``path`` is relative to the audited root, with ``/``; ``line`` counts from 1.

    ``fingerprint`` stays the same while lines move and other code changes: it is the digest of the kind, the path, the
    qualified name of the function or class around it, the text, and which of several equal ones this is.
    """

    kind: Kind
    path: str
    line: int
    verdict: Verdict
    fingerprint: str
    qualname: str
    message: str
    why: str

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do here."""
        return self.verdict in SETTLED

    def to_json(self) -> dict[str, str | int]:
        """The object that ``findings`` shows."""
        return dict(vars(self))


@dataclass(frozen=True)
class Skipped:
    """Something below the audited root that was not looked into: a link, or a special file."""

    path: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """The object that ``skipped`` shows."""
        return dict(vars(self))


@dataclass(frozen=True)
class Audit:
    """A whole audit: ``digest`` is that of the audited files as a folder's, ``lines`` counts those that were read."""

    digest: str
    files: int
    lines: int
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind; every kind is named."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS}

    def verdicts(self) -> dict[str, dict[str, int]]:
        """How many findings of each kind have which verdict; only those that occur."""
        found = Counter((finding.kind, finding.verdict) for finding in self.findings)
        return {kind: {verdict: found[kind, verdict] for verdict in VERDICTS if found[kind, verdict]} for kind in KINDS}

    def unsettled(self, kinds: Collection[str]) -> tuple[Finding, ...]:
        """The findings of ``kinds`` with which something is left to do."""
        return tuple(finding for finding in self.findings if finding.kind in kinds and not finding.settled)

    def to_json(self) -> dict[str, object]:
        """The members of ``audit.json``, without its schema."""
        return {
            "digest": self.digest,
            "files": self.files,
            "lines": self.lines,
            "counts": self.counts(),
            "verdicts": self.verdicts(),
            "findings": [finding.to_json() for finding in self.findings],
            "skipped": [item.to_json() for item in self.skipped],
        }


def identify(path: str, sightings: Iterable[Sighting]) -> Iterator[Finding]:
    """The findings of the file at ``path``, in the order of their places, each with its fingerprint."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for item in sorted(sightings, key=lambda item: (item.line, item.column, item.kind)):
        same = (item.kind, item.qualname, item.text)
        fingerprint = digest_json([item.kind, path, item.qualname, item.text, seen[same]])
        seen[same] += 1
        yield Finding(item.kind, path, item.line, item.verdict, fingerprint, item.qualname, item.message, item.why)


def plain(text: str) -> str:
    """``text`` on one line, as ``printable`` writes it."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """``text`` with an escape for whatever a terminal would not show, or a JSON file could not hold."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
