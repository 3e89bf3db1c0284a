"""The commands of codex-cli as a typer app, and how the app of any package is called."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from codex_cli import pipeline
from codex_cli.usage import ALL, spell_force, usage_error
from codex_core.command import Reply
from codex_core.errors import LedgerDamaged, PluginError, Problem, UsageError
from codex_core.offline import levels
from codex_core.policy import CLI
from codex_core.project import nearest_project, policy_around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_cli.pipeline import PipelineReport
    from codex_core.ledger import LedgerEntry

_COMPLAINT: type[Exception] = typer.BadParameter.__mro__[2]
"""ClickException, of click or of the copy that newer versions of typer bring."""

HELP_OPTIONS = ["--help", "-h"]

app = typer.Typer(add_completion=False)


def call_app(called: typer.Typer, words: Sequence[str]) -> Reply:
    """What the leaf that ``words`` name returns; UsageError for words that it does not take.

    The app's own ``main`` is not used: it takes an EOFError, which ShortRead is, for the end of a terminal's input, and
    it shows errors in its own way. Help is plain text for every package.
    """
    called.rich_markup_mode = None
    command = typer.main.get_command(called)
    try:
        with command.make_context("codex", list(words), help_option_names=HELP_OPTIONS) as context:
            reply = context.command.invoke(context)
    except typer.Exit as stop:
        return Reply({}, exit=stop.exit_code)
    except typer.Abort as stop:
        raise KeyboardInterrupt from stop
    except _COMPLAINT as complaint:
        raise usage_error(complaint, words) from complaint
    if not isinstance(reply, Reply):
        raise PluginError(f"the command {' '.join(words[:2])!r} returned {type(reply).__name__}, not a Reply")
    return reply


class RunCommand(TyperCommand):
    """``codex run``, whose ``--force`` may stand alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: click's Context, or that of typer's own copy
        """The words as click takes them."""
        return super().parse_args(ctx, spell_force(args))


Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]
PipelinePath = Annotated[
    str | None,
    typer.Argument(
        metavar="PIPELINE",
        help="A pipeline file, or a folder holding codex.toml; without it the nearest one upwards.",
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option("-P", metavar="STAGE.KEY=VALUE", help="Set a parameter, VALUE as in TOML; may be repeated."),
]


PolicyFile = Annotated[
    str,
    typer.Option("--policy", metavar="FILE", help="A policy file beside the pipeline file's rules and the site's."),
]


@app.command("run", cls=RunCommand)
def run(
    path: PipelinePath = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Run this stage alone; may be repeated.")
    ] = None,
    force: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[STAGE]",
            help="Run this stage even if it is fresh, without STAGE every one; may be repeated. A word with '/' or '.'"
            " is PIPELINE, never STAGE.",
        ),
    ] = None,
    params: Params = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Run at most N stages at a time.")] = 1,
    require_guard: Annotated[
        str, typer.Option(metavar="LEVEL", help="Run only if this guard level can be had: kernel, nosocket or python.")
    ] = levels.DEFAULT,
    refresh: Annotated[bool, typer.Option("--refresh", help="Read remote stores again.")] = False,
    policy: PolicyFile = "",
    json: Json = False,
) -> Reply:
    """Run what is stale in a pipeline."""
    stages = force or []
    options = pipeline.RunOptions(
        only=tuple(only or ()),
        force=tuple(stage for stage in stages if stage != ALL),
        force_all=ALL in stages,
        jobs=jobs,
        refresh=refresh,
        require_guard=require_guard,
    )
    levels.check_name(require_guard)
    file = pipeline.locate(path, Path.cwd())
    judging = policy_around(file, os.environ, policy_file=policy)

    def runner(starter: pipeline.Starter) -> Reply:
        progress = pipeline.Progress(sys.stderr)
        try:
            read = pipeline.read_pipeline(file, params or (), policy=judging)
            report = pipeline.run(read, options, progress, starter)
        except UsageError as error:
            raise _mistaken_force(error, options.force) from error
        finally:
            progress.close()
        return _reply(report, pipeline.describe_run(report), report.exit)

    return pipeline.run_sealed(file, required=require_guard, policy=judging, call=runner)


@app.command("plan")
def plan(
    path: PipelinePath = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 3 if any stage is stale.")] = False,
    params: Params = None,
    policy: PolicyFile = "",
    json: Json = False,
) -> Reply:
    """Show what would run, and why."""
    report = pipeline.plan(_read(path, params, policy), now=datetime.now(UTC))
    return _reply(report, pipeline.describe_plan(report), 3 if check and report.stale else 0)


