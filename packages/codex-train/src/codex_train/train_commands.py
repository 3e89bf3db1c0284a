"""What each ``codex train`` command does: from its words to its Reply."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_core.command import Reply
from codex_core.errors import ConfigError, Problem, UsageError
from codex_core.project import find_pipeline_file
from codex_core.registry import Registry
from codex_train.config import read_params
from codex_train.launch import SETTINGS, Job, train
from codex_train.listing import RunView, find_runs, view_run
from codex_train.run_folder import RunFolder
from codex_train.signals import RunInterrupted

if TYPE_CHECKING:
    from collections.abc import Sequence


def start(name: str, data: Path, folder: Path, given: Sequence[str], *, seed: int) -> Reply:
    """Begin a run in ``folder``, which is none yet, and train to its end."""
    if RunFolder(folder).is_run:
        raise UsageError(f"{folder} holds a run already", hint=f"codex train resume {folder}, or name a new folder")
    task = Registry("codex.tasks").load(name)
    params = read_params(task.params(), dict(map(_pair, given)), f"the parameters of {name!r}")
    return _train(Job.of(name, task, params, data.absolute(), seed), folder, allow_inexact=False)


def resume(folder: Path, *, allow_inexact: bool) -> Reply:
    """Go on with a run of a task; a script's own run goes on when the script is started again."""
    before = view_run(folder).file
    name, data = before.identity.made_from.get("task"), before.settings.data
    if not isinstance(name, str) or data is None:
        raise UsageError(f"{folder} is the run of a script", hint="start that script again, and it goes on")
    task = Registry("codex.tasks").load(name)
    model: Any = task.params()  # Any: a pydantic model, which only config modules name
    told = before.identity.made_from["params"]
    settings = {key: getattr(before.settings, key) for key in SETTINGS if key in model.model_fields}
    params = read_params(model, {**(told if isinstance(told, dict) else {}), **settings}, f"the run {folder}")
    seed = before.identity.made_from["seed"]
    job = Job.of(name, task, params, Path(data), seed if isinstance(seed, int) else 0)
    return _train(job, folder, allow_inexact=allow_inexact)


def list_runs(folder: Path | None) -> Reply:
    """The runs below ``folder``, or where runs are kept by default; those that cannot be read are told on stderr."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="name a folder that holds runs")
    looked = _default_folders() if folder is None else (folder,)
    found = tuple(find_runs(looked))
    runs = [run.summary() for run in found if isinstance(run, RunView)]
    broken = tuple(problem for run in found if isinstance(run, ConfigError) for problem in run.problems)
    rows = [
        (str(run["path"]), str(run["state"]), f"{run['step']}/{run['steps']}", f"loss {run['loss']:.4f}")
        if run["loss"] is not None
        else (str(run["path"]), str(run["state"]), f"{run['step']}/{run['steps']}", "")
        for run in runs
    ]
    none = f"there are no runs below {' or '.join(map(str, looked))}; name a folder: codex train list DIR"
    return Reply({"runs": runs}, _table(rows) or none, errors=broken)


def show(folder: Path) -> Reply:
    """All that is known of one run."""
    run = view_run(folder)
    return Reply({"run": run.to_json()}, _table(_rows(run)))


def _train(job: Job, folder: Path, *, allow_inexact: bool) -> Reply:
    try:
        model = train(job, folder, allow_inexact=allow_inexact)
    except RunInterrupted as interrupted:
        problem = Problem("run.interrupted", f"{folder}: {interrupted}", f"codex train resume {folder}")
        return Reply({"run": view_run(folder).to_json()}, exit=128 + interrupted.signal, errors=(problem,))
    run = view_run(folder)
    return Reply({"run": run.to_json()}, f"{folder}: finished after step {run.file.step}; the model is in {model}")


def _pair(given: str) -> tuple[str, object]:
    """KEY=VALUE, the value as TOML writes it, or else as text."""
    key, equals, text = given.partition("=")
    if not key or not equals:
        raise UsageError(f"{given!r} is no parameter", hint="write -P KEY=VALUE")
    try:
        return key, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key, text


def _default_folders() -> tuple[Path, ...]:
    file = find_pipeline_file(Path.cwd())
    return (*(() if file is None else (file.parent / ".codex" / "runs",)), Path("runs"))


def _rows(run: RunView) -> list[tuple[str, ...]]:
    made_from, environment = run.file.identity.made_from, run.file.identity.environment
    params = made_from.get("params")
    facts = {
        "run": run.path,
        "state": run.state + (f" (pid {run.holder})" if run.holder else ""),
        "reason": run.file.observed.get("reason"),
        "steps": f"{run.file.step} of {run.file.steps} saved",
        "last": ", ".join(f"{name} {value}" for name, value in run.last.items()),
        "checkpoints": ", ".join(map(str, run.checkpoints)),
        **{name: value for name, value in made_from.items() if name != "params"},
        "params": ", ".join(f"{name} {value}" for name, value in params.items()) if isinstance(params, dict) else "",
        "machine": ", ".join(f"{name} {value}" for name, value in environment.items()),
        "inexact": "; ".join(f"after step {one['step']}: {', '.join(one['differences'])}" for one in run.file.inexact),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in {None, ""}]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """``rows`` with their columns lined up; they have one length."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
