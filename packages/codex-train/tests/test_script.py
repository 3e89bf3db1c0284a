"""The script's digest: it changes with the user's own code, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from codex_train.script import script_digest

SCRIPT = "import helper, lazily.inner; from codex_train.script import script_digest; print(script_digest())"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A script, two modules that it imports and one that it does not."""
    (tmp_path / "project/lazily").mkdir(parents=True)
    for name, text in {"train.py": SCRIPT, "helper.py": "a = 1", "lazily/inner.py": "", "other.py": ""}.items():
        (tmp_path / "project" / name).write_text(text)
    return tmp_path / "project"


def run(project: Path) -> str:
    words = [sys.executable, "-B", str(project / "train.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return str(done.stdout).strip()


def test_it_is_of_the_script_and_of_what_it_imported_from_its_folder(project: Path) -> None:
    before = run(project)
    assert before.startswith("sha256:")
    for name in ("train.py", "helper.py", "lazily/inner.py"):
        text = (project / name).read_text()
        (project / name).write_text(f"{text}\n# more\n")
        assert run(project) != before, name
        (project / name).write_text(text)
    (project / "other.py").write_text("b = 2")
    assert run(project) == before


def test_it_is_the_same_in_another_folder(project: Path) -> None:
    before = run(project)
    assert run(project.rename(project.with_name("elsewhere"))) == before


def module(file: str | None) -> ModuleType:
    made = ModuleType("made")
    made.__file__ = file
    return made


def test_what_is_installed_below_the_script_is_no_part_of_it(project: Path) -> None:
    package = project / ".venv/lib/site-packages/package.py"
    package.parent.mkdir(parents=True)
    package.write_text("c = 3")
    loaded = {"__main__": module(str(project / "train.py"))}
    assert script_digest({**loaded, "package": module(str(package))}) == script_digest(loaded)


@pytest.mark.parametrize("file", [None, "<stdin>", "/nowhere/script.py"])
def test_without_a_script_there_is_none(file: str | None) -> None:
    assert script_digest({"__main__": module(file)}) is None
    assert script_digest({}) is None
