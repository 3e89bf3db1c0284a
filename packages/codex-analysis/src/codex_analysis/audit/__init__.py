"""The audit: what is unfinished in Python code, told apart from what is meant for others to fill in."""

from __future__ import annotations

from codex_analysis.audit.findings import KINDS, VERDICTS, Audit, Finding, Skipped
from codex_analysis.audit.paths import audit_paths
from codex_analysis.audit.source import FileAudit, audit_source

__all__ = ["KINDS", "VERDICTS", "Audit", "FileAudit", "Finding", "Skipped", "audit_paths", "audit_source"]
