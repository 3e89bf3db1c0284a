"""The same content gives the same digests, whatever else is different about two machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys
os.umask(int(sys.argv[1], 8))
from datetime import UTC, datetime
from pathlib import Path
from codex_core.policy import Policy
from codex_core.status import TargetConfig, TargetContext
from codex_deploy import create_bundle, open_target, verify

model, *files = map(Path, sys.argv[2:])
bundle = create_bundle(model, files, Path("bundle"), name="lm", enforced=None, environment={})
targets = {
    "local": TargetConfig("local", "dir", "file:served"),
    "hub": TargetConfig("hub", "registry", "https://registry.example/lm", ("local",)),
}
context = TargetContext(Path.cwd(), targets, Policy(), "s", datetime.now(UTC), lambda d: None, {"pid": os.getpid()})
blocks = {}
for name in targets:
    target = open_target(name, context)
    blocks[name] = target.apply(target.plan(bundle, target.observe())).digest
assert not verify(Path("served")).problems
index = json.loads(Path("bundle/index.json").read_bytes())
print(json.dumps({"bundle": bundle.digest, "index": index, **blocks}))
"""


def outcome(folder: Path, words: list[str], *, umask: str = "022", **environ: str) -> object:
    command = [sys.executable, "-c", PROGRAM, umask, *words]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def place(tmp_path: Path, model: Path, extras: list[Path]) -> Path:
    """A folder with the model and its files below it."""
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.move(model, folder / "model")
    shutil.move(tmp_path / "extras", folder / "extras")
    return folder


FILES = ["extras/README.md", "extras/audit.json", "extras/evaluation.json", "extras/labels.json"]


def test_digests_do_not_depend_on_the_machine(place: Path, tmp_path: Path) -> None:
    expected = outcome(place, ["model", *FILES], TZ="UTC", LC_ALL="C", PYTHONHASHSEED="0")
    other = tmp_path / "another folder, ü"
    shutil.copytree(place, other, ignore=shutil.ignore_patterns("bundle", "served"))
    for number, path in enumerate(sorted(other.rglob("*"))):
        path.chmod(0o700 if path.is_dir() or number % 2 else 0o444)
        os.utime(path, (number * 1e8, number * 1e8))
    words = [str(other / "model"), *reversed(FILES)]
    environ = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4242", "HOME": str(tmp_path)}
    assert outcome(other, words, umask="077", **environ) == expected


def test_digests_do_not_depend_on_the_order_in_which_a_folder_lists_its_files(place: Path, tmp_path: Path) -> None:
    expected = outcome(place, ["model", *FILES])
    other = tmp_path / "reordered"
    (other / "model").mkdir(parents=True)
    for path in sorted((place / "model").iterdir(), reverse=True):
        (other / "model" / path.name).write_bytes(path.read_bytes())
    shutil.copytree(place / "extras", other / "extras")
    assert outcome(other, ["model", *FILES]) == expected


def test_the_digest_of_this_content_is_this_one(place: Path) -> None:
    """Pinned, so that no release and no Python gives another one."""
    found = outcome(place, ["model", *FILES])
    assert isinstance(found, dict)
    assert (found["bundle"], found["local"], found["hub"]) == (
        "sha256:12a30a2bf96aa1bf647684deccd1f4eb17442cf754cdfc9decc9e1bbf77f41f3",
        "sha256:de0d5015d3e9c98573468a759c02c2bb434bb8914d482f98fdff7d4773e311f9",
        "sha256:105f416e14d9b0a8941f8a03f91de0139cde499daaf89e5f220184cf04ce383d",
    )
