from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from codex_cli.pipeline.staging import StagingFolder, discard
from codex_core.digest import digest_path
from codex_core.errors import DigestError, StageFailed

NUMBERS = itertools.count()


def make(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def folder(root: Path, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> StagingFolder:
    return StagingFolder(root / ".codex" / "staging" / f"s.{next(NUMBERS)}", inputs, outputs)


def test_inputs_appear_under_their_own_names_with_the_digests_of_their_bytes(tmp_path: Path) -> None:
    make(tmp_path, {"data/raw/a.txt": "a", "data/raw/deep/b.txt": "b", "notes.md": "n", "data/other": "o"})
    staging = folder(tmp_path, ("data/raw", "notes.md"), ("out/report.json",))
    assert staging.prepare(tmp_path) == {
        "data/raw": digest_path(tmp_path / "data/raw"),
        "notes.md": digest_path(tmp_path / "notes.md"),
    }
    found = sorted(str(p.relative_to(staging.path)) for p in staging.path.rglob("*") if p.is_file())
    assert found == ["data/raw/a.txt", "data/raw/deep/b.txt", "notes.md"]
    assert (staging.path / "out").is_dir()


def test_inputs_are_read_only_copies_so_the_original_cannot_be_changed(tmp_path: Path) -> None:
    make(tmp_path, {"data/a.txt": "a"})
    staging = folder(tmp_path, ("data",))
    staging.prepare(tmp_path)
    copy = staging.path / "data/a.txt"
    assert copy.stat().st_mode & 0o777 == 0o444
    assert (staging.path / "data").stat().st_mode & 0o777 == 0o555
    copy.chmod(0o644)
    copy.write_text("changed")
    assert (tmp_path / "data/a.txt").read_text() == "a"


def test_an_executable_input_stays_executable(tmp_path: Path) -> None:
    make(tmp_path, {"tool.sh": "#!/bin/sh\n"})
    (tmp_path / "tool.sh").chmod(0o755)
    staging = folder(tmp_path, ("tool.sh",))
    staging.prepare(tmp_path)
    assert (staging.path / "tool.sh").stat().st_mode & 0o777 == 0o555


def test_a_link_in_an_input_is_refused(tmp_path: Path) -> None:
    make(tmp_path, {"data/a.txt": "a"})
    (tmp_path / "data/link").symlink_to("a.txt")
    with pytest.raises(DigestError, match="data/link"):
        folder(tmp_path, ("data",)).prepare(tmp_path)


@pytest.mark.parametrize("change", ["write", "add", "remove"])
def test_a_stage_that_changes_its_input_is_told_which(tmp_path: Path, change: str) -> None:
    make(tmp_path, {"data/a.txt": "a", "data/b.txt": "b"})
    staging = folder(tmp_path, ("data",))
    staging.prepare(tmp_path)
    watched = staging.watch()
    (staging.path / "data").chmod(0o755)
    (staging.path / "data/a.txt").chmod(0o644)
    if change == "write":
        (staging.path / "data/a.txt").write_text("A")
    elif change == "add":
        (staging.path / "data/c.txt").write_text("c")
    else:
        (staging.path / "data/a.txt").unlink()
    with pytest.raises(StageFailed, match="changed its input"):
        staging.collect(watched)


def test_an_undeclared_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    staging = folder(tmp_path, (), ("out/a.json",))
    staging.prepare(tmp_path)
    make(staging.path, {"out/a.json": "{}", "out/b.json": "{}", "c.txt": ""})
    with pytest.raises(StageFailed, match=r"'c.txt', 'out/b.json', which is none of its outputs"):
        staging.collect(staging.watch())


def test_a_missing_output_is_an_error_that_names_it(tmp_path: Path) -> None:
    staging = folder(tmp_path, (), ("a.json", "b.json"))
    staging.prepare(tmp_path)
    make(staging.path, {"b.json": "{}"})
    with pytest.raises(StageFailed, match="did not write its output"):
        staging.collect(staging.watch())


def test_a_link_in_an_output_is_an_error(tmp_path: Path) -> None:
    staging = folder(tmp_path, (), ("out",))
    staging.prepare(tmp_path)
    make(staging.path, {"out/a": "a"})
    (staging.path / "out/link").symlink_to("/etc/passwd")
    with pytest.raises(StageFailed, match="link"):
        staging.collect(staging.watch())


def test_outputs_are_published_over_what_stands_there_files_and_folders_alike(tmp_path: Path) -> None:
    make(tmp_path, {"model/old": "old", "report.json": "old", "swap": "a file becomes a folder"})
    staging = folder(tmp_path, (), ("model", "report.json", "swap", "deep/new.txt"))
    staging.prepare(tmp_path)
    make(staging.path, {"model/new": "new", "report.json": "new", "swap/in": "folder", "deep/new.txt": "n"})
    digests = staging.collect(staging.watch())
    staging.publish(tmp_path)
    assert {name: digest_path(tmp_path / name) for name in staging.outputs} == digests
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["new"]
    assert (tmp_path / "swap/in").read_text() == "folder"
    discard(staging.place)
    assert list(staging.place.parent.iterdir()) == []


def test_a_copied_read_only_folder_can_be_published_and_replaced(tmp_path: Path) -> None:
    make(tmp_path, {"data/a.txt": "a"})
    for _ in range(2):
        staging = folder(tmp_path, ("data",), ("copy",))
        staging.prepare(tmp_path)
        make(staging.path, {"copy/sub/a.txt": "a"})
        (staging.path / "copy/sub").chmod(0o555)
        (staging.path / "copy").chmod(0o555)
        staging.collect(staging.watch())
        staging.publish(tmp_path)
    assert (tmp_path / "copy/sub/a.txt").read_text() == "a"


def test_a_killed_stage_s_staging_folder_is_discarded_whatever_is_in_it(tmp_path: Path) -> None:
    make(tmp_path, {"s/ro/a": "a"})
    (tmp_path / "s/ro").chmod(0o555)
    (tmp_path / "s/dangling").symlink_to("nowhere")
    discard(tmp_path / "s")
    assert list(tmp_path.iterdir()) == []
