"""The whole audit: every Python file below the paths, in an order that no file system decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_analysis.audit.files import find_files
from codex_analysis.audit.findings import Audit
from codex_analysis.audit.read import Unreadable
from codex_analysis.audit.source import audit_source, unreadable
from codex_core.digest import FileEntry, digest_bytes, digest_entries, open_regular
from codex_core.errors import DigestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from codex_analysis.audit.findings import Finding


def audit_paths(paths: Sequence[Path], *, exclude: Sequence[str] = ()) -> Audit:
    """Audit folders and files; ``exclude`` are patterns of paths relative to the audited root.

    A file or a folder that cannot be read is a finding. UsageError if a path does not exist. The answer depends on the
    names and bytes of the Python files alone, and on the version of Python, which decides what parses.
    """
    tree = find_files(paths, exclude)
    findings: list[Finding] = [unreadable(path, Unreadable(reason)) for path, reason in tree.closed.items()]
    entries: list[FileEntry] = []
    lines = 0
    for path, file in tree.files.items():
        data = _read(file)
        if isinstance(data, Unreadable):
            findings.append(unreadable(path, data))
            continue
        entries.append(FileEntry(path, len(data), digest_bytes(data)))
        found = audit_source(data, path)
        findings += found.findings
        lines += found.lines
    findings.sort(key=lambda finding: finding.path)  # stable: a file's own findings are in order
    return Audit(digest_entries(entries), len(tree.files), lines, tuple(findings), tree.skips())


def _read(file: Path) -> bytes | Unreadable:
    try:
        with open_regular(file) as stream:
            return stream.read()
    except OSError as error:
        return Unreadable(f"cannot be read: {error.strerror}")
    except DigestError as error:
        return Unreadable(f"cannot be read: {error.message}")
