"""Opening stores, and their synchronous face."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_connectors import LocalStore, RemoteStore, StdlibStore, Store, open_connector, open_store
from codex_core.errors import (
    ConfigError,
    KeyRefused,
    ObjectExists,
    ObjectMissing,
    PolicyRefused,
    StorageError,
    UrlError,
    UsageError,
)
from codex_core.policy import Decision, Layer, Policy, Rule
from codex_core.storage import ObjectInfo, StoreConfig


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("codex-store")]


def test_each_scheme_opens_its_connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stores = {"here": StoreConfig("here", "file:///srv/a%20b")}
    for url, root in (
        (f"file://{tmp_path}", tmp_path),
        ("file:sub", tmp_path / "sub"),
        ("store://here", Path("/srv/a b")),
    ):
        connector = open_connector(url, stores=stores)
        assert isinstance(connector, LocalStore)
        assert connector.root == root
    assert isinstance(open_connector("python:stdlib"), StdlibStore)
    assert isinstance(open_connector("https://h.example/x"), RemoteStore)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("gs://x", UrlError),
        ("/srv", UrlError),
        ("python:else", UrlError),
        ("store://here/key", UsageError),
        ("store://hear", UsageError),
    ],
)
def test_a_url_that_opens_nothing_says_what_to_write(url: str, kind: type[ConfigError]) -> None:
    with pytest.raises(kind) as caught:
        open_connector(url, stores={"here": StoreConfig("here", "file:///srv")})
    assert caught.value.hint


def test_an_endpoint_with_a_query_is_refused_since_no_policy_would_see_the_key() -> None:
    with pytest.raises(UrlError, match="has a query or a fragment"):
        open_store("s3://bucket", endpoint="https://e.example:9000/?x")


def test_every_verb_works_without_an_event_loop(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"from a file")
    with open_store(f"file://{tmp_path}") as store:
        written = store.write("d/a", [b"12", b"345"])
        assert store.stat("d/a") == written
        assert list(store.scan("d")) == [ObjectInfo("d/a", 5, None, written.etag, written.modified)]
        assert b"".join(store.read("d/a", start=1, end=4)) == b"234"
        store.write("d/b", b"bytes")
        store.write("d/c", tmp_path / "source")
        assert {info.key: (tmp_path / info.key).read_bytes() for info in store.scan("d")} == {
            "d/a": b"12345",
            "d/b": b"bytes",
            "d/c": b"from a file",
        }
        with pytest.raises(ObjectExists):
            store.write("d/a", b"", if_absent=True)
        store.delete("d/a")
        with pytest.raises(ObjectMissing):
            store.stat("d/a")
        with pytest.raises(KeyRefused):
            store.write("../a", [b"x"])


def test_the_thread_starts_with_the_first_call_and_ends_with_the_store(tmp_path: Path) -> None:
    before = threads()
    store = open_store(f"file://{tmp_path}")
    assert threads() == before
    store.write("a", b"x")
    assert len(threads()) > len(before)
    store.close()
    assert threads() == before
    store.close()


def test_a_store_that_is_forgotten_ends_its_thread(tmp_path: Path) -> None:
    before = threads()
    store = open_store(f"file://{tmp_path}")
    store.write("a", b"x")
    del store
    gc.collect()
    assert threads() == before


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    store.write("a", b"12")
    reading = store.read("a")
    store.close()
    for call in (lambda: store.stat("a"), lambda: store.write("a", [b"x"]), lambda: list(store.scan())):
        with pytest.raises(StorageError, match="the store is closed"):
            call()
    with pytest.raises(StorageError, match="is closed"):
        next(reading)


def test_closing_ends_what_another_thread_is_doing(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    begun = threading.Event()
    errors: list[BaseException] = []

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * (1 << 20)
            begun.set()

    def write() -> None:
        try:
            store.write("a", endless())
        except StorageError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(20)
    store.close()
    thread.join(20)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert names(tmp_path) == []


def test_the_chunks_of_a_write_are_drawn_in_the_calling_thread(tmp_path: Path) -> None:
    drawn: set[int] = set()

    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            drawn.add(threading.get_ident())
            yield b"x" * 700_000

    with open_store(f"file://{tmp_path}") as store:
        assert store.write("a", chunks()).size == 3_500_000
    assert drawn == {threading.get_ident()}


def test_an_object_can_be_written_from_the_same_stores_reading(tmp_path: Path) -> None:
    with open_store(f"file://{tmp_path}") as store:
        data = os.urandom(3_000_000)
        store.write("a", data)
        assert store.write("b", store.read("a")).digest == store.stat("a").digest


def test_an_error_of_the_source_ends_the_write_and_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (2 << 20)
        raise ZeroDivisionError

    with open_store(f"file://{tmp_path}") as store, pytest.raises(ZeroDivisionError):
        store.write("a", broken())
    assert names(tmp_path) == []


def test_a_reading_that_is_left_early_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))
    with open_store(f"file://{tmp_path}") as store:
        store.stat("a")
        before = len(names(Path("/proc/self/fd")))
        for _ in store.read("a"):
            break
        gc.collect()
        assert len(names(Path("/proc/self/fd"))) == before


def test_many_threads_share_one_store(tmp_path: Path) -> None:
    with open_store(f"file://{tmp_path}") as store:

        def work(number: int) -> bytes:
            store.write(f"{number}", [b"%d" % number] * 3)
            return b"".join(store.read(f"{number}"))

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(60))) == [b"%d" % number * 3 for number in range(60)]
        assert len(list(store.scan())) == 60


def test_parent_and_child_use_a_store_across_a_fork(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (2 << 20))
    store = open_store(f"file://{tmp_path}")
    reading = store.read("a")
    next(reading)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tested
        child = os.fork()
    if child == 0:
        code = 1
        try:
            store.write("child", b"c")
            try:
                next(reading)
            except StorageError as error:
                code = 0 if "before a fork" in str(error) else 2
            store.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(b"".join(reading)) == 1 << 20
    store.write("parent", b"p")
    assert [info.key for info in store.scan()] == ["a", "child", "parent"]
    store.close()


EXITS = """
import sys
from codex_connectors import open_store
store = open_store("file://" + sys.argv[1])
store.write("a", b"x")
reading = store.read("a")
if sys.argv[2] == "used": next(reading)
"""


@pytest.mark.parametrize("state", ["used", "unused"])
def test_a_process_ends_quietly_and_at_once_with_a_store_open(state: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", EXITS, str(tmp_path), state]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_remote_store_asks_the_policy_at_the_time_of_each_call() -> None:
    rule = Rule("m", "https://h.example:9000/models/**", ("list",), expires=datetime(2027, 1, 31, tzinfo=UTC).date())
    times = iter([datetime(2027, 1, 31, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)])
    decisions: list[Decision] = []
    store = open_store(
        "s3://models",
        endpoint="https://h.example:9000",
        policy=Policy((Layer("test", (rule,)),)),
        stage="corpus",
        record=decisions.append,
        now=lambda: next(times),
    )
    with pytest.raises(StorageError, match="no installed package has a client for s3"):
        store.scan()
    with pytest.raises(PolicyRefused, match="expired on 2027-01-31"):
        store.scan()
    assert [(one.verdict, one.stage, one.url) for one in decisions] == [
        ("allow", "corpus", "https://h.example:9000/models/"),
        ("refuse", "corpus", "https://h.example:9000/models/"),
    ]


def test_a_store_wraps_any_connector(tmp_path: Path) -> None:
    with Store(LocalStore(tmp_path)) as store:
        assert list(store.scan()) == []
