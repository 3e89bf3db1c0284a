"""Listings of folders."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_connectors.listing import list_files
from codex_core.errors import KeyRefused, ObjectMissing, StorageError

names = st.sampled_from(["a", "a.b", "a-b", "a0", "b", "é", "A", "a b"])
trees = st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), min_size=1, max_size=12)


def keys(root: Path, prefix: str = "") -> list[str]:
    return [info.key for info in list_files(root, prefix)]


def fill(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_keys_are_sorted_by_their_bytes_across_folders(tmp_path: Path) -> None:
    paths = ["a/b", "a.txt", "a", "a-", "b/c/d", "b/c.x", "é", "z"]
    fill(tmp_path, *[path for path in paths if path != "a"])
    assert keys(tmp_path) == sorted([path for path in paths if path != "a"], key=str.encode)


@settings(max_examples=30, deadline=None)
@given(trees)
def test_any_tree_is_listed_whole_and_in_order(tmp_path_factory: pytest.TempPathFactory, tree: set[str]) -> None:
    root = tmp_path_factory.mktemp("tree")
    files = {path for path in tree if not any(other.startswith(path + "/") for other in tree)}
    fill(root, *files)
    assert keys(root) == sorted(files, key=str.encode)


def test_a_prefix_is_an_object_or_a_folder_and_never_part_of_a_name(tmp_path: Path) -> None:
    fill(tmp_path, "a/b", "a/c/d", "ab", "x")
    assert keys(tmp_path, "a") == ["a/b", "a/c/d"]
    assert keys(tmp_path, "a/b") == ["a/b"]
    assert keys(tmp_path, "x") == ["x"]
    assert keys(tmp_path, "missing") == []
    assert keys(tmp_path, "x/y") == []
    assert keys(tmp_path, "missing/y") == []


def test_sizes_and_times_are_told_and_the_etag_changes_with_the_bytes(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    (before,) = list_files(tmp_path)
    (tmp_path / "a").write_text("A")
    os.utime(tmp_path / "a", ns=(0, 0))
    (after,) = list_files(tmp_path)
    assert (before.size, after.size, before.digest) == (1, 1, None)
    assert before.etag != after.etag
    assert after.modified is not None
    assert after.modified.isoformat() == "1970-01-01T00:00:00+00:00"


def test_a_missing_root_is_an_error_and_not_an_empty_store(tmp_path: Path) -> None:
    for prefix in ("", "a"):
        with pytest.raises(ObjectMissing, match="does not exist") as caught:
            keys(tmp_path / "gone", prefix)
        assert "create or mount it" in str(caught.value)


def test_a_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    with pytest.raises(StorageError, match="is not a folder"):
        keys(tmp_path / "a")


def test_links_and_special_files_are_errors_that_name_them(tmp_path: Path) -> None:
    fill(tmp_path, "d/a")
    odd = tmp_path / "d" / "odd"
    odd.symlink_to("a")
    with pytest.raises(KeyRefused, match="'d/odd' is a symbolic link"):
        keys(tmp_path)
    odd.unlink()
    os.mkfifo(odd)
    with pytest.raises(KeyRefused, match="'d/odd' is a special file"):
        keys(tmp_path)
    odd.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(odd))
        with pytest.raises(KeyRefused, match="'d/odd' is a special file"):
            keys(tmp_path)


def test_a_linked_folder_is_not_entered(tmp_path: Path) -> None:
    fill(tmp_path / "outside", "secret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    for prefix in ("", "link", "link/secret"):
        with pytest.raises(KeyRefused):
            keys(tmp_path / "root", prefix)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    fill(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to("real")
    assert keys(tmp_path / "link") == ["a"]


def test_a_name_that_is_not_utf8_is_an_error_that_shows_it(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")).write_text("x")
    with pytest.raises(KeyRefused, match=r"bad\\udcff"):
        keys(tmp_path)


def test_drafts_are_not_listed(tmp_path: Path) -> None:
    fill(tmp_path, ".codex-draft-0011223344556677", "a", ".hidden")
    assert keys(tmp_path) == [".hidden", "a"]


def test_very_deep_folders_are_listed(tmp_path: Path) -> None:
    deep = "/".join(["d" * 100] * 60)
    held = os.open(tmp_path, os.O_RDONLY)
    for part in deep.split("/"):
        os.mkdir(part, dir_fd=held)
        below = os.open(part, os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=held))
    os.close(held)
    assert keys(tmp_path) == [f"{deep}/f"]
