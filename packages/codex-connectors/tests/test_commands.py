"""codex store, from its words to its Reply."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_connectors.command_list import COMMANDS
from codex_core import ledger
from codex_core.command import Reply
from codex_core.digest import digest_file, digest_folder
from codex_core.errors import (
    KeyRefused,
    ObjectExists,
    ObjectMissing,
    PolicyRefused,
    ReadOnlyStore,
    StorageError,
    UsageError,
)

typer = pytest.importorskip("typer", reason="the command line is codex-cli's, which brings typer")

Call = Callable[..., Reply]
PROJECT = """
[pipeline]
name = "x"
[stores.models]
url = "s3://models"
endpoint = "https://minio.corp:9000"
fallbacks = ["gone", "mirror"]
[stores.mirror]
url = "file:mirror"
[stores.gone]
url = "file:gone"
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a leaf as the front door does, in a project with a mirror."""
    from codex_connectors.commands import app

    (tmp_path / "codex.toml").write_text(PROJECT)
    for path in ("corpus/a.txt", "corpus/d/b.txt"):
        (tmp_path / "mirror" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / path).write_text(path)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Reply:
        reply = app(["store", *words], standalone_mode=False)
        assert isinstance(reply, Reply)
        json.dumps(reply.body)
        return reply

    return run


def body(reply: Reply) -> dict[str, Any]:  # Any: what a JSON object may hold
    return dict(reply.body)


def test_every_listed_command_is_answered_by_the_app(call: Call) -> None:
    leaves = {leaf.name for leaf in COMMANDS.leaves}
    assert leaves == {"store ls", "store stat", "store get", "store put", "store fallbacks"}
    for name in leaves:
        assert call_help(name.split()[1])


def call_help(leaf: str) -> bool:
    from codex_connectors.commands import app

    return bool(app(["store", leaf, "--help"], standalone_mode=False) == 0)


def test_ls_lists_keys_sizes_and_with_json_digests(call: Call, tmp_path: Path) -> None:
    reply = call("ls", "store://mirror/corpus")
    assert reply.text == "12 B  corpus/a.txt\n14 B  corpus/d/b.txt\n2 objects, 26 B"
    assert reply.exit == 0
    listed = body(call("ls", "store://mirror/corpus", "--json"))
    assert listed == {
        "place": "store://mirror/corpus",
        "notes": [],
        "objects": [
            {"key": f"corpus/{name}", "size": size, "digest": digest_file(tmp_path / "mirror/corpus" / name)}
            for name, size in (("a.txt", 12), ("d/b.txt", 14))
        ],
    }
    assert body(call("ls", "mirror", "--json", "--no-digests"))["objects"][0]["digest"] is None
    assert "sha256:" in call("ls", "mirror", "--digests").text


def test_ls_of_an_empty_folder_is_empty_and_of_a_missing_one_an_error(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("ls", "empty").text == "0 objects, 0 B"
    with pytest.raises(ObjectMissing, match="store://mirror/corpse holds nothing"):
        call("ls", "store://mirror/corpse")
    with pytest.raises(ObjectMissing, match="does not exist"):
        call("ls", "store://gone")


def test_stat_shows_one_object(call: Call, tmp_path: Path) -> None:
    shown = body(call("stat", "store://mirror/corpus/a.txt", "--json"))
    assert {key: shown[key] for key in ("place", "key", "size", "digest")} == {
        "place": "store://mirror/corpus/a.txt",
        "key": "corpus/a.txt",
        "size": 12,
        "digest": digest_file(tmp_path / "mirror/corpus/a.txt"),
    }
    assert call("stat", "mirror/corpus/a.txt").text.splitlines()[1] == "size      12 bytes"
    with pytest.raises(UsageError, match="is a whole store"):
        call("stat", "store://mirror")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("corpus/b.txt", "did you mean 'corpus/d/b.txt'?"),
        ("corpas/a.txt", "did you mean 'corpus/a.txt'?"),
        ("corpus/zzzzzzzzzzzz", "below 'corpus' there are 'corpus/a.txt', 'corpus/d/b.txt'"),
        ("corpus/d", "'corpus/d' is a folder, which holds 'corpus/d/b.txt'"),
    ],
)
def test_a_missing_key_comes_with_what_may_have_been_meant(key: str, hint: str, call: Call) -> None:
    with pytest.raises(ObjectMissing) as caught:
        call("stat", f"store://mirror/{key}")
    assert caught.value.hint == hint


def test_get_copies_an_object_and_a_folder(call: Call, tmp_path: Path) -> None:
    got = body(call("get", "store://mirror/corpus/a.txt", "a"))
    assert got == {
        "place": "store://mirror/corpus/a.txt",
        "notes": [],
        "path": str(tmp_path / "a"),
        "kind": "object",
        "digest": digest_file(tmp_path / "a"),
        "files": 1,
        "size": 12,
    }
    folder = body(call("get", "store://mirror/corpus", "out"))
    assert (folder["kind"], folder["files"], folder["size"]) == ("folder", 2, 26)
    assert folder["digest"] == digest_folder(tmp_path / "out") == digest_folder(tmp_path / "mirror/corpus")
    call("get", "store://mirror/corpus/a.txt", "out/d")
    assert (tmp_path / "out/d/a.txt").is_file()


def test_get_keeps_what_exists_unless_forced(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    for place, path in (("corpus/a.txt", "a"), ("corpus", "out"), ("corpus", "a")):
        with pytest.raises(ObjectExists) as caught:
            call("get", f"store://mirror/{place}", path)
        assert caught.value.hint == "choose another path, or give --force"
    call("get", "store://mirror/corpus/a.txt", "a", "--force")
    call("get", "store://mirror/corpus", "out", "--force")
    assert (tmp_path / "a").read_text() == "corpus/a.txt"
    assert names(tmp_path / "out") == ["a.txt", "d", "mine"]
    with pytest.raises(UsageError, match="nowhere does not exist"):
        call("get", "store://mirror/corpus", "nowhere/out")


def test_get_of_nothing_makes_nothing(call: Call, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing):
        call("get", "store://mirror/corpse", "out")
    assert names(tmp_path) == ["codex.toml", "mirror"]


def test_put_stores_a_file_and_says_what_it_replaced(call: Call, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("data")
    first = body(call("put", "f", "store://mirror/new/g"))
    assert first == {
        "place": "store://mirror/new/g",
        "path": "f",
        "kind": "object",
        "digest": digest_file(tmp_path / "f"),
        "replaced": False,
        "files": 1,
        "size": 4,
    }
    assert (tmp_path / "mirror/new/g").read_text() == "data"
    assert call("put", "f", "store://mirror/new/g").text.endswith("(replaced what was there)")
    with pytest.raises(ObjectExists):
        call("put", "f", "store://mirror/new/g", "--if-absent")
    assert body(call("put", "f", "store://mirror"))["place"] == "store://mirror/f"
    assert body(call("put", "f", "store://mirror/new/"))["place"] == "store://mirror/new/f"
    assert body(call("put", "f", "mirror/new"))["place"] == f"{tmp_path}/mirror/new/f"


def test_put_stores_a_folder(call: Call, tmp_path: Path) -> None:
    stored = body(call("put", "mirror/corpus", "store://mirror/copy"))
    assert (stored["kind"], stored["files"], stored["size"]) == ("folder", 2, 26)
    assert stored["digest"] == digest_folder(tmp_path / "mirror/copy") == digest_folder(tmp_path / "mirror/corpus")


def test_put_refuses_what_it_cannot_store(call: Call, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "f").write_text("data")
    with pytest.raises(UsageError, match="is not there"):
        call("put", "nothing", "store://mirror/x")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        call("put", "pipe", "store://mirror/x")
    with pytest.raises(ReadOnlyStore):
        call("put", "f", "python:stdlib/x.py")
    with pytest.raises(KeyRefused):
        call("put", "f", "store://mirror/../x")
    with pytest.raises(StorageError, match="is a folder"):
        call("put", "f", "store://mirror/corpus")


def test_a_refused_command_tells_its_fallbacks_and_is_in_the_ledger(call: Call, tmp_path: Path) -> None:
    for words in (["ls", "store://models/corpus"], ["stat", "store://models/a"], ["get", "store://models/a", "out"]):
        with pytest.raises(PolicyRefused) as caught:
            call(*words)
        assert [one.store for one in caught.value.fallbacks] == ["gone", "mirror"]
    (tmp_path / "f").write_text("data")
    with pytest.raises(PolicyRefused):
        call("put", "f", "store://models/f")
    entries = list(ledger.read(tmp_path / ".codex/ledger.ndjson"))
    assert [(entry.kind, entry.body["verb"], entry.body["url"], entry.body["verdict"]) for entry in entries] == [
        ("decision", "list", "https://minio.corp:9000/models/corpus", "refuse"),
        ("decision", "read", "https://minio.corp:9000/models/a", "refuse"),
        ("decision", "read", "https://minio.corp:9000/models/a", "refuse"),
        ("decision", "write", "https://minio.corp:9000/models/f", "refuse"),
    ]


def test_with_fallback_the_first_usable_one_is_read_and_said(call: Call, tmp_path: Path) -> None:
    reply = call("ls", "store://models/corpus", "--fallback")
    reason = "no rule allows list of https://minio.corp:9000/models/corpus for stage 'cli'"
    assert reply.text.splitlines()[:2] == [
        f"store://models/corpus could not be read: {reason}",
        "using its fallback store://mirror/corpus: its folder holds 'corpus'",
    ]
    assert body(reply)["place"] == "store://mirror/corpus"
    assert body(reply)["notes"] == reply.text.splitlines()[:2]
    assert body(call("get", "store://models/corpus", "out", "--fallback"))["place"] == "store://mirror/corpus"


def test_fallbacks_are_shown_with_the_decision(call: Call, tmp_path: Path) -> None:
    shown = body(call("fallbacks", "store://models/corpus", "--json"))
    assert shown["decision"]["verdict"] == "refuse"
    assert shown["fallbacks"] == [
        {"store": "gone", "usable": False, "reason": "its folder does not exist"},
        {"store": "mirror", "usable": True, "reason": "its folder holds 'corpus'"},
    ]
    assert body(call("fallbacks", "store://mirror"))["decision"] is None
    assert call("fallbacks", "mirror").text == f"{tmp_path}/mirror is on this machine\nit has no fallbacks"


def test_without_a_project_local_paths_work_and_nothing_is_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "mirror"
    (tmp_path / "codex.toml").unlink()
    monkeypatch.chdir(alone)
    assert call("ls", "corpus/../corpus").text.endswith("2 objects, 26 B")
    with pytest.raises(PolicyRefused):
        call("ls", "https://h.example/x")
    with pytest.raises(UsageError, match="no store 'models'"):
        call("ls", "store://models")
    assert names(alone) == ["corpus"]
