"""The report: an audit as a person reads it, and what its failing findings are."""

from __future__ import annotations

import os
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from codex_analysis.audit.findings import KINDS, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from codex_analysis.audit.findings import Audit, Finding

SHOWN = 100
"""How many findings a report lists before it points to the rest."""

_WIDTH = 100


def write_report(audit: Audit, *, prefix: str = "", limit: int = SHOWN) -> str:
    """The findings by file, those with something left to do first to be kept if there are more than ``limit``.

    ``prefix`` stands before every path: the audited root as the reader would write it.
    """
    findings = audit.findings
    kept = sorted(range(len(findings)), key=lambda index: findings[index].settled)[:limit]
    lines = list(list_findings([findings[index] for index in sorted(kept)], prefix=prefix))
    if len(findings) > limit:
        lines += [f"... and {_number(len(findings) - limit, 'more finding')}: --json lists them all", ""]
    return "\n".join([*lines, *_summary(audit)]) + "\n"


def list_findings(findings: Sequence[Finding], *, prefix: str = "") -> Iterator[str]:
    """One line for each finding, below its file's path, an empty line after each file."""
    for path, group in groupby(findings, key=lambda finding: finding.path):
        yield printable(f"{prefix}{path}")
        yield from (_line(finding) for finding in group)
        yield ""


def prefix_of(root: Path, base: Path) -> str:
    """How one who stands in ``base`` would write the folder ``root`` before the paths below it; absolute if outside."""
    shown = os.path.relpath(root, base)
    if shown.partition("/")[0] == "..":
        return f"{root}/"
    return "" if shown == "." else f"{shown}/"


def count_kinds(findings: Iterable[Finding]) -> str:
    """How many findings of which kind, such as ``2 marker, 1 empty-body``."""
    found = Counter(finding.kind for finding in findings)
    return ", ".join(f"{found[kind]} {kind}" for kind in KINDS if found[kind])


def _line(finding: Finding) -> str:
    name = f"{finding.qualname}: " if finding.qualname else ""
    reason = f" ({finding.why})" if finding.settled else ""
    text = f"{name}{finding.message}"
    cut = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
    return f"  {finding.line:>6}  {finding.kind:<15}  {finding.verdict:<8}  {cut}{reason}"


def _summary(audit: Audit) -> Iterator[str]:
    read = f"{_number(audit.files, 'Python file')}, {_number(audit.lines, 'line')}"
    if not audit.findings:
        yield f"nothing found in {read}" if audit.files else "no Python file found"
    else:
        yield f"{_number(len(audit.findings), 'finding')} in {read}"
        for kind, verdicts in audit.verdicts().items():
            told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
            if told:
                yield f"  {kind:<15}  {told}"
    if audit.skipped:
        yield f"not followed: {_number(len(audit.skipped), 'link or special file', 'links or special files')}"


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
