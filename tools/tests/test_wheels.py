"""The comparison of builds can fail, and says where."""

import zipfile
from pathlib import Path

import pytest

from tools.ci import wheels
from tools.ci.projects import Project

CONTENT = {
    "codex_toy/__about__.py": "",
    "codex_toy/py.typed": "",
    "codex_toy-1.0.0.dist-info/licenses/LICENSE": "Apache-2.0",
    "codex_toy-1.0.0.dist-info/RECORD": "",
}


def write_wheel(path: Path, content: dict[str, str], year: int = 2020) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 2, 2, 0, 0, 0)), text)
    return path


@pytest.fixture
def toy(tmp_path: Path) -> Project:
    return Project("codex-toy", tmp_path)


def test_equal_archives_do_not_differ(tmp_path: Path) -> None:
    one, other = (write_wheel(tmp_path / place / "toy.whl", CONTENT) for place in "ab")
    assert wheels.differences(one, other) == []


@pytest.mark.parametrize(
    ("content", "year"),
    [(CONTENT, 2021), ({**CONTENT, "codex_toy/py.typed": "partial\n"}, 2020), ({"codex_toy/__about__.py": ""}, 2020)],
)
def test_another_time_another_content_or_a_missing_member_is_named(
    tmp_path: Path, content: dict[str, str], year: int
) -> None:
    one = write_wheel(tmp_path / "a" / "toy.whl", CONTENT)
    (problem,) = wheels.differences(one, write_wheel(tmp_path / "b" / "toy.whl", content, year))
    assert problem.startswith("toy.whl: differs in ")
    assert "codex_toy/py.typed" in problem


def test_an_archive_that_one_build_lacks_is_named(tmp_path: Path) -> None:
    other = write_wheel(tmp_path / "b" / "toy.whl", CONTENT)
    assert wheels.differences(tmp_path / "a" / "toy.whl", other) == ["toy.whl: built by one of the builds only"]


def test_a_complete_wheel_misses_nothing(toy: Project, tmp_path: Path) -> None:
    assert wheels.missing_members(toy, write_wheel(tmp_path / "toy.whl", CONTENT)) == []


@pytest.mark.parametrize("name", [name for name in CONTENT if not name.endswith("RECORD")])
def test_a_wheel_without_version_typing_or_license_is_named(toy: Project, tmp_path: Path, name: str) -> None:
    rest = {member: text for member, text in CONTENT.items() if member != name}
    assert len(wheels.missing_members(toy, write_wheel(tmp_path / "toy.whl", rest))) == 1


def test_a_wheel_that_installs_something_else_is_named(toy: Project, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "toy.whl", {**CONTENT, "tests/test_toy.py": ""})
    assert wheels.missing_members(toy, wheel) == ["toy.whl: installs tests"]
