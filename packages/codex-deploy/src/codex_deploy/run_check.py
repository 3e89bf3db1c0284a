"""The check of a run folder: its run.json, its checkpoints and its model, and whether they belong together.

    run.json                     {"schema": "codex.run/1", "identity": {"made_from"}, "state", "step", "inexact", ..}
    checkpoints/step-00000120/   checkpoints (codex_core.checkpoint), each of the step in its name
    model/                       a model folder

Logs and events are nobody's to vouch for, and not looked at. Nor are checkpoints that the run itself has found damaged,
and set aside under a name by which it reads none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.checkpoint import MANIFEST, CheckpointManifest, check_folder, read_manifest
from codex_core.digest import canonical_json, open_regular
from codex_core.errors import CodexError
from codex_deploy.flaws import Flaws
from codex_deploy.layout import LARGEST_DOCUMENT, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN_FILE, RUN_SCHEMA, CHECKPOINTS, MODEL = "run.json", "codex.run/1", "checkpoints", "model"
SET_ASIDE = "damaged-"
RUNNING = "running"


@dataclass(frozen=True)
class _Run:
    """What run.json says: what the run is made from, how far it is saved, and whether it went on inexactly."""

    made_from: Mapping[str, object]
    state: str
    step: int
    is_inexact: bool


def check_run(path: Path) -> Flaws:
    """All that is wrong with the run folder at ``path``."""
    flaws = Flaws()
    run = _read_run(path, flaws)
    steps = {0}
    for name in _checkpoints(path):
        manifest = check_checkpoint(path / name, flaws, f"{name}/")
        if manifest is not None:
            steps.add(manifest.step)
            if name.rpartition("-")[2].lstrip("0") != str(manifest.step):
                flaws.add(f"{name}/{MANIFEST}", "verify.mismatch", f"it is of step {manifest.step}")
            _relate(run, manifest, f"{name}/{MANIFEST}", flaws)
    if (path / MODEL).exists():
        _relate(run, check_checkpoint(path / MODEL, flaws, f"{MODEL}/"), f"{MODEL}/{MANIFEST}", flaws)
    if run is not None and max(steps) != run.step and (run.state != RUNNING or max(steps) < run.step):
        message = f"it says that step {run.step} is saved, and the newest checkpoint is of step {max(steps)}"
        flaws.add(RUN_FILE, "verify.mismatch", message)
    return flaws


def check_checkpoint(folder: Path, flaws: Flaws, prefix: str = "") -> CheckpointManifest | None:
    """The manifest of a checkpoint; what is wrong with its folder goes to ``flaws``, each path after ``prefix``."""
    try:
        manifest = read_manifest(folder)
    except CodexError as error:
        flaws.add(f"{prefix}{MANIFEST}", error.code, error.message)
        return None
    with flaws.about(prefix.rstrip("/") or "."):
        for path, problem in check_folder(folder, manifest):
            flaws.add(prefix + path, problem.code, problem.message)
    return manifest


def _checkpoints(path: Path) -> list[str]:
    folder = path / CHECKPOINTS
    names = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    return [f"{CHECKPOINTS}/{name}" for name in names if not name.startswith((".", SET_ASIDE))]


def _read_run(path: Path, flaws: Flaws) -> _Run | None:
    with flaws.about(RUN_FILE), open_regular(path / RUN_FILE) as stream:
        content = stream.read(LARGEST_DOCUMENT)
        data = read_json(content)
        if isinstance(data, dict) and data.get("schema") == RUN_SCHEMA and content == canonical_json(data) + b"\n":
            try:
                made_from = dict(data["identity"]["made_from"])
                return _Run(made_from, str(data["state"]), int(data["step"]), bool(data["inexact"]))
            except (LookupError, TypeError, ValueError) as error:
                flaws.add(RUN_FILE, "verify.mismatch", f"it is not what a run writes: {error!r}")
                return None
        flaws.add(RUN_FILE, "verify.mismatch", f"it is no {RUN_SCHEMA} in canonical form")
    return None


def _relate(run: _Run | None, manifest: CheckpointManifest | None, path: str, flaws: Flaws) -> None:
    """A run that never went on inexactly was made from one thing all along."""
    if run is None or manifest is None or run.is_inexact or run.made_from == manifest.made_from:
        return
    keys = sorted({*run.made_from, *manifest.made_from})
    names = [key for key in keys if run.made_from.get(key) != manifest.made_from.get(key)]
    told = f"it was made from another {' and another '.join(names)} than {RUN_FILE} says"
    flaws.add(path, "verify.mismatch", told)
