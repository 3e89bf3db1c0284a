"""The stage ``train.lm`` in a process of its own, as a pipeline's runner starts it: ``folder`` holds data, runs, model.

Without a fault it puts the model in its place. ``fault`` is as in mlp_script; at a signal the process ends with 1 and
the error on stderr, as the runner's stage process does.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_core.errors import CodexError
from codex_core.policy import Policy
from codex_core.stage import Attestation, StageContext
from codex_train.config import read_params
from codex_train.stages import train

if TYPE_CHECKING:
    from collections.abc import Callable

given: dict[str, Any] = globals()["given"]  # Any: what conftest hands over
folder: str = given["folder"]
options: dict[str, Any] = given["options"]  # Any: likewise
fault: str = given["fault"]
at: int = given["at"]
errors: str = given["errors"]
forced: bool = given["options"].pop("forced", False)


def fault_before(name: str, number: int, sent: int) -> None:
    """Send ``sent`` to this process just before its call number ``number``, from 1, of ``os.name``."""
    calls = iter(range(1, number + 1))
    real: Callable[..., Any] = getattr(os, name)  # Any: the functions share no signature

    def doomed(*words: Any, **more: Any) -> Any:  # Any: as above
        if next(calls, None) == number:
            os.kill(os.getpid(), sent)
        return real(*words, **more)

    setattr(os, name, doomed)


def main() -> None:
    root = Path(folder)
    stage = train.member("lm")
    small = {
        "steps": 12,
        "save_every": 3,
        "batch_size": 2,
        "context": 8,
        "layers": 1,
        "width": 8,
        "heads": 1,
        "warm_up": 1,
    }
    params = read_params(stage.params(), {**small, **options}, "it")
    staging = root / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    shutil.copytree(root / "data", staging / "data")
    context = StageContext(
        stage="train",
        folder=staging,
        inputs=(staging / "data",),
        outputs=(staging / "model",),
        seed=7,
        stores={},
        policy=Policy(),
        now=datetime(2026, 3, 4, tzinfo=UTC),
        record=lambda decision: None,
        pin=lambda place, digest: None,
        root=root,
        runs=root / "runs",
        forced=forced,
        targets={},
        attestation=Attestation("python", Policy().digest, 0, None),
    )
    if fault:
        name, sent = fault.split()
        fault_before(name, at, signal.Signals[sent])
    stage(context, params)
    shutil.rmtree(root / "model", ignore_errors=True)
    (staging / "model").rename(root / "model")


if __name__ == "__main__":
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    try:
        main()
    except CodexError as error:
        sys.exit(f"{type(error).__name__}: {error}")
