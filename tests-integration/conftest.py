"""The ``codex`` command as a user has it, and small projects to use it in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
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


ROOT = Path(__file__).resolve().parent.parent
Codex = Callable[..., Answer]
AsNobody = Callable[..., "subprocess.CompletedProcess[str]"]
NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"
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
def as_nobody() -> Iterator[AsNobody]:
    """``as_nobody("codex", "sealed", ...)``: a program of a venv that an unprivileged user has, in that user's home."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(prefix="codex-nobody-", dir="/var/tmp") as name:
        home = Path(name)
        home.chmod(0o755)
        venv = home / "venv"
        subprocess.run([SYSTEM_PYTHON, "-m", "venv", venv], check=True, capture_output=True)
        needed = ["pydantic", "typer", "grpcio", "obstore", "pycurl"]
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", *needed], check=True, capture_output=True)
        (site,) = venv.glob("lib/python3.*/site-packages")
        for package in ("codex-core", "codex-cli"):
            for module in (ROOT / "packages" / package / "src").iterdir():
                shutil.copytree(module, site / module.name)
        (venv / "bin/codex").write_text(
            f"#!{venv}/bin/python\nimport sys\nfrom codex_cli.door import main\nsys.exit(main())\n"
        )
        (venv / "bin/codex").chmod(0o755)
        os.chown(home, NOBODY, NOBODY)

        def call(program: str, *words: str) -> subprocess.CompletedProcess[str]:
            environ = {"HOME": name, "PATH": os.defpath}
            return subprocess.run(
                [venv / "bin" / program, *words],
                cwd=home,
                env=environ,
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                capture_output=True,
                text=True,
                check=False,
            )

        yield call


@pytest.fixture(scope="session")
def deploying() -> Callable[[str], str]:
    """The tables of a pipeline file that deploy the bundle of a model to a folder, and offer it to a registry."""
    return lambda model: TARGETS.replace("MODEL", model)
