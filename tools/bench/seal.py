"""What a seal costs: a sealed command and a pipeline's stage, in bare Python starts, and the guard in a training loop.

    tools/hatchw run bench:seal [--rounds N] [--json]

    codex sealed         `codex sealed -- python -c pass`, beside `python -c pass`
    command stage        what one more stage of `codex run` takes: its process, its seal and the publication of its
    module stage         output, as a command and as a Python function; the difference of a long and a short pipeline
    guarded training     a training loop that also reads a file in each step, with the guard's audit hook, beside the
                         same loop without; in seconds of CPU, since the loop uses one thread

The rounds are interleaved, so that what else the machine does meets all rows alike; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

BARE, TRAINING, GUARDED = "python -c pass", "training", "guarded training"
SHORT, LONG = 1, 11
"""How many stages the two pipelines have."""
FUNCTION = """
from pathlib import Path

def write(ctx, params):
    Path(ctx.outputs[0]).write_text("done")
"""
LOOP = """
import os, statistics, sys, time
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
import torch
from torch import nn

if sys.argv[2:] == ["guarded"]:
    from codex_core.offline import guard
    from codex_core.policy import Policy
    guard.install(Policy(), stage="bench", actor="bench", record=print, now=time.time)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(32, 64), torch.randint(10, (32,))

def train(steps):
    for _ in range(steps):
        with open(sys.argv[1], "rb") as file:
            file.read()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

def seconds():
    began = time.process_time()
    train(200)
    return time.process_time() - began

train(300)
print(statistics.median(seconds() for _ in range(15)))
"""


@dataclass(frozen=True)
class Row:
    """One measured thing: its median in milliseconds, as a multiple of its yardstick, and the most it may be."""

    name: str
    milliseconds: float
    ratio: float
    goal: float


def main() -> int:
    """Measure and print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="What a seal costs.")
    parser.add_argument("--rounds", type=int, default=20, help="measurements of each row (default: 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        level, rows = measure(Path(folder), options.rounds)
    shown = {"python": sys.version.split()[0], "guard": level, "rows": [asdict(row) for row in rows]}
    print(json.dumps(shown) if options.json else table(level, rows))
    return 0


def measure(folder: Path, rounds: int) -> tuple[str, list[Row]]:
    """The level of the seals measured, and the rows."""
    codex = Path(sys.executable).parent / "codex"
    if not codex.exists():
        sys.exit(f"there is no {codex}; start this with: tools/hatchw run bench:seal")
    environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    pipelines = {
        f"{kind} {count}": pipeline(folder / f"{kind}-{count}", kind, count)
        for kind in ("command", "module")
        for count in (SHORT, LONG)
    }
    loop = folder / "loop.py"
    loop.write_text(LOOP)
    python = [sys.executable, "-c", "pass"]
    timed: dict[str, Callable[[], float]] = {
        BARE: lambda: seconds(python, environ),
        "codex sealed": lambda: seconds([str(codex), "sealed", "--", *python], environ),
        TRAINING: lambda: loop_seconds(loop),
        GUARDED: lambda: loop_seconds(loop, "guarded"),
    }
    for key, path in pipelines.items():
        timed[key] = partial(seconds, [str(codex), "run", str(path), "--force"], environ)
    for take in timed.values():
        take()  # caches are filled, and the files are in memory
    times: dict[str, list[float]] = {key: [] for key in timed}
    for _ in range(rounds):
        for key, take in timed.items():
            times[key].append(take())
    medians = {key: statistics.median(taken) for key, taken in times.items()}

    def row(name: str, taken: float, beside: float, goal: float) -> Row:
        return Row(name, round(taken * 1000, 2), round(taken / beside, 3), goal)

    def one_stage(kind: str) -> float:
        return (medians[f"{kind} {LONG}"] - medians[f"{kind} {SHORT}"]) / (LONG - SHORT)

    return guard_level(pipelines[f"command {SHORT}"]), [
        row("codex sealed", medians["codex sealed"], medians[BARE], 3.5),
        row("command stage", one_stage("command"), medians[BARE], 4.0),
        row("module stage", one_stage("module"), medians[BARE], 4.0),
        row("guarded training", medians[GUARDED], medians[TRAINING], 1.03),
    ]


def pipeline(folder: Path, kind: str, count: int) -> Path:
    """A pipeline of ``count`` stages that each write one small file."""
    folder.mkdir()
    (folder / "stages.py").write_text(FUNCTION)
    does = {"command": 'command = "echo done > {name}"', "module": 'uses = "stages:write"'}[kind]
    stages = [f'[stages.s{n}]\n{does.format(name=f"s{n}.txt")}\noutputs = ["s{n}.txt"]\n' for n in range(count)]
    (folder / "codex.toml").write_text("\n".join(['[pipeline]\nname = "bench"\n', *stages]))
    return folder


def guard_level(folder: Path) -> str:
    """What the stages of the pipeline in ``folder`` ran at."""
    record = json.loads(next((folder / ".codex/records").glob("*.json")).read_bytes())
    return str(record["observed"]["attestation"]["guard"])


def seconds(command: list[str], environ: dict[str, str]) -> float:
    """How long one start takes."""
    began = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def loop_seconds(loop: Path, *words: str) -> float:
    """What the training loop counts of itself, in a process of its own."""
    done = subprocess.run([sys.executable, str(loop), str(loop), *words], capture_output=True, text=True, check=True)
    return float(done.stdout)


def table(level: str, rows: list[Row]) -> str:
    """The rows for a person."""
    lines = [f"{'guard level ' + level:26} {'ms':>9} {'ratio':>7} {'goal':>6}"]
    for row in rows:
        missed = "" if row.ratio <= row.goal else "  missed"
        lines.append(f"{row.name:26} {row.milliseconds:9.2f} {row.ratio:7.3f} {row.goal:>6}{missed}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
