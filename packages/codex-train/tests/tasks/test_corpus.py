"""The corpus: which files are held out, and in which order files are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.errors import ConfigError
from codex_train.tasks.corpus import find_corpus, path_number


def fill(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_the_number_of_a_path_is_the_head_of_its_sha256(path: str) -> None:
    assert path_number(path) == int(hashlib.sha256(path.encode()).hexdigest()[:16], 16)


def test_one_file_of_twenty_is_held_out_by_the_rule_alone(tmp_path: Path) -> None:
    paths = [f"{name}/{number}.py" for name in "ab" for number in range(100)]
    held = {path for path in paths if int(hashlib.sha256(path.encode()).hexdigest()[:16], 16) % 20 == 0}
    assert 3 <= len(held) <= 20
    corpus = find_corpus(fill(tmp_path, *paths), 20)
    assert set(corpus.held_out) == held
    assert corpus.training == tuple(sorted(set(paths) - held, key=str.encode))


def test_another_file_moves_none_from_one_side_to_the_other(tmp_path: Path) -> None:
    paths = [f"{number}.py" for number in range(60)]
    before = find_corpus(fill(tmp_path, *paths), 20)
    after = find_corpus(fill(tmp_path, "new.py"), 20)
    assert set(before.training) <= set(after.training)
    assert set(before.held_out) <= set(after.held_out)


def test_of_a_few_files_one_is_held_out_and_a_single_one_is_trained_on(tmp_path: Path) -> None:
    few = find_corpus(fill(tmp_path / "few", "a", "b", "c"), 10**9)
    assert (few.training, few.held_out) == (("a", "b"), ("c",))
    one = find_corpus(fill(tmp_path / "one", "a"), 10**9)
    assert (one.training, one.held_out) == (("a",), ())


def test_files_are_read_one_after_the_other_up_to_the_limit(tmp_path: Path) -> None:
    corpus = find_corpus(fill(tmp_path, "b/1", "a", "é", "c"), 10**9)
    assert corpus.read(["a", "b/1"]) == b"ab/1"
    assert corpus.read(["a", "b/1"], limit=2) == b"ab"
    assert corpus.read(["b/1", "absent"], limit=3) == b"b/1"


@pytest.mark.parametrize("made", ["nothing", "file", "empty"])
def test_no_data_is_told(made: str, tmp_path: Path) -> None:
    if made == "file":
        (tmp_path / "data").write_bytes(b"x")
    if made == "empty":
        (tmp_path / "data" / "sub").mkdir(parents=True)
    with pytest.raises(ConfigError, match="there is no data"):
        find_corpus(tmp_path / "data", 20)
