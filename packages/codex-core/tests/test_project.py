"""Promises of codex_core.project: the nearest codex.toml is found, and only what stores and policy need is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_core.errors import ConfigError
from codex_core.policy import Layer, Policy, Rule
from codex_core.policy_files import policy_files
from codex_core.project import Project, find_pipeline_file, nearest_project, policy_around, read_policy, read_project
from codex_core.status import TargetConfig
from codex_core.storage import StoreConfig

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
[pipeline]
nome = "not looked at"
[[policy.allow]]
id = "a"
url = "https://h.example:443/**"
verbs = ["read"]
[stores.models]
url = "file:mirror"
[targets.here]
kind = "dir"
url = "file:served"
[stages.train]
uses = 3
"""


def test_nearest_file_upwards_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "codex.toml").write_text("")
    (below / "codex.toml").mkdir()
    assert find_pipeline_file(below) == tmp_path / "codex.toml"
    (tmp_path / "a" / "codex.toml").write_text("")
    assert find_pipeline_file(below) == tmp_path / "a" / "codex.toml"
    assert find_pipeline_file(tmp_path) == tmp_path / "codex.toml"


def test_folder_that_is_given_relative_is_searched_upwards_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codex.toml").write_text("")
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert find_pipeline_file(type(tmp_path)()) == tmp_path / "codex.toml"


def test_project_is_policy_stores_and_targets_and_the_names_of_the_stages(tmp_path: Path) -> None:
    (tmp_path / "my project").mkdir()
    file = tmp_path / "my project" / "codex.toml"
    file.write_text(FILE)
    expected = Project(
        file,
        file.parent,
        Policy((Layer("codex.toml", (Rule("a", "https://h.example:443/**", ("read",)),)),)),
        {"models": StoreConfig("models", (file.parent / "mirror").as_uri())},
        {"here": TargetConfig("here", "dir", "file:served")},
        ("train",),
    )
    assert read_project(file, {}) == expected
    assert nearest_project(file.parent, {}) == expected


def test_place_without_a_file_is_a_project_that_allows_nothing(tmp_path: Path) -> None:
    assert nearest_project(tmp_path, {}) == Project(None, tmp_path, Policy(), {}, {})


def test_mistakes_of_all_three_tables_are_raised_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text("[targets.t]\n[policy]\nx = 1\n[stores.s]\nurl = 3\n")
    with pytest.raises(ConfigError) as raised:
        nearest_project(tmp_path, {})
    assert [(problem.line, problem.column) for problem in raised.value.problems] == [(1, 10), (1, 10), (3, 1), (5, 1)]


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^codex\.toml does not exist; check the path, or create the file$"):
        read_project(tmp_path / "codex.toml", {})


RULE = '[[policy.allow]]\nid = "{0}"\nurl = "https://{0}.example:443/**"\nverbs = ["read"]\n'


def test_layers_come_in_the_order_site_project_variable_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("site", "codex", "variable", "option"):
        (tmp_path / f"{name}.toml").write_text(RULE.format(name))
    monkeypatch.chdir(tmp_path)
    site, project = str(tmp_path / "site.toml"), str(tmp_path / "codex.toml")
    environ = {"CODEX_POLICY": "variable.toml"}
    files = policy_files(environ, project=project, given="option.toml", site=site)
    assert files == [site, project, str(tmp_path / "variable.toml"), str(tmp_path / "option.toml")]
    layers = read_policy(files).layers
    assert [layer.origin for layer in layers] == [site, "codex.toml", *files[2:]]
    assert [rule.id for layer in layers for rule in layer.allow] == ["site", "codex", "variable", "option"]
    assert policy_files({}, site=str(tmp_path / "none.toml")) == []
    assert policy_files({"CODEX_POLICY": ""}, site=site) == [site]


def test_a_policy_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        nearest_project(tmp_path, {"CODEX_POLICY": str(tmp_path / "none.toml")})


def test_mistakes_of_all_layers_are_raised_at_once(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text("[policy]\nx = 1\n")
    (tmp_path / "own.toml").write_text("[policy]\ny = 1\n[stages.a]\n")
    with pytest.raises(ConfigError) as raised:
        read_project(tmp_path / "codex.toml", {}, policy_file=str(tmp_path / "own.toml"))
    places = [(problem.file, problem.line) for problem in raised.value.problems]
    assert places == [(str(tmp_path / "own.toml"), 2), (str(tmp_path / "own.toml"), 3), ("codex.toml", 2)]


def test_mistakes_of_the_pipeline_file_are_left_to_who_reads_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text("[policy]\nx = 1\n")
    assert policy_around(tmp_path / "codex.toml", {}) == Policy()
    (tmp_path / "own.toml").write_text("[policy]\ny = 1\n")
    with pytest.raises(ConfigError) as raised:
        policy_around(tmp_path / "codex.toml", {"CODEX_POLICY": str(tmp_path / "own.toml")})
    assert [problem.file for problem in raised.value.problems] == [str(tmp_path / "own.toml")]
