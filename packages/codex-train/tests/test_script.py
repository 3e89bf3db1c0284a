"""The script's digest: it changes with the user's own code, and with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from codex_train.script import Script, find_script

SCRIPT = """
import sys
sys.path.insert(0, sys.path[0] + "/../lib")
import helper, inner.deep, linked, model
import json
from codex_train.script import find_script
script = find_script()
import late
own = lambda files: {path: digest for path, digest in files.items() if "codex" not in path}
print(json.dumps([own(script.files), own(script.added(script.files))]))
"""
FILES = {
    "scripts/train.py": SCRIPT,
    "scripts/helper.py": "a = 1",
    "scripts/inner/deep.py": "",
    "scripts/late.py": "",
    "scripts/other.py": "",
    "elsewhere/linked.py": "",
    "lib/model.py": "",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A script, the modules that it imports, in its folder, linked into it and beside it, and one that it does not."""
    for name, text in FILES.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    (tmp_path / "project/scripts/linked.py").symlink_to("../elsewhere/linked.py")
    return tmp_path / "project"


def run(project: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The files of the script, and those that it imports later."""
    words = [sys.executable, "-B", str(project / "scripts/train.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    files, late = json.loads(done.stdout)
    return files, late


def test_it_is_of_the_script_and_of_all_it_imported_that_is_not_installed(project: Path) -> None:
    files, late = run(project)
    assert sorted(files) == ["../lib/model.py", "helper.py", "inner/deep.py", "linked.py", "train.py"]
    assert list(late) == ["late.py"]


@pytest.mark.parametrize("name", [name for name in FILES if name != "scripts/other.py"])
def test_a_changed_file_is_named_and_one_that_is_gone(project: Path, name: str) -> None:
    files, late = run(project)
    before = Script(project / "scripts", {**files, **late})
    assert before.changes(before.files) == ()
    (project / name).write_text(f"{FILES[name]}\n# more\n")
    (change,) = before.changes(before.files)
    assert change.endswith(f"{Path(name).name} changed")
    (project / name).unlink()
    (change,) = before.changes(before.files)
    assert change.endswith(f"{Path(name).name} is gone")


def test_what_was_not_imported_before_is_no_change(project: Path) -> None:
    files, late = run(project)
    assert Script(project / "scripts", {**files, **late}).changes(files) == ()


def test_it_is_the_same_in_another_folder(project: Path) -> None:
    before = run(project)
    assert run(project.rename(project.with_name("renamed"))) == before


def module(file: str | None) -> ModuleType:
    made = ModuleType("made")
    made.__file__ = file
    return made


def test_what_is_installed_or_of_the_library_is_no_part_of_it(project: Path) -> None:
    package = project / "scripts/.venv/lib/python3/site-packages/package.py"
    package.parent.mkdir(parents=True)
    package.write_text("c = 3")
    loaded = {"__main__": module(str(project / "scripts/train.py")), "json": json, "p": module(str(package))}
    found = find_script(loaded)
    assert found is not None
    assert list(found.files) == ["train.py"]


@pytest.mark.parametrize("file", [None, pytest.__file__, json.__file__, str(Path(sys.executable).with_name("codex"))])
def test_without_a_script_of_the_user_s_there_is_none(file: str | None) -> None:
    assert find_script({"__main__": module(file)}) is None
    assert find_script({}) is None
