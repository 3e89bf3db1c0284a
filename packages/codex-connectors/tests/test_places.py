"""What P names."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_connectors.places import find_spot
from codex_core.errors import CodexError
from codex_core.storage import StoreConfig

STORES = {"models": StoreConfig("models", "s3://models", "https://h:9000")}


def found(text: str, folder: Path) -> tuple[str, str, str]:
    spot = find_spot(text, STORES, folder)
    return spot.store.url, spot.key, str(spot)


def test_a_place_names_a_store_of_the_project(tmp_path: Path) -> None:
    assert found("store://models", tmp_path) == ("s3://models", "", "store://models")
    assert found("store://models/a/b/", tmp_path) == ("s3://models", "a/b", "store://models/a/b")


def test_a_folder_is_a_store_and_a_file_an_object_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "d e").mkdir()
    (tmp_path / "d e" / "f").write_text("")
    uri = (tmp_path / "d e").as_uri()
    assert found("d e", tmp_path) == (uri, "", f"{tmp_path}/d e")
    assert found("d e/f", tmp_path) == (uri, "f", f"{tmp_path}/d e/f")
    assert found(f"{uri}/f", tmp_path) == (uri, "f", f"{tmp_path}/d e/f")
    assert found("file:d%20e", tmp_path) == (uri, "", f"{tmp_path}/d e")
    assert found("d e/new", tmp_path) == (uri, "new", f"{tmp_path}/d e/new")


def test_dots_and_links_of_a_local_path_are_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    assert found("d/../link", tmp_path) == ((tmp_path / "d").as_uri(), "", f"{tmp_path}/d")


@pytest.mark.parametrize(
    ("text", "url", "key"),
    [
        ("python:stdlib", "python:stdlib", ""),
        ("python:stdlib/json/tool.py", "python:stdlib", "json/tool.py"),
        ("s3://bucket/a/b", "s3://bucket", "a/b"),
        ("https://h.example:8443/a/b/", "https://h.example:8443", "a/b"),
    ],
)
def test_a_store_url_is_a_store_and_a_key(text: str, url: str, key: str, tmp_path: Path) -> None:
    assert found(text, tmp_path)[:2] == (url, key)


@pytest.mark.parametrize(
    "text", ["gs://x", "python:else", "store://", "store://nope", "store://models/../x", "s3://b/a/../c", "s3://"]
)
def test_what_names_nothing_says_what_to_write(text: str, tmp_path: Path) -> None:
    with pytest.raises(CodexError) as caught:
        find_spot(text, STORES, tmp_path)
    assert caught.value.hint
    assert caught.value.exit_code == 2
