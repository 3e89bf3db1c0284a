"""Commands: ``codex analyze audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codex_analysis.audit import KINDS, audit_paths
from codex_analysis.audit.files import common_root
from codex_analysis.audit.report import count_kinds, prefix_of, write_report
from codex_core.command import Reply
from codex_core.errors import Problem, UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False)
analyze = typer.Typer(no_args_is_help=True, help="Audits and evidence about a repository.")
app.add_typer(analyze, name="analyze")


@analyze.command("audit")
def audit(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Folders, or single files, to audit.")],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND,...", help=f"Exit with 1 if a finding of these kinds is left to do: {', '.join(KINDS)}."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out paths, relative to the audited root; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> Reply:
    """Find what is unfinished in Python code, and tell stubs from contracts.

    Paths in the answer are relative to the audited root: the one folder given, or the deepest that holds every PATH.
    """
    kinds = _kinds(fail_on or [])
    found = audit_paths(paths, exclude=exclude or [])
    failing = found.unsettled(kinds)
    return Reply(
        body=found.to_json(),
        text=write_report(found, prefix=prefix_of(common_root(paths), Path.cwd())),
        exit=1 if failing else 0,
        errors=(_failure(count_kinds(failing)),) if failing else (),
    )


def _kinds(values: list[str]) -> frozenset[str]:
    kinds = [kind.strip() for value in values for kind in value.split(",")]
    problems = [_unknown(kind) for kind in kinds if kind not in KINDS]
    if problems:
        raise UsageError(problems[0].message, hint=problems[0].hint, problems=problems)
    return frozenset(kinds)


def _unknown(kind: str) -> Problem:
    return Problem(UsageError.code, f"--fail-on takes no kind {kind!r}", f"the kinds are {', '.join(KINDS)}")


def _failure(told: str) -> Problem:
    hint = "finish them, or take their kinds out of --fail-on"
    return Problem("audit.unfinished", f"the audit found {told} to fail on", hint)
