"""Audits and evidence about a repository. Names resolve on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module

from codex_analysis.__about__ import __version__

TYPE_CHECKING = False  # importing typing would cost more than all the rest; type checkers know the name
if TYPE_CHECKING:
    from codex_analysis.audit import KINDS, VERDICTS, Audit, FileAudit, Finding, Skipped, audit_paths, audit_source

_HOMES = dict.fromkeys(
    ("KINDS", "VERDICTS", "Audit", "FileAudit", "Finding", "Skipped", "audit_paths", "audit_source"), "audit"
)

__all__ = [
    "KINDS",
    "VERDICTS",
    "Audit",
    "FileAudit",
    "Finding",
    "Skipped",
    "__version__",
    "audit_paths",
    "audit_source",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
