"""What the front door costs: `codex --version` and `codex --help` against a bare `python -c pass`.

    tools/hatchw run bench:cli [--rounds N] [--json]

The starts are interleaved, so that what else the machine does meets all of them alike; the figures are medians of
wall-clock milliseconds. The command index is cached in a folder of its own and warm, except in the row that says cold.
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
from dataclasses import asdict, dataclass
from pathlib import Path

GOALS = {"codex --version": 1.5, "codex --help": 2.0}
"""The most that each may take, in bare Python starts."""
BARE = "python -c pass"
COLD = "codex --help (cold)"


@dataclass(frozen=True)
class Row:
    """One measured command: its median in milliseconds, in bare starts, and the most it may take of these."""

    command: str
    milliseconds: float
    ratio: float
    goal: float | None


def main() -> int:
    """Measure and print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="What the front door costs, in bare Python starts.")
    parser.add_argument("--rounds", type=int, default=40, help="starts of each command (default: 40)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(commands(), Path(folder), options.rounds)
    print(
        json.dumps({"python": sys.version.split()[0], "rows": [asdict(row) for row in rows]})
        if options.json
        else table(rows)
    )
    return 0


def commands() -> dict[str, list[str]]:
    """What is measured, by the name it is shown under; `codex` is the one beside this Python."""
    codex = Path(sys.executable).parent / "codex"
    if not codex.exists():
        sys.exit(f"there is no {codex}; start this with: tools/hatchw run bench:cli")
    lines = ("codex --version", "codex --help", "codex ledger", "codex ledger show --help")
    measured = {line: [str(codex), *line.split()[1:]] for line in lines}
    return {BARE: [sys.executable, "-c", "pass"], **measured, COLD: [str(codex), "--help"]}


def measure(measured: dict[str, list[str]], folder: Path, rounds: int) -> list[Row]:
    """The medians of `rounds` starts of each command, taken in turns."""
    warm = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    cold = {**os.environ, "XDG_CACHE_HOME": os.devnull}
    fill_cache(measured["codex --help"], warm, folder)
    times: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, command in measured.items():
            times[name].append(seconds(command, cold if name == COLD else warm))
    bare = statistics.median(times[BARE])
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return [
        Row(name, round(median * 1000, 2), round(median / bare, 2), GOALS.get(name)) for name, median in medians.items()
    ]


def fill_cache(command: list[str], environ: dict[str, str], folder: Path) -> None:
    """Start `command` until its index is kept, which waits until the installation has been at rest for two seconds."""
    deadline = time.monotonic() + 10
    while not any((folder / "codex").glob("*")):
        seconds(command, environ)
        if time.monotonic() > deadline:
            sys.exit("the command index was not cached within ten seconds")


def seconds(command: list[str], environ: dict[str, str]) -> float:
    """How long one start takes."""
    began = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def table(rows: list[Row]) -> str:
    """The rows for a person."""
    lines = [f"{'':26} {'ms':>8} {'ratio':>7} {'goal':>6}"]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:.1f}" + ("" if row.ratio <= row.goal else "  missed")
        lines.append(f"{row.command:26} {row.milliseconds:8.2f} {row.ratio:7.2f} {goal:>6}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
