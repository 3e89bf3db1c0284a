from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.errors import KeyRefused, UsageError
from codex_core.storage import Connector, Fallback, ObjectInfo, Place, StoreConfig, check_key, parse_place

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
keys = st.lists(names.filter(lambda part: part not in {".", ".."}), min_size=1).map("/".join)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("store://models", Place("models")),
        ("store://models/", Place("models")),
        ("store://models/corpus", Place("models", "corpus")),
        ("store://models/a/b c/é.txt", Place("models", "a/b c/é.txt")),
        ("store://models/folder/", Place("models", "folder")),
        ("store://models/..a/.b", Place("models", "..a/.b")),
    ],
)
def test_a_place_is_a_store_and_a_key(text: str, place: Place) -> None:
    assert parse_place(text) == place


@given(names, keys)
def test_a_place_reads_back_as_it_is_written(name: str, key: str) -> None:
    assert parse_place(str(Place(name, key))) == Place(name, key)
    assert parse_place(str(Place(name))) == Place(name)


@pytest.mark.parametrize(
    "text", ["", "models", "models/corpus", "store:/models", "store://", "store:///key", "s3://models"]
)
def test_what_is_no_place_is_refused_with_the_form_to_write(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_place(text)
    assert caught.value.hint == "write store://NAME/KEY"


BAD_KEYS = ["..", ".", "a/..", "../a", "a/../b", "a/./b", "./a", "a//b", "/a", "/", "a\0b"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_does_not_stay_inside_its_store_is_refused(key: str) -> None:
    with pytest.raises(KeyRefused, match="not a relative path inside the store"):
        check_key(key)
    with pytest.raises(KeyRefused):
        parse_place(f"store://models/{key}")


def test_an_empty_key_names_no_object() -> None:
    with pytest.raises(KeyRefused):
        check_key("")


@given(keys)
def test_a_good_key_is_handed_back_as_it_is(key: str) -> None:
    assert check_key(key) == key


def test_what_a_store_knows_and_is_configured_with_has_defaults_and_does_not_change() -> None:
    info, config = ObjectInfo("a", 1), StoreConfig("models", "s3://models")
    assert info == ObjectInfo("a", 1, digest=None, etag=None, modified=None)
    assert config == StoreConfig("models", "s3://models", endpoint=None, fallbacks=(), credentials=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.key = "b"  # type: ignore[misc]  # what this test is about


def test_a_fallback_is_shown_with_its_reason() -> None:
    shown = Fallback("mirror", usable=False, reason="its folder is missing").to_json()
    assert shown == {"store": "mirror", "usable": False, "reason": "its folder is missing"}


def test_a_connector_is_known_by_its_members() -> None:
    assert not isinstance(object(), Connector)
