from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_deploy.paths import path_faults


@pytest.mark.parametrize("letter", ["\U0001fae8", "\u0904", "\u1c89", "\u1c8a"])
def test_a_letter_that_is_new_in_some_unicode_is_right_on_every_python(letter: str) -> None:
    assert list(path_faults([f"notes/{letter}.md"])) == []


def test_a_letter_and_its_capital_that_are_new_are_two_on_every_python() -> None:
    assert list(path_faults(["\ua7cb.md", "\u0264.md"])) == []  # a pair since Unicode 16


def test_plain_paths_have_no_fault() -> None:
    assert list(path_faults(["model.safetensors", "a/b.json", "a/c.json", "Wörter.txt", "-x", ".hidden", "a b"])) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("../x", "leads out"),
        ("a/../../x", "leads out"),
        ("a/..", "leads out"),
        ("", "empty part"),
        ("./x", "empty part"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a\\..\\b", "backslash"),
        ("C:x", "drive"),
        ("a\nb", "cannot be shown"),
        ("a\0b", "cannot be shown"),
        ("a\u202eb", "cannot be shown"),
        ("a ", "ends with a space"),
        ("a./b", "ends with a space or a dot"),
        ("a" * 256, "longer"),
        ("ü" * 128, "longer"),
    ],
)
def test_a_path_that_could_mislead_is_told(path: str, why: str) -> None:
    [(found, reason)] = path_faults([path])
    assert found == path
    assert why in reason


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a", "a"], "twice"),
        (["README.md", "readme.MD"], "only in spelling"),
        (["stra\u00dfe", "STRASSE"], "only in spelling"),
        (["u\u0308", "\u00fc"], "only in spelling"),
        (["a", "a/b"], "which is a file"),
        (["a/b/c", "a/b"], "lies below it"),
        (["A", "a/b"], "which is a file"),
    ],
)
def test_paths_that_meet_on_some_file_system_are_told(paths: list[str], why: str) -> None:
    [(found, reason)] = path_faults(paths)
    assert found == paths[1]
    assert why in reason


@given(st.lists(st.text(st.sampled_from("aA./\\ \0:ü"), max_size=8), max_size=4))
def test_what_has_no_fault_stays_inside_and_apart(paths: list[str]) -> None:
    if list(path_faults(paths)):
        return
    for path in paths:
        assert path == posixpath.normpath(path)
        assert not posixpath.join("/bundle", path).startswith("/bundle/../")
        assert posixpath.normpath(posixpath.join("/bundle", path)).startswith("/bundle/")
    assert len({path.casefold() for path in paths}) == len(paths)
