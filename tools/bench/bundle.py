"""What a bundle costs: packaging and verifying a large file, against hashing it in one thread; and one status block.

    tools/hatchw run bench:bundle [--size MIB] [--rounds N] [--folder DIR] [--json]

The file is of random bytes and in the page cache. The three are measured in turns, so that what else the machine does
meets all of them alike; the figures are medians of wall-clock seconds. Packaging ends when everything is on disk. The
status block of a refused deployment is then built a thousand times, and has to be the same bytes each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from codex_core.policy import Policy
from codex_core.status import TargetConfig, TargetContext
from codex_deploy import create_bundle, open_bundle, open_target, verify
from codex_deploy.blocks import block_bytes

GOALS = {"package": 1.6, "verify": 1.15}
"""The most that each may take, in one-thread sha256 of the same file."""
HASH = "sha256"
BLOCKS = 1000
_PIECE = 2**20


@dataclass(frozen=True)
class Row:
    """One thing measured: its median in seconds, how often the hash's that is, and the most it may be."""

    what: str
    seconds: float
    ratio: float
    goal: float | None


def main() -> int:
    """Measure and print a table, or one JSON object; 1 if the blocks were not all the same."""
    parser = argparse.ArgumentParser(description="What packaging and verifying cost, in one-thread sha256.")
    parser.add_argument("--size", type=int, default=1024, help="MiB of weights (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--folder", type=Path, help="where to write (default: the temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        rows = measure(make_model(folder / "model", options.size), folder / "bundle", options.rounds)
        distinct = len(blocks(make_model(folder / "small", 1), folder))
    found = {"mib": options.size, "rows": [asdict(row) for row in rows], "blocks": BLOCKS, "distinct": distinct}
    print(json.dumps(found) if options.json else table(rows, options.size, distinct))
    return 0 if distinct == 1 else 1


def make_model(folder: Path, mib: int) -> Path:
    """A model folder with one tensor of `mib` MiB, on disk, so that its writing disturbs no measurement."""
    size = mib * _PIECE
    header = json.dumps({"a": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    folder.mkdir()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.writelines(os.urandom(_PIECE) for _ in range(mib))
        file.flush()
        os.fsync(file.fileno())
    return folder


def measure(model: Path, bundle: Path, rounds: int) -> list[Row]:
    """The medians of `rounds` turns."""
    work = {HASH: lambda: hash_file(model), "package": lambda: package(model, bundle), "verify": lambda: check(bundle)}
    times: dict[str, list[float]] = {what: [] for what in work}
    for _ in range(rounds):
        for what, do in work.items():
            if what == "package":
                shutil.rmtree(bundle, ignore_errors=True)
            times[what].append(seconds(do))
    medians = {what: statistics.median(taken) for what, taken in times.items()}
    return [
        Row(what, round(median, 3), round(median / medians[HASH], 2), GOALS.get(what))
        for what, median in medians.items()
    ]


def hash_file(model: Path) -> None:
    """Read the weights and hash them in one thread."""
    sha256, buffer = hashlib.sha256(), memoryview(bytearray(_PIECE))
    with open(model / "model.safetensors", "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            sha256.update(buffer[:count])


def package(model: Path, bundle: Path) -> None:
    create_bundle(model, (), bundle, name="bench", enforced=None, environment={})


def check(bundle: Path) -> None:
    if verify(bundle).problems:
        sys.exit("the bundle does not verify")


def blocks(model: Path, folder: Path) -> set[bytes]:
    """The distinct bytes of the status block of one refused deployment, built `BLOCKS` times."""
    package(model, folder / "offered")
    bundle = open_bundle(folder / "offered")
    targets = {
        "hub": TargetConfig("hub", "registry", "https://registry.example/bench", ("local",)),
        "local": TargetConfig("local", "dir", "file:served"),
    }
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = set()
    for _ in range(BLOCKS):
        target = open_target("hub", TargetContext(folder, targets, Policy(), "bench", now, lambda decision: None))
        found.add(block_bytes(target.apply(target.plan(bundle, target.observe()))))
    return found


def seconds(do: Callable[[], None]) -> float:
    """How long one turn takes, with nothing left for the disk to do from the one before."""
    os.sync()
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def table(rows: list[Row], mib: int, distinct: int) -> str:
    """The rows for a person."""
    lines = [f"{f'{mib} MiB':10} {'s':>8} {'ratio':>7} {'goal':>6}"]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:.2f}" + ("" if row.ratio <= row.goal else "  missed")
        lines.append(f"{row.what:10} {row.seconds:8.3f} {row.ratio:7.2f} {goal:>6}".rstrip())
    lines.append(f"{BLOCKS} status blocks: {distinct} distinct")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
