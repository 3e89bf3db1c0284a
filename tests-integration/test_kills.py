"""A run killed at any moment: nothing stale is called fresh afterwards, and nothing needs unlocking."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Codex

KILLS = 60 if os.environ.get("CODEX_MATRIX") == "full" else 8
PIPELINE = """\
[pipeline]
name = "kills"

[stages.parts]
command = "mkdir parts; for n in 1 2 3 4 5 6 7 8; do cat word word > parts/$n; done"
inputs = ["word"]
outputs = ["parts"]

[stages.joined]
command = "cat parts/* > joined; wc -c < joined > size"
inputs = ["parts"]
outputs = ["joined", "size"]

[stages.copy]
uses = "connectors.pull"
with = { from = "store://mirror" }
outputs = ["copy"]

[stores.mirror]
url = "file:mirror"
"""


def expected(word: str) -> dict[str, object]:
    return {
        "parts": {str(number): word * 2 for number in range(1, 9)},
        "joined": word * 16,
        "size": f"{len(word) * 16}\n",
        "copy": {f"f{number}": "mirror" for number in range(20)},
    }


def found(path: Path) -> object:
    if path.is_dir():
        return {item.name: item.read_text() for item in path.iterdir()}
    return path.read_text() if path.exists() else None


@pytest.mark.matrix
def test_a_run_killed_at_any_moment_leaves_nothing_stale_called_fresh(codex: Codex, folder: Path) -> None:
    chance = random.Random(11)
    (folder / "mirror").mkdir()
    for number in range(20):
        (folder / f"mirror/f{number}").write_text("mirror")
    (folder / "codex.toml").write_text(PIPELINE)
    (folder / "word").write_text("first")
    began = time.monotonic()
    assert codex("run", cwd=folder).exit == 0
    longest = time.monotonic() - began
    for kill in range(KILLS):
        word = f"word{kill}"
        (folder / "word").write_text(word)
        words = [sys.executable, "-m", "codex_cli", "run", "--jobs", str(1 + kill % 2)]
        with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                process.wait(chance.uniform(0, longest))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.communicate()
        plan = codex("plan", "--json", cwd=folder)
        assert plan.exit == 0, plan.err
        for stage in plan.json["stages"]:
            if stage["state"] == "fresh":
                for output in stage["outputs"]:
                    assert found(folder / output) == expected(word)[output], (kill, stage)
        if chance.random() < 0.5:
            done = codex("run", "--json", cwd=folder)
            assert done.exit == 0, done.err
            assert {name: found(folder / name) for name in expected(word)} == expected(word)
    assert codex("run", cwd=folder).exit == 0
    assert codex("plan", "--check", cwd=folder).exit == 0
    assert list((folder / ".codex/staging").iterdir()) == []
