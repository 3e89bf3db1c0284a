"""The environment that the tests run in holds this repository's packages and no stranger's of the same name."""

import importlib.metadata
import json

import pytest

from tools.ci.projects import ROOT, Project, projects


@pytest.mark.parametrize("project", projects(), ids=lambda project: project.name)
def test_each_package_is_installed_from_its_folder(project: Project) -> None:
    installed = importlib.metadata.distribution(project.name)
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    assert origin == {"url": project.folder.as_uri(), "dir_info": {"editable": True}}


def test_a_sibling_is_asked_for_up_to_the_next_breaking_release_and_codex_cli_by_none() -> None:
    for project in projects():
        for requirement in importlib.metadata.requires(project.name) or []:
            if requirement.startswith("codex-"):
                assert "<2,>=1" in requirement.partition(";")[0]
                assert not requirement.startswith("codex-cli")  # a stranger's codex-cli 1.0.1 would do


def test_the_top_of_the_repository_holds_what_is_written_down_and_nothing_else() -> None:
    shown = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    named = {"packages", "tools", "tests-integration", "docs", "pyproject.toml", "hatch.toml"}
    assert shown <= named | {"README.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md", "dist"}
