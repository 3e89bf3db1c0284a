"""What a Run costs: a training step of an MLP 64-32-10 with its loss checked and an event each, beside a bare loop.

    tools/hatchw run bench:train-step [--rounds N] [--steps N] [--json]

All rows train the same network on the same data with SGD, in batches of 32 drawn by a permutation, on one thread:

    bare loop    nothing besides; it never reads its loss
    bare + item  the loop also reads the loss with item() and checks that it is finite, the least a NaN check can cost
    codex Run    run.batches and run.log(loss=loss): NaN check, one event a step in events.ndjson, signals, position
    fabric       Lightning Fabric, reading and checking the loss, and a line to its CSVLogger each step
    lightning    a Lightning Trainer with a CSVLogger and log_every_n_steps=1

The last two are left out where Lightning is not installed. The rounds are interleaved, so that what else the machine
does meets all rows alike; the figures are medians over the rounds, of microseconds a step and of each round's ratio.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import math
import os
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")  # before torch

import torch
from torch import nn

from codex_train import Run

GOALS = {"codex Run": 1.15}
"""The most that a row may take, in bare loops."""
BARE = "bare loop"
BATCH = 32


@dataclass(frozen=True)
class Row:
    """One row: its medians, and the most it may take."""

    name: str
    microseconds: float
    ratio: float
    goal: float | None


@dataclass(frozen=True)
class Work:
    """What every row trains."""

    x: torch.Tensor
    y: torch.Tensor

    @classmethod
    def make(cls, steps: int) -> Work:
        """Data for one epoch of ``steps`` batches."""
        made = torch.Generator().manual_seed(0)
        x = torch.randn(steps * BATCH, 64, generator=made)
        return cls(x, torch.randint(10, (len(x),), generator=made))

    def model(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The network and its optimiser."""
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        return model, torch.optim.SGD(model.parameters(), lr=0.01)


def main() -> int:
    """Measure and print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="What a Run costs, in bare training loops.")
    parser.add_argument("--rounds", type=int, default=60, help="how often each row is measured (default: 60)")
    parser.add_argument("--steps", type=int, default=250, help="steps of each measurement (default: 250)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(Work.make(options.steps), options.steps, options.rounds)
    print(
        json.dumps({"torch": str(torch.__version__), "steps": options.steps, "rows": [asdict(row) for row in rows]})
        if options.json
        else table(rows)
    )
    return 0


def measure(work: Work, steps: int, rounds: int) -> list[Row]:
    """The medians of every row, taken in turns after one round that does not count."""
    runners = {BARE: bare, "bare + item": bare_with_item, "codex Run": codex_run}
    if importlib.util.find_spec("lightning"):
        runners |= {"fabric": fabric, "lightning": lightning}
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 1):
        for name, run in runners.items():
            torch.use_deterministic_algorithms(False)  # the Run of the row before has set it
            with tempfile.TemporaryDirectory() as folder:
                seconds = run(work, Path(folder))
            if number:
                taken[name].append(seconds / steps * 1e6)
    ratios = {
        name: statistics.median(one / bare for one, bare in zip(times, taken[BARE], strict=True))
        for name, times in taken.items()
    }
    return [
        Row(name, round(statistics.median(times), 1), round(ratios[name], 3), GOALS.get(name))
        for name, times in taken.items()
    ]


def bare(work: Work, folder: Path) -> float:
    """The loop alone."""
    model, opt = work.model()
    began = time.perf_counter()
    order = torch.randperm(len(work.x))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        loss = nn.functional.cross_entropy(model(work.x[batch]), work.y[batch])
        opt.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
        opt.step()
    return time.perf_counter() - began


def bare_with_item(work: Work, folder: Path) -> float:
    """The loop, with the loss read and checked."""
    model, opt = work.model()
    began = time.perf_counter()
    order = torch.randperm(len(work.x))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        loss = nn.functional.cross_entropy(model(work.x[batch]), work.y[batch])
        opt.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
        opt.step()
        check(loss.item())
    return time.perf_counter() - began


def codex_run(work: Work, folder: Path) -> float:
    """The loop in a Run; making it, and its checkpoint at the end, are not timed, as the others have neither."""
    with Run(folder / "run", save_every=10**9) as run:
        model, opt = work.model()
        run.track(model=model, opt=opt)
        batches = run.batches((work.x, work.y), batch_size=BATCH)
        x, y = next(batches)  # the run has begun: run.json is written, signals are listened to
        began = time.perf_counter()
        while True:
            loss = nn.functional.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
            opt.step()
            run.log(loss=loss)
            if run.step * BATCH == len(work.x):
                return time.perf_counter() - began
            x, y = next(batches)


def fabric(work: Work, folder: Path) -> float:
    """The loop in Lightning Fabric."""
    fabric: Any = importlib.import_module("lightning.fabric")  # Any: it may be absent
    loggers: Any = importlib.import_module("lightning.fabric.loggers")  # Any: likewise
    quiet()
    runner = fabric.Fabric(accelerator="cpu", devices=1, loggers=loggers.CSVLogger(folder))
    model, opt = runner.setup(*work.model())
    loader = runner.setup_dataloaders(shuffled(work))
    began = time.perf_counter()
    for step, (x, y) in enumerate(loader):
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        runner.backward(loss)
        opt.step()
        check(loss.item())
        runner.log("loss", loss.item(), step=step)
    return time.perf_counter() - began


def lightning(work: Work, folder: Path) -> float:
    """The loop of a Lightning Trainer, from its first batch to its last."""
    pl: Any = importlib.import_module("lightning")  # Any: it may be absent
    loggers: Any = importlib.import_module("lightning.pytorch.loggers")  # Any: likewise
    quiet()

    class Module(pl.LightningModule):  # type: ignore[misc]  # a base that is Any
        def __init__(self) -> None:
            super().__init__()
            self.model, self.opt = work.model()
            self.began = self.ended = 0.0

        def on_train_batch_start(self, batch: Any, index: int) -> None:  # Any: Lightning's own
            if index == 0:
                self.began = time.perf_counter()

        def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:  # Any: Lightning's own
            self.ended = time.perf_counter()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:  # Any: Lightning's own
            x, y = batch
            loss = nn.functional.cross_entropy(self.model(x), y)
            check(loss.item())
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.opt

    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=loggers.CSVLogger(folder),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Module()
    trainer.fit(module, shuffled(work))
    return module.ended - module.began


def shuffled(work: Work) -> Any:  # Any: a loader of pairs
    """What Lightning is given: whole batches, as the other rows index them, in the main process."""
    data = torch.utils.data.TensorDataset(work.x, work.y)
    sampler = torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(data), BATCH, drop_last=False)
    return torch.utils.data.DataLoader(data, sampler=sampler, batch_size=None)


def check(loss: float) -> None:
    """The least that a NaN check does."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss}")


def quiet() -> None:
    """Lightning's advice does not belong into the table."""
    warnings.simplefilter("ignore")
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def table(rows: list[Row]) -> str:
    """The rows for a person."""
    lines = [f"{'':14} {'us/step':>9} {'ratio':>7} {'goal':>6}"]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:.2f}" + ("" if row.ratio <= row.goal else "  missed")
        lines.append(f"{row.name:14} {row.microseconds:9.1f} {row.ratio:7.3f} {goal:>6}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
