"""A note of policy files spares reading them; it gives and takes nothing, whoever has written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_cli import checks
from codex_cli.sealed_project import SealedProject
from codex_core.policy import Policy

DENY = '[[policy.deny]]\nid = "never"\nurl = "https://a.example:443/**"\nverbs = ["connect"]\n'
ALLOW = DENY.replace("deny", "allow")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "codex.toml").write_text(f'[pipeline]\nname = "p"\n{DENY}')
    return folder


def note_of(project: Path, environ: dict[str, str]) -> Path:
    return Path(checks._note([str(project / "codex.toml")], environ))


def policy_of(project: Path, environ: dict[str, str]) -> Policy:
    return SealedProject(str(project), "", environ).policy()


def test_a_note_says_what_the_files_say(
    project: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o002)
    read = policy_of(project, environ)
    os.umask(before)
    monkeypatch.setattr("codex_core.project.read_policy", None)  # nothing is read now
    noted = policy_of(project, environ)
    assert (noted, noted.layers[0].deny[0].id) == (read, "never")
    assert [path.stat().st_mode & 0o777 for path in note_of(project, environ).parent.iterdir()] == [0o600]


def test_a_file_that_has_changed_is_read_again(project: Path, environ: dict[str, str]) -> None:
    policy_of(project, environ)
    (project / "codex.toml").write_text(f'[pipeline]\nname = "p"\n{DENY.replace("never", "later")}')
    assert policy_of(project, environ).layers[0].deny[0].id == "later"


@pytest.mark.parametrize("text", ["[]", '[{"allow": [], "deny": [], "locked": false, "origin": "x"}]'])
def test_what_files_allow_no_note_takes_away(project: Path, environ: dict[str, str], text: str) -> None:
    (project / "codex.toml").write_text(f'[pipeline]\nname = "p"\n{ALLOW}')
    policy_of(project, environ)
    assert not note_of(project, environ).exists()
    checks.remember([str(project / "codex.toml")], environ, text)
    made = SealedProject(str(project), "", environ)
    assert made.openings("sealed") is not None
    assert made.policy().layers[0].allow[0].id == "never"


@pytest.mark.parametrize("text", ["[" * 200_000, '[{"a', '{"a": 1}', "[1]", '[{"allow": []}]', "\udc80"])
def test_a_note_that_a_program_wrote_says_nothing(project: Path, environ: dict[str, str], text: str) -> None:
    policy_of(project, environ)
    note = note_of(project, environ)
    note.write_bytes(note.read_bytes()[:32] + text.encode("utf-8", "surrogateescape"))
    assert policy_of(project, environ).layers in {(), policy_of(project, {**environ, "XDG_CACHE_HOME": ""}).layers}


def test_a_note_gives_nothing(project: Path, environ: dict[str, str]) -> None:
    policy_of(project, environ)
    note = note_of(project, environ)
    note.write_bytes(note.read_bytes().replace(b'"allow": []', b'"allow": [{"id": "a"}]'))
    assert policy_of(project, environ).layers[0].allow == ()


def test_a_note_of_any_size_is_no_burden(project: Path, environ: dict[str, str]) -> None:
    policy_of(project, environ)
    with open(note_of(project, environ), "r+b") as note:
        note.truncate(2**40)
    assert not policy_of(project, environ).layers or policy_of(project, environ).layers[0].deny
