"""Fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_connectors.fallbacks import enumerate_fallbacks, read_or_fall_back
from codex_core.errors import ConnectorMissing, ObjectMissing, PolicyRefused, ShortRead, StorageError
from codex_core.policy import Layer, Policy, Request, Rule, decide
from codex_core.storage import Fallback, Place, StoreConfig

NOW = datetime(2027, 1, 1, tzinfo=UTC)
REFUSED = PolicyRefused(decide(Policy(), Request("list", "https://h/x", "cli"), now=NOW))


def known(*stores: StoreConfig) -> dict[str, StoreConfig]:
    return {store.name: store for store in stores}


def test_every_kind_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "here" / "corpus").mkdir(parents=True)
    primary = StoreConfig("p", "s3://p", "https://h:9", ("no-client", "refused", "here", "bare", "gone", "std", "typo"))
    stores = known(
        primary,
        StoreConfig("no-client", "s3://open", "https://h:9"),
        StoreConfig("refused", "https://other/x"),
        StoreConfig("here", (tmp_path / "here").as_uri()),
        StoreConfig("bare", tmp_path.as_uri()),
        StoreConfig("gone", (tmp_path / "gone").as_uri()),
        StoreConfig("std", "python:stdlib"),
    )
    policy = Policy((Layer("test", (Rule("open", "https://h:9/open/**", ("list",)),)),))
    found = enumerate_fallbacks(primary, stores, policy, now=NOW, stage="corpus", key="corpus")
    assert found == (
        Fallback(
            "no-client",
            False,
            "rule 'open' allows list of https://h:9/open/corpus, but no installed package has a client for s3, "
            "so store 'no-client' (s3://open) cannot be reached",
        ),
        Fallback("refused", False, "no rule allows list of https://other:443/x/corpus for stage 'corpus'"),
        Fallback("here", True, "its folder holds 'corpus'"),
        Fallback("bare", False, "its folder holds no object 'corpus'"),
        Fallback("gone", False, "its folder does not exist"),
        Fallback("std", False, "its folder holds no object 'corpus'"),
        Fallback("typo", False, "no store has this name"),
    )


def test_fallbacks_of_fallbacks_come_after_its_own_and_each_once() -> None:
    stores = known(
        StoreConfig("a", "https://h/a", fallbacks=("b", "c")),
        StoreConfig("b", "https://h/b", fallbacks=("d", "a", "c")),
        StoreConfig("c", "https://h/c", fallbacks=("e", "b")),
        StoreConfig("d", "https://h/d"),
        StoreConfig("e", "https://h/e"),
    )
    found = enumerate_fallbacks(stores["a"], stores, Policy(), now=NOW)
    assert [one.store for one in found] == ["b", "c", "d", "e"]


def test_a_link_and_an_unreadable_folder_are_not_usable(
    open_to_all: Path, without_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    (open_to_all / "link").symlink_to("/etc")
    (open_to_all / "locked").mkdir(mode=0o700)
    (open_to_all / "locked").chmod(0o300)
    primary = StoreConfig("p", "https://h/p", fallbacks=("links", "locks"))
    stores = known(StoreConfig("links", open_to_all.as_uri()), StoreConfig("locks", open_to_all.as_uri()))
    with without_rights():
        (link,) = enumerate_fallbacks(
            StoreConfig("p", "x", fallbacks=("links",)), stores, Policy(), now=NOW, key="link/x"
        )
        (locked, _) = enumerate_fallbacks(primary, stores, Policy(), now=NOW, key="locked")
    assert (link.usable, locked.usable) == (False, False)
    assert "symbolic link" in link.reason
    assert "Permission denied" in locked.reason


def outcome(error: Exception | None, fallbacks: tuple[Fallback, ...], *, use: bool) -> tuple[list[str], list[str]]:
    tried: list[str] = []
    said: list[str] = []

    def attempt(place: Place) -> str:
        tried.append(str(place))
        if error is not None and place.store == "p":
            raise error
        return str(place)

    read_or_fall_back(Place("p", "k"), attempt, lambda: fallbacks, use=use, say=said.append)
    return tried, said


FALLBACKS = (Fallback("b", False, "gone"), Fallback("c", True, "is there"), Fallback("d", True, "too"))


def test_a_place_that_can_be_read_needs_no_fallback() -> None:
    assert outcome(None, FALLBACKS, use=True) == (["store://p/k"], [])


@pytest.mark.parametrize("error", [REFUSED, ConnectorMissing("no client"), ObjectMissing("not there")])
def test_the_first_usable_fallback_is_used_when_asked_for_and_said(error: StorageError | PolicyRefused) -> None:
    assert outcome(error, FALLBACKS, use=True) == (
        ["store://p/k", "store://c/k"],
        [f"store://p/k could not be read: {error.message}", "using its fallback store://c/k: is there"],
    )


def test_a_fallback_is_never_used_unasked_and_the_refusal_tells_of_it() -> None:
    with pytest.raises(PolicyRefused) as caught:
        outcome(REFUSED, FALLBACKS, use=False)
    assert caught.value.fallbacks == FALLBACKS
    assert caught.value.decision == REFUSED.decision
    assert "# or read its fallback 'c'" in str(caught.value.hint)
    assert "'b'" not in str(caught.value.hint)


def test_no_usable_fallback_leaves_the_first_error() -> None:
    with pytest.raises(ConnectorMissing, match="no client"):
        outcome(ConnectorMissing("no client"), FALLBACKS[:1], use=True)


def test_an_error_while_reading_is_no_reason_to_fall_back() -> None:
    with pytest.raises(ShortRead):
        outcome(ShortRead("cut"), FALLBACKS, use=True)


def test_an_error_of_the_fallback_is_not_taken_for_the_refusal() -> None:
    def attempt(place: Place) -> None:
        raise REFUSED if place.store == "p" else ShortRead("cut")

    with pytest.raises(ShortRead) as caught:
        read_or_fall_back(Place("p"), attempt, lambda: FALLBACKS, use=True, say=lambda line: None)
    assert caught.value.__context__ is None