@app.command("status")
def status(path: PipelinePath = None, policy: PolicyFile = "", json: Json = False) -> Reply:
    """Show where each stage stands."""
    report = pipeline.status(_read(path, None, policy), now=datetime.now(UTC))
    return _reply(report, pipeline.describe_status(report), 0)


def _mistaken_force(error: UsageError, forced: Sequence[str]) -> UsageError:
    """``error``, with another hint where the word after ``--force`` was most likely meant to be the pipeline."""
    for word in forced:
        if Path(word, "codex.toml").is_file():
            return UsageError(
                error.message, hint=f"to force every stage of the pipeline in {word}, write --force ./{word}"
            )
    return error


def _read(path: str | None, params: list[str] | None, policy_file: str) -> pipeline.Pipeline:
    file = pipeline.locate(path, Path.cwd())
    policy = policy_around(file, os.environ, policy_file=policy_file)
    return pipeline.read_pipeline(file, params or (), policy=policy)


def _reply(report: PipelineReport, text: str, code: int) -> Reply:
    return Reply({"stages": [stage.to_json() for stage in report.stages]}, text, code, report.problems)


policy_app = typer.Typer()
app.add_typer(policy_app, name="policy", help="Ask the policy.")


@policy_app.command("explain")
def explain(
    url: Annotated[str, typer.Argument(metavar="URL", help="What would be reached, as scheme://host:port/path.")],
    verb: Annotated[
        str, typer.Option(metavar="VERB", help="What would be done: read, list, write, delete or connect.")
    ] = "read",
    stage: Annotated[str, typer.Option(metavar="STAGE", help="On whose behalf.")] = CLI,
    policy: PolicyFile = "",
    json: Json = False,
) -> Reply:
    """Say whether a request may go out, by which rule, and why; exit 77 if not. Nothing is sent."""
    from codex_cli.explanation import describe_decision
    from codex_cli.policy_notes import note_answer
    from codex_core.policy import VERBS, Request, decide

    if verb not in VERBS:
        raise UsageError(f"there is no verb {verb!r}", hint=f"use one of {', '.join(VERBS)}")
    request = Request(verb, url, stage)
    project = nearest_project(Path.cwd(), os.environ, policy_file=policy)
    now = datetime.now(UTC)
    decision = decide(project.policy, request, now=now)
    notes = note_answer(project.policy, request, decision, project.stages, now)
    text = "\n".join([describe_decision(decision), *notes])
    return Reply({"decision": decision.to_json(), "notes": notes}, text, 0 if decision.allowed else 77)


@policy_app.command("show")
def policy_show(policy: PolicyFile = "", json: Json = False) -> Reply:
    """List the rules that judge here, in their order, each with the file that it is from."""
    from codex_cli.policy_notes import note_stages
    from codex_cli.policy_table import describe_policy, shown_rules

    project = nearest_project(Path.cwd(), os.environ, policy_file=policy)
    read = project.policy
    rules = [rule.to_json() for rule in shown_rules(read)]
    notes = list(note_stages(read, project.stages))
    text = "\n".join([describe_policy(read, today=datetime.now(UTC).date()), *notes])
    return Reply({"policy": read.digest, "rules": rules, "notes": notes}, text)


@policy_app.command("test")
def policy_test(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file of [[expect]] tables.")],
    policy: PolicyFile = "",
    json: Json = False,
) -> Reply:
    """Check that the policy decides as FILE expects; exit 1 if it does not. Nothing is sent.

    Each [[expect]] has a verdict (allow or refuse) and a url, and may have a verb, a stage, the rule that decides, and
    the day on which it is asked.
    """
    from codex_cli.policy_expectations import describe_tried, try_expectations

    project = nearest_project(Path.cwd(), os.environ, policy_file=policy)
    tried = try_expectations(file, project.policy, stages=project.stages, now=datetime.now(UTC))
    problems = tuple(one.problem for one in tried if one.problem is not None)
    return Reply({"tests": [one.to_json() for one in tried]}, describe_tried(tried), int(bool(problems)), problems)


ledger_app = typer.Typer()
app.add_typer(ledger_app, name="ledger", help="Read what was decided.")

LedgerFile = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="A ledger; without it that of the nearest project, or the user's own."),
]


