from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from codex_core.digest import digest_bytes
from codex_core.errors import ContentRefused, DigestError
from codex_deploy import blobs as module
from codex_deploy.blobs import BlobFolder, copy_file


def stored(layout: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (layout / "blobs" / "sha256").iterdir()}


@pytest.mark.parametrize("refused", [None, errno.EXDEV, errno.ENOSYS])
def test_a_file_is_copied_in_pieces_and_stored_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int | None
) -> None:
    def no_copy(*words: object) -> int:
        assert refused is not None
        raise OSError(refused, os.strerror(refused))

    monkeypatch.setattr(module, "_COPIED_AT_ONCE", 1000)
    monkeypatch.setattr(module, "_READ_AT_ONCE", 300)
    if refused is not None:
        monkeypatch.setattr(os, "copy_file_range", no_copy)
    content = b"line\n" * 1001
    (tmp_path / "file").write_bytes(content)
    layout = tmp_path / "layout"
    blob = BlobFolder(layout).add_file(tmp_path / "file")
    assert (blob.digest, blob.size, blob.content.kind) == (digest_bytes(content), len(content), "text")
    assert stored(layout) == {blob.digest.removeprefix("sha256:"): content}
    assert copy_file(tmp_path / "file", tmp_path / "copy") == len(content)
    assert (tmp_path / "copy").read_bytes() == content


def test_any_other_error_of_a_copy_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    (tmp_path / "file").write_bytes(b"text")
    with pytest.raises(OSError, match="No space"):
        BlobFolder(tmp_path / "layout").add_file(tmp_path / "file")


def test_nothing_is_left_of_what_may_not_be_inside(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x80\x04N.")
    folder = BlobFolder(tmp_path / "layout")
    with pytest.raises(ContentRefused):
        folder.add_file(tmp_path / "file")
    assert stored(tmp_path / "layout") == {}


def test_the_same_content_is_one_blob(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"{}")
    (tmp_path / "b").write_bytes(b"{}")
    folder = BlobFolder(tmp_path / "layout")
    assert folder.add_file(tmp_path / "a") == folder.add_file(tmp_path / "b")
    assert folder.add(b"{}") == digest_bytes(b"{}")
    assert list(stored(tmp_path / "layout").values()) == [b"{}"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(DigestError, match="link"):
        BlobFolder(tmp_path / "layout").add_file(tmp_path / "link")
