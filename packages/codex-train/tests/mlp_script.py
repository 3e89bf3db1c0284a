"""A user's script, in a process of its own: an MLP with dropout, AdamW, momentum and a schedule, 3 epochs of 10 steps.

``folder`` is the run's, ``options`` what Run is given besides; ``fault`` names what goes wrong, where ``at`` says.
stderr goes to the file ``errors``.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from codex_train import Run

if TYPE_CHECKING:
    from collections.abc import Callable

given: dict[str, Any] = globals()["given"]  # Any: what conftest hands over
folder: str = given["folder"]
options: dict[str, Any] = given["options"]  # Any: likewise
fault: str = given["fault"]
at: int = given["at"]
errors: str = given["errors"]


def kill_before(name: str, number: int) -> None:
    """Kill this process just before its call number ``number``, from 1, of ``os.name``."""
    calls = iter(range(1, number + 1))
    real: Callable[..., Any] = getattr(os, name)  # Any: os.fsync and os.rename share no signature

    def doomed(*words: Any, **more: Any) -> Any:  # Any: as above
        if next(calls, None) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **more)

    setattr(os, name, doomed)


def main() -> None:
    run = Run(folder, **{"seed": 5, **options})
    hidden = 24 if fault == "other model" else 16
    model = nn.Sequential(nn.Linear(6, hidden), nn.Dropout(0.2), nn.ReLU(), nn.Linear(hidden, 1))
    opt = torch.optim.AdamW(model.parameters(), lr=0.01)
    fast = torch.optim.SGD(model[0].parameters(), lr=0.001, momentum=0.9)
    plan = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[7, 15, 15])
    x = torch.linspace(-1, 1, 600).view(100, 6)
    run.track(model=model, opt=opt, fast=fast, plan=plan)
    if fault in {"fsync", "rename"}:
        kill_before(fault, at)
    for rows, wanted in run.batches((x, x.sum(1, keepdim=True)), batch_size=10, epochs=3):
        noise = torch.randn(1).item() + random.random() + float(np.random.random())
        loss = nn.functional.mse_loss(model(rows), wanted + 0.01 * noise)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
        if run.step % 3 == 0:  # gradients are added up over three batches, and checkpoints fall between them
            for optimiser in (opt, fast):
                optimiser.step()
                optimiser.zero_grad()
        plan.step()
        if run.step == at and fault in {"SIGKILL", "SIGTERM", "SIGINT"}:
            os.kill(os.getpid(), signal.Signals[fault])
        if run.step == at and fault == "twice":
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        if run.step == at and fault == "nan":
            loss = loss * float("nan")
        run.log(loss=loss, noise=noise)
    run.close()


if __name__ == "__main__":
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    main()
