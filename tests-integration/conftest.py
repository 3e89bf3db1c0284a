"""The ``codex`` command as a user has it, and small projects to use it in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """How a command ended: its exit code, its stdout and its stderr."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # Any: the one object that --json prints
        return json.loads(self.out)


Codex = Callable[..., Answer]
TARGETS = """
[targets.shelf]
kind = "dir"
url = "file:deployed"

[targets.hub]
kind = "registry"
url = "https://registry.example:5000/models/MODEL"
fallbacks = ["shelf"]

[stages.deploy]
uses = "deploy.apply"
inputs = ["bundle"]
outputs = ["deployed"]
with = { target = "shelf" }

[stages.offer]
uses = "deploy.apply"
inputs = ["bundle"]
outputs = ["offer.json"]
with = { target = "hub" }
on_refusal = "record"
"""


@pytest.fixture
def codex(tmp_path: Path) -> Codex:
    """``codex("run", "--json", cwd=folder)``, with a home of its own."""

    def call(*words: str, cwd: Path = tmp_path, **environment: str) -> Answer:
        command = Path(sys.executable).with_name("codex")
        variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
        done = subprocess.run([command, *words], cwd=cwd, env=variables, capture_output=True, text=True, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a space in its name."""
    made = tmp_path / "a folder"
    made.mkdir()
    return made


@pytest.fixture(scope="session")
def deploying() -> Callable[[str], str]:
    """The tables of a pipeline file that deploy the bundle of a model to a folder, and offer it to a registry."""
    return lambda model: TARGETS.replace("MODEL", model)