@ledger_app.command("show")
def show(
    file: LedgerFile = None,
    last: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the last N of them.")] = None,
    verdict: Annotated[str | None, typer.Option(metavar="allow|refuse", help="Only what was answered so.")] = None,
    stage: Annotated[str | None, typer.Option(metavar="STAGE", help="Only what this stage asked for.")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Only what was asked of this host; * stands for any letters.")
    ] = None,
    json: Json = False,
) -> Reply:
    """List what was decided and done, the oldest first; exit 4 where the chain breaks.

    A refusal is one row each of the first ten times, and then one with how often it came again. What was allowed is one
    row for each rule, endpoint and verb of a stage, with its bytes.
    """
    if verdict not in {None, "allow", "refuse"}:
        raise UsageError(f"there is no verdict {verdict!r}", hint="use allow or refuse")
    from codex_cli.ledger_table import describe_entries, select
    from codex_core import ledger

    entries: list[LedgerEntry] = []
    problems: tuple[Problem, ...] = ()
    code = 0
    path = _ledger_path(file)
    try:
        entries.extend(ledger.read(path) if path.exists() else ())
    except LedgerDamaged as error:
        problems, code = error.problems, error.exit_code
    chosen = select(entries, last=last, verdict=verdict, stage=stage, host=host)
    return Reply({"entries": [entry.to_json() for entry in chosen]}, describe_entries(chosen), code, problems)


@ledger_app.command("verify")
def verify(file: LedgerFile = None, json: Json = False) -> Reply:
    """Check every line of a ledger; exit 4 and the first bad line if its chain does not hold.

    That of a project must also have the entries that the records of its stages name.
    """
    from codex_core import ledger

    path = _ledger_path(file)
    known = _known_heads(path)
    heads = {number: head for number, (head, _) in known.items()}
    absent = ledger.LedgerReport(0, None, missed=min(heads, default=None))
    report = ledger.verify(path, heads=heads) if path.exists() else absent
    body = {"entries": report.entries, "head": report.head, "bad_line": report.bad_line or report.missed}
    text = f"{path}: {report.entries} entr{'y' if report.entries == 1 else 'ies'}\nhead {report.head or 'none'}"
    if report.bad_line is None and report.missed is not None:
        stage = known[report.missed][1]
        there = "it is another one here" if report.missed <= report.entries else f"there are {report.entries} here"
        message = f"the record of stage {stage!r} knows an entry {report.missed}, and {there}"
        problem = Problem(LedgerDamaged.code, message, "entries were cut off, or the chain was written anew", str(path))
        return Reply(body, text, LedgerDamaged.exit_code, (problem,))
    if report.bad_line is None:
        marked = f"; {report.torn} of the entries mark damaged lines before them" if report.torn else ""
        return Reply(body, f"{text}\nthe chain holds{marked}")
    message = f"the chain does not hold: {report.reason}"
    problem = Problem(LedgerDamaged.code, message, ledger.hint_of(report.reason), str(path), report.bad_line)
    return Reply(body, f"{text}, the last good one", LedgerDamaged.exit_code, (problem,))


def _known_heads(path: Path) -> dict[int, tuple[str, str]]:
    """What the records beside a project's ledger say of it."""
    from codex_cli.pipeline.records import ledger_heads
    from codex_cli.pipeline.state import StateFolder

    state = StateFolder(path.absolute().parent.parent)
    return ledger_heads(state) if state.ledger == path.absolute() else {}


def _ledger_path(file: Path | None) -> Path:
    """The ledger to read: a FILE must be there, and so must the user's own; a project may have none yet."""
    from codex_cli.pipeline.state import StateFolder
    from codex_cli.user_folders import user_ledger
    from codex_core.project import find_pipeline_file

    if file is not None and not file.exists():
        raise UsageError(f"there is no ledger at {file}", hint="name the ledger.ndjson of a state folder")
    if file is not None and file.is_dir():
        raise UsageError(f"{file} is a folder, not a ledger", hint="name the ledger.ndjson of a state folder")
    if file is not None:
        return file
    project = find_pipeline_file(Path.cwd())
    if project is None:
        own = Path(user_ledger(os.environ))
        if own.exists():
            return own
        raise UsageError(
            f"there is no codex.toml in {Path.cwd()} or above, and no ledger at {own}",
            hint="name a ledger: a FILE after the command",
        )
    return StateFolder(project.parent).ledger


@app.command("doctor")
def doctor(
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Also try every known way out of a seal, which takes some seconds.")
    ] = False,
    json: Json = False,
) -> Reply:
    """Check this installation, this machine and the nearest project; exit 1 if a check fails or a seal leaks."""
    from codex_cli.doctor import describe_checks, examine, examine_guard

    guard = examine_guard()
    checks = [*guard.faults, *examine(Path.cwd(), os.environ)]
    body = {"guard": guard.to_json(), "checks": [check.to_json() for check in checks]}
    failed = any(check.status == "fail" for check in checks)
    reply = Reply(body, describe_checks(guard, checks), int(failed))
    if not self_test:
        return reply
    from codex_cli.self_test import run_self_test

    test = run_self_test(os.environ, inherited=guard.inherited)
    problems = test.problems()
    text = f"{reply.text}\n{test.describe()}"
    return Reply({**body, "self_test": test.to_json()}, text, int(failed or bool(problems)), problems)
