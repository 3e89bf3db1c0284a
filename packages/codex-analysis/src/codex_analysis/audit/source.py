"""One file's audit: from its bytes to its findings."""

from __future__ import annotations

import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_analysis.audit.findings import Finding, Sighting, identify, plain
from codex_analysis.audit.markers import find_markers
from codex_analysis.audit.no_ops import NoOps
from codex_analysis.audit.outline import draw_outline
from codex_analysis.audit.read import Unreadable, read_source
from codex_analysis.audit.shapes import empty_form, raise_message, raises_not_implemented
from codex_analysis.audit.verdicts import judge_empty, judge_raise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_analysis.audit.outline import Outline
    from codex_analysis.audit.read import Source


@dataclass(frozen=True)
class FileAudit:
    """The findings of one file, and how many lines of it were read."""

    findings: tuple[Finding, ...]
    lines: int


def audit_source(data: bytes, path: str) -> FileAudit:
    """Audit the bytes of one file; ``path`` names it in its findings, and makes it a stub file if it ends in ``.pyi``.

    Never raises for what the file may hold: one that is not Python is a finding of the kind ``unreadable``.
    """
    source = read_source(data)
    if isinstance(source, Unreadable):
        return FileAudit((unreadable(path, source),), 0)
    try:
        sightings = list(_sightings(source, stub_file=path.endswith(".pyi")))
    except (tokenize.TokenError, SyntaxError) as error:
        return FileAudit((unreadable(path, Unreadable(f"parses, but cannot be tokenized: {error.args[0]}")),), 0)
    return FileAudit(tuple(identify(path, sightings)), source.lines)


def unreadable(path: str, found: Unreadable) -> Finding:
    """The finding that says that a file could not be read, and why."""
    message = plain(found.reason)
    [finding] = identify(path, [Sighting("unreadable", found.line, 0, "unknown", "", "", message, "it was not read")])
    return finding


def _sightings(source: Source, *, stub_file: bool) -> Iterator[Sighting]:
    outline = draw_outline(source.tree, unrun=stub_file)
    yield from _markers(source.text, outline)
    yield from _empty_bodies(outline)
    yield from _raises(outline)


def _markers(text: str, outline: Outline) -> Iterator[Sighting]:
    for marker in find_markers(text, outline.starts):
        note = plain(marker.text)
        qualname = outline.qualname_at(marker.line)
        place = (marker.line, marker.column)
        yield Sighting("marker", *place, "note", qualname, note, note, "a note of work that is left")


def _empty_bodies(outline: Outline) -> Iterator[Sighting]:
    no_ops = NoOps(outline)
    for item in outline.functions:
        form = empty_form(item.node)
        if form is not None:
            verdict, why = judge_empty(item, no_ops)
            place = (item.node.lineno, item.node.col_offset)
            yield Sighting("empty-body", *place, verdict, item.scope.qualname, form, f"only {form}", why)


def _raises(outline: Outline) -> Iterator[Sighting]:
    for item in outline.raises:
        if raises_not_implemented(item.node, item.scope):
            verdict, why = judge_raise(item)
            message = plain(raise_message(item.node))
            place = (item.node.lineno, item.node.col_offset)
            said = f"raises NotImplementedError: {message}" if message else "raises NotImplementedError"
            yield Sighting("not-implemented", *place, verdict, item.scope.qualname, message, said, why)
