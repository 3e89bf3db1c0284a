"""The smoke test knows what each installation may bring, and recognises a stranger's files."""

from pathlib import Path

import pytest

from tools.ci.projects import Wheel, build_wheels, closure, projects
from tools.ci.smoke import Case, forbidden, foreign


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Wheel]:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def names(wheels: list[Wheel]) -> list[str]:
    return sorted(wheel.path.name.partition("-")[0] for wheel in wheels)


def test_every_package_is_built(built: dict[str, Wheel]) -> None:
    assert sorted(built) == sorted(project.name for project in projects())
    assert len(built) == 6


def test_a_sibling_needs_core_and_no_other_sibling(built: dict[str, Wheel]) -> None:
    for sibling in ("connectors", "train", "analysis", "deploy", "cli"):
        assert names(closure(built, f"codex-{sibling}")) == sorted(["codex_core", f"codex_{sibling}"])
    assert names(closure(built, "codex-core")) == ["codex_core"]


def test_extras_of_the_command_line_bring_their_packages(built: dict[str, Wheel]) -> None:
    assert names(closure(built, "codex-cli", ["train"])) == ["codex_cli", "codex_core", "codex_train"]
    assert len(closure(built, "codex-cli", ["all"])) == 6


def test_only_the_command_line_may_bring_typer(built: dict[str, Wheel]) -> None:
    for project in projects():
        unwanted = forbidden(Case(project.name), projects(), closure(built, project.name))
        assert ({"torch", "numpy"} <= unwanted) == (project.name != "codex-train")
        assert "mlflow" in unwanted
        assert ("typer" in unwanted) == (project.name != "codex-cli")
        assert project.module not in unwanted


def test_a_sibling_from_an_index_is_foreign(built: dict[str, Wheel], tmp_path: Path) -> None:
    wheel = built["codex-core"]
    problems = foreign({"codex-core": "an index"}, [wheel], tmp_path)
    assert problems[0] == "codex-core came from an index"
    assert f"codex_core/py.typed is not the file of {wheel.path.name}" in problems
