"""run.json: what is written is read back, and what is not a run's is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from codex_core.errors import ConfigError
from codex_train.identity import Identity
from codex_train.run_file import RunFile, Settings, read_run, write_run

FILE = RunFile(
    Identity({"seed": 7, "params": {"rate": 0.5}}, {"threads": 1}),
    state="interrupted",
    step=40,
    steps=100,
    plan={"examples": 10, "batch_size": 2},
    inexact=(
        {"step": 3, "differences": ["threads: 1 -> 2", "torch: a -> b"]},
        {"step": 9, "differences": ["x: 1 -> 2"]},
    ),
    settings=Settings(2, 10, 1, "/data"),
    observed={"pid": 1, "at": 1.5},
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_run(tmp_path, FILE)
    assert read_run(tmp_path) == FILE
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_environment_of_a_manifest_says_where_bits_began_to_differ() -> None:
    told = "after step 3: threads: 1 -> 2, torch: a -> b; after step 9: x: 1 -> 2"
    assert FILE.attested == Identity(FILE.identity.made_from, {"threads": 1, "inexact": told})
    assert replace(FILE, inexact=()).attested == FILE.identity


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"schema":"codex.run/9"}', b'{"schema":"codex.run/1"}'])
def test_what_no_run_writes_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(ConfigError, match=r"run\.json (cannot be read|is not what a run writes)"):
        read_run(tmp_path)


def test_a_folder_without_one_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no run: it has no run\.json"):
        read_run(tmp_path)
