"""``codex doctor --self-test``: the leak matrix, in a seal that ``codex sealed`` makes here and now."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.errors import Problem
from codex_core.offline.leaks import matrix
from codex_core.offline.leaks.ways import WAYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_core.offline.leaks.matrix import Finding

_CLEAR = "\r\x1b[K"


@dataclass(frozen=True)
class SelfTest:
    """What came of each attempt, and the level of the seal that they were made in, which may be ``inherited``."""

    level: str
    inherited: bool
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """The object that ``self_test`` of ``doctor`` shows."""
        return {
            "level": self.level,
            "inherited": self.inherited,
            "findings": [finding.to_json() for finding in self.findings],
        }

    def problems(self) -> tuple[Problem, ...]:
        """One for each way that is open and should not be."""
        hint = "do not rely on the seal of this machine; codex doctor says what it is made of"
        return tuple(
            Problem("guard.leak", f"{finding.name}: {finding.about}: reached from inside a seal", hint)
            for finding in self.findings
            if finding.is_leak
        )

    def describe(self) -> str:
        """The findings for a person."""
        width = max(len(finding.name) for finding in self.findings)
        count = Counter(finding.verdict for finding in self.findings)
        level = f"{self.level}, inherited" if self.inherited else self.level
        lines = [
            "",
            f"self-test: {len(self.findings)} ways out of a seal of level {level}, "
            + ", ".join(f"{number} {verdict}" for verdict, number in count.items()),
        ]
        for finding in self.findings:
            limit = "" if finding.verdict != "open" or finding.promised else f"; a limit of the level {level}"
            lines.append(f"{finding.verdict:<9}  {finding.name:<{width}}  {finding.said}{limit}")
        return "\n".join(lines)


def run_self_test(environ: Mapping[str, str], *, inherited: bool) -> SelfTest:
    """Make every attempt in a sealed command, which has a ledger of its own. CodexError if it breaks off."""
    shown = sys.stderr.isatty()
    if shown:
        sys.stderr.write(f"trying {len(WAYS)} ways out of a seal; this takes some seconds")
        sys.stderr.flush()
    try:
        with tempfile.TemporaryDirectory(prefix="codex-self-test-") as folder:

            def start(words: Sequence[str], handed: Sequence[int]) -> str:
                sealed = [sys.executable, "-P", "-m", "codex_cli", "sealed", "--require-guard", "python", "--"]
                variables = {**environ, "XDG_STATE_HOME": folder}
                done = subprocess.run(
                    [*sealed, *words],
                    cwd=folder,
                    env=variables,
                    pass_fds=handed,
                    stdout=subprocess.PIPE,
                    text=True,
                    check=False,
                )
                return done.stdout

            level, findings = matrix.run(start, inherited=inherited)
    finally:
        if shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
    return SelfTest(level or "python", inherited, tuple(findings))
