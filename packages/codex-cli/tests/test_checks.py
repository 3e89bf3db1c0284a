"""A note of policy files spares reading them; it gives and takes nothing, whoever has written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_cli import checks, index_cache
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
    files = [str(project / "codex.toml")]
    checks.remember(files, environ, text)
    assert not note_of(project, environ).exists()
    note = checks._digest(checks._read(files)) + text.encode()
    index_cache.replace_trusted(environ, str(note_of(project, environ)), note)
    made = SealedProject(str(project), "", environ)
    assert made.ways_out("sealed")[0] is not None
    assert made.policy().layers[0].allow[0].id == "never"


@pytest.mark.parametrize("text", ["[" * 200_000, '[{"a', '{"a": 1}', "[1]", '[{"allow": []}]'])
def test_a_note_that_a_program_wrote_says_nothing(project: Path, environ: dict[str, str], text: str) -> None:
    policy_of(project, environ)
    note = note_of(project, environ)
    note.write_bytes(note.read_bytes()[:32] + text.encode())
    assert policy_of(project, environ) == Policy()


@pytest.mark.parametrize("data", [b"", b"short", bytes(32) + b"[]"])
def test_a_note_of_other_files_is_none(project: Path, environ: dict[str, str], data: bytes) -> None:
    read = policy_of(project, environ)
    note_of(project, environ).write_bytes(data)
    assert policy_of(project, environ) == read != Policy()


def test_a_note_gives_nothing(project: Path, environ: dict[str, str]) -> None:
    policy_of(project, environ)
    note = note_of(project, environ)
    note.write_bytes(note.read_bytes().replace(b'"allow": []', b'"allow": [{"id": "a"}]'))
    assert policy_of(project, environ).layers[0].allow == ()


def test_a_note_of_any_size_is_no_burden(project: Path, environ: dict[str, str]) -> None:
    policy_of(project, environ)
    with open(note_of(project, environ), "r+b") as note:
        note.truncate(2**40)
    assert policy_of(project, environ) == Policy()  # a terabyte is not read


def test_what_would_be_read_in_part_is_not_noted(project: Path, environ: dict[str, str]) -> None:
    denies = "".join(DENY.replace("never", f"n{number}-{'x' * 1200}") for number in range(1000))
    (project / "codex.toml").write_text(f'[pipeline]\nname = "p"\n{denies}')
    assert len(policy_of(project, environ).layers[0].deny) == 1000
    assert not note_of(project, environ).exists()
    assert len(policy_of(project, environ).layers[0].deny) == 1000


def test_files_that_hold_the_word_are_read_each_time(project: Path, environ: dict[str, str]) -> None:
    (project / "codex.toml").write_text(f'[pipeline]\nname = "p"\n# nothing is allowed\n{DENY}')
    assert policy_of(project, environ).layers[0].deny
    assert not note_of(project, environ).exists()
