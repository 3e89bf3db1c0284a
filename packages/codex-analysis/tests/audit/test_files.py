from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_analysis.audit import audit_paths
from codex_analysis.audit.files import common_root, find_files
from codex_core.errors import UsageError


def grow(root: Path, *paths: str, text: str = "x = 1\n") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def names(*paths: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    return sorted(find_files(paths, exclude).files)


def test_python_files_are_told_by_suffix_and_others_are_left(tmp_path: Path) -> None:
    grow(tmp_path, "a.py", "b/c.pyi", "d.txt", "e.pyc", "f.py.orig", "README", "g.PY")
    assert names(tmp_path) == ["a.py", "b/c.pyi"]


@pytest.mark.parametrize(
    ("first", "is_python"),
    [
        (b"#!/usr/bin/env python3\n", True),
        (b"#!/usr/bin/python3.13 -u\nx\n", True),
        (b"#! /usr/bin/env -S pypy3", True),
        (b"#!/bin/sh\n# python\n", False),
        (b"#!/usr/bin/env python3-config\n", False),
        (b"#!/opt/python/bin/ruby\n", False),
        (b"x = 1  #!/usr/bin/python\n", False),
        (b"", False),
        (b"\0\xff", False),
    ],
)
def test_a_file_without_a_suffix_is_python_if_its_first_line_says_so(
    tmp_path: Path, first: bytes, is_python: bool
) -> None:
    (tmp_path / "tool").write_bytes(first)
    (tmp_path / "tool.sh").write_bytes(first)
    assert names(tmp_path) == (["tool"] if is_python else [])


def test_hidden_folders_caches_modules_and_environments_are_left_out(tmp_path: Path) -> None:
    left_out = (".git/a.py", ".venv/a.py", "__pycache__/a.py", "web/node_modules/a.py", "env/lib/a.py")
    grow(tmp_path, *left_out, "env/pyvenv.cfg", ".hidden.py", "kept/a.py")
    assert names(tmp_path) == [".hidden.py", "kept/a.py"]


def test_a_folder_that_is_named_is_audited_whatever_it_is_called(tmp_path: Path) -> None:
    grow(tmp_path, ".venv/a.py", ".venv/pyvenv.cfg", "__pycache__/b.py")
    assert names(tmp_path / ".venv", tmp_path / "__pycache__") == [".venv/a.py", "__pycache__/b.py"]


def test_links_and_special_files_are_listed_and_never_followed(tmp_path: Path) -> None:
    grow(tmp_path, "tree/a.py", "outside.py", "elsewhere/b.py")
    tree = tmp_path / "tree"
    (tree / "link.py").symlink_to(tmp_path / "outside.py")
    (tree / "folder").symlink_to(tmp_path / "elsewhere")
    (tree / "loop").symlink_to(tree)
    (tree / "dangling.py").symlink_to("nowhere")
    os.mkfifo(tree / "pipe.py")
    audit = audit_paths([tree])
    assert audit.files == 1
    assert [(item.path, item.reason) for item in audit.skipped] == [
        ("dangling.py", "a link"),
        ("folder", "a link"),
        ("link.py", "a link"),
        ("loop", "a link"),
        ("pipe.py", "a special file"),
    ]


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    grow(tmp_path, "tree/a.py")
    (tmp_path / "folder").symlink_to("tree")
    (tmp_path / "file.py").symlink_to("tree/a.py")
    assert names(tmp_path / "folder") == ["a.py"]
    assert names(tmp_path / "folder", tmp_path / "file.py") == ["file.py", "folder/a.py"]
    assert audit_paths([tmp_path / "file.py"]).lines == 1


def test_paths_are_relative_to_the_deepest_folder_that_holds_all(tmp_path: Path) -> None:
    grow(tmp_path, "p/one/a.py", "p/two/b.py", "p/c.py")
    one, two, file = tmp_path / "p/one", tmp_path / "p/two", tmp_path / "p/c.py"
    assert (names(one), names(one, two), names(file)) == (["a.py"], ["one/a.py", "two/b.py"], ["c.py"])
    assert names(tmp_path / "p", one, file, one / "../two") == ["c.py", "one/a.py", "two/b.py"]
    assert common_root([one, two]) == common_root([file]) == tmp_path / "p"


def test_a_named_file_is_read_as_python_whatever_its_name(tmp_path: Path) -> None:
    grow(tmp_path, "notes.txt", text="this is no Python\n")
    assert [item.kind for item in audit_paths([tmp_path / "notes.txt"]).findings] == ["unreadable"]


def test_excluded_files_and_folders_are_left_out(tmp_path: Path) -> None:
    grow(tmp_path, "a.py", "tests/b.py", "p/tests/c.py", "p/d.py", "p/e.pyi")
    assert names(tmp_path, exclude=("**/tests", "**/*.pyi")) == ["a.py", "p/d.py"]
    assert names(tmp_path / "a.py", tmp_path / "p", tmp_path / "tests", exclude=("tests", "a.py")) == [
        "p/d.py",
        "p/e.pyi",
        "p/tests/c.py",
    ]


def test_every_path_that_cannot_be_audited_is_named_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError) as caught:
        find_files([tmp_path / "no", tmp_path / "pipe", tmp_path, tmp_path / "nor"])
    messages = [problem.message for problem in caught.value.problems]
    assert [message.rpartition("/")[2] for message in messages] == [
        "no' does not exist",
        "nor' does not exist",
        "pipe' is neither a folder nor a file",
    ]
    assert all(problem.hint for problem in caught.value.problems)
    with pytest.raises(UsageError, match="nothing to audit"):
        find_files([])


def test_a_name_that_is_not_utf_8_is_told_with_escapes(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff\xc3\xa9.py", "wb") as stream:
        stream.write(b"def f(): pass\n")
    assert [item.path for item in audit_paths([tmp_path]).findings] == [r"\xffé.py"]
