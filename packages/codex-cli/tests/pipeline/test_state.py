from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_cli.pipeline.state import StateFolder, write_atomically
from codex_core.errors import StorageError


@pytest.mark.parametrize("name", ["", "staging", "logs", "records", "runs", "lock", "ledger.ndjson"])
def test_a_link_in_the_place_of_the_state_is_refused_and_what_it_leads_to_is_kept(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "elsewhere"
    precious.mkdir()
    (precious / "file").write_text("precious")
    state = StateFolder(tmp_path / "project")
    place = state.path / name
    place.parent.mkdir(parents=True)
    place.symlink_to(precious)
    with pytest.raises(StorageError, match="is a link"):
        state.create()
    assert (precious / "file").read_text() == "precious"
    assert sorted(os.listdir(precious)) == ["file"]  # noqa: PTH208 - names are what is compared


def test_the_state_keeps_itself_out_of_the_project_s_history(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.create()
    assert (state.path / ".gitignore").read_text() == "*\n"


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "records/a.json", b"one")
    write_atomically(tmp_path / "records/a.json", b"two")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "records").iterdir()] == [("a.json", b"two")]
