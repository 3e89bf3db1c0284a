"""The first start works from any place, heals what was cut short, and keeps to its folder."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from tools.ci.projects import ROOT

HATCH_TOML = """
[envs.default]
installer = "uv"
skip-install = true
workspace.members = ["packages/*"]

[envs.default.scripts]
where = "python -c 'import codex_toy, sys; print(codex_toy.__file__, sys.argv[1:])' {args}"
"""

TOY = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "codex-toy"
version = "1"

[tool.hatch.build.targets.wheel]
packages = ["src/codex_toy"]
"""


def load() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("hatchw", str(ROOT / "tools" / "hatchw"))
    spec = importlib.util.spec_from_loader("hatchw", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["run", "test"], "default"),
        (["run", "compat:test"], "compat"),
        (["run", "pytest", "a.py::test_b"], "default"),
        (["env", "show"], "default"),
        ([], "default"),
    ],
)
def test_the_environment_of_a_command_is_known(arguments: list[str], name: str) -> None:
    assert load().environment_name(arguments) == name


def test_a_python_without_venv_is_told_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    hatchw = load()
    monkeypatch.setattr(hatchw, "tools_ready", lambda: False)
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit) as stopped:
        hatchw.require_venv()
    assert "this Python cannot make virtual environments: no module 'ensurepip'" in str(stopped.value)
    assert "apt-get install python3-venv" in str(stopped.value)


def test_a_missing_python_of_a_matrix_is_told_the_next_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hatchw = load()
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        hatchw.require_pythons("compat")
    assert "the environment 'compat' needs Python 3.11, 3.12, 3.13, which PATH does not lead to" in str(stopped.value)
    assert "tools/hatchw run +py=3.11 compat:test" in str(stopped.value)


def test_uv_is_told_what_pip_was_told_unless_it_was_told_something_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hatchw = load()
    told = {"find-links": "/srv/a /srv/b", "index-url": "https://mirror.example/simple", "cert": "/etc/ca.pem"}
    monkeypatch.setattr(hatchw, "pip_settings", lambda: told)
    monkeypatch.setattr(hatchw, "HOME", tmp_path)
    for name in ("UV_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_INDEX_URL", "https://other.example/simple")
    environ = hatchw.environment()
    assert environ["UV_FIND_LINKS"] == "/srv/a,/srv/b"
    assert environ["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert "UV_DEFAULT_INDEX" not in environ


def test_find_links_on_several_lines_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hatchw = load()
    monkeypatch.setattr(hatchw, "HOME", tmp_path)
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (tmp_path / "pip.conf").write_text("[global]\nfind-links =\n    /srv/a\n    /srv/o'b\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert hatchw.pip_settings()["find-links"] == "\n/srv/a\n/srv/o'b"
    assert hatchw.environment()["UV_FIND_LINKS"] == "/srv/a,/srv/o'b"


@dataclass(frozen=True)
class Clone:
    """A small repository with the real tools/hatchw, in a folder with a space, and a home folder of its own."""

    root: Path
    home: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.root / "tools" / "hatchw"), *arguments]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HATCH_")}
        environ["HOME"] = str(self.home)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.home, env=environ, stdout=pipe, stderr=pipe, text=True)

    def answer(self, *arguments: str) -> str:
        return finish(self.start(*arguments))


def finish(start: subprocess.Popen[str]) -> str:
    out, err = start.communicate(timeout=240)
    assert start.returncode == 0, err
    return out


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    root, home = tmp_path / "my clone", tmp_path / "home"
    source = root / "packages" / "codex-toy" / "src" / "codex_toy"
    for folder in (source, root / "tools", home):
        folder.mkdir(parents=True)
    (source / "__init__.py").write_text("def main(): print('hello')\n", encoding="utf-8")
    (root / "packages" / "codex-toy" / "pyproject.toml").write_text(TOY, encoding="utf-8")
    (root / "hatch.toml").write_text(HATCH_TOML, encoding="utf-8")
    shutil.copy(ROOT / "tools" / "hatchw", root / "tools" / "hatchw")
    return Clone(root, home)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_first_starts_heal_each_other_and_later_ones_follow_changes(clone: Clone) -> None:
    where = f"{clone.root / 'packages' / 'codex-toy' / 'src' / 'codex_toy' / '__init__.py'} ['two words']\n"
    hatch = clone.root / ".hatch"
    (hatch / "tools" / "bin").mkdir(parents=True)
    (hatch / "tools" / "bin" / "python").write_text("the first start was killed", encoding="utf-8")
    for start in [clone.start("run", "where", "two words") for _ in range(2)]:
        assert finish(start) == where
    assert [path for path in clone.home.rglob("*hatch*") if ".cache" not in path.parts] == []
    assert {path.name for path in clone.root.iterdir()} == {".hatch", "hatch.toml", "packages", "tools"}

    (installed,) = hatch.rglob("codex_toy-1.dist-info")
    shutil.rmtree(installed)
    (hatch / "ready" / "default.making").write_text("the making of the environment was killed", encoding="utf-8")
    assert clone.answer("run", "where", "two words") == where

    with (clone.root / "packages" / "codex-toy" / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write('[project.scripts]\nhello = "codex_toy:main"\n')
    assert clone.answer("run", "hello") == "hello\n"
