"""The file store, with real files and real faults."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_connectors.local import CHUNK, LocalStore
from codex_core.errors import (
    KeyRefused,
    ObjectExists,
    ObjectMissing,
    ReadOnlyStore,
    ShortRead,
    StorageError,
    UsageError,
)
from codex_core.storage import Connector, ObjectInfo

Chunks = Callable[..., AsyncIterator[bytes]]
LARGE = bytes(range(256)) * (CHUNK // 256) * 2 + b"end"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def read(store: LocalStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, start=start, end=end)])


async def write(store: LocalStore, key: str, *parts: bytes, if_absent: bool = False) -> ObjectInfo:
    async def give() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return await store.write(key, give(), if_absent=if_absent)


async def keys(store: LocalStore) -> list[str]:
    return [info.key async for info in store.scan()]


def test_it_is_a_connector(tmp_path: Path) -> None:
    assert isinstance(LocalStore(tmp_path), Connector)
    assert LocalStore.contract == 1


@pytest.mark.parametrize("data", [b"", b"x", LARGE[:CHUNK], LARGE])
def test_what_is_written_is_read_and_told(data: bytes, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    written = asyncio.run(write(store, "d/e/f", data[:5], data[5:]))
    found = asyncio.run(store.stat("d/e/f"))
    assert written == found == ObjectInfo("d/e/f", len(data), digest(data), found.etag, found.modified)
    assert asyncio.run(read(store, "d/e/f")) == data
    assert (tmp_path / "d/e/f").read_bytes() == data


def test_reading_is_in_chunks_of_at_most_a_mebibyte(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(LARGE)

    async def sizes() -> list[int]:
        return [len(chunk) async for chunk in LocalStore(tmp_path).read("a")]

    assert asyncio.run(sizes()) == [CHUNK, CHUNK, 3]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_a_range_is_that_part_or_an_error(tmp_path_factory: pytest.TempPathFactory, start: int, end: int) -> None:
    root = tmp_path_factory.getbasetemp()
    data = bytes(range(30))
    (root / "a").write_bytes(data)
    store = LocalStore(root)
    if start > end:
        with pytest.raises(UsageError):
            asyncio.run(read(store, "a", start, end))
    elif end > 30:
        with pytest.raises(ShortRead, match="has 30 bytes"):
            asyncio.run(read(store, "a", start, end))
    else:
        assert asyncio.run(read(store, "a", start, end)) == data[start:end]
        assert asyncio.run(read(store, "a", start)) == data[start:]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a\0b", "\udcff"])
def test_a_key_that_is_no_relative_path_is_refused_by_every_verb(key: str, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for work in (store.stat(key), read(store, key), write(store, key, b"x"), store.delete(key)):
        with pytest.raises(KeyRefused):
            asyncio.run(work)
    assert list(tmp_path.iterdir()) == []


def test_links_are_never_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    store = LocalStore(root)
    for key in ("folder/secret", "file", "folder"):
        for work in (store.stat(key), read(store, key), write(store, key, b"x"), store.delete(key)):
            with pytest.raises(KeyRefused, match="link"):
                asyncio.run(work)
    assert (outside / "secret").read_text() == "secret"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert sorted(path.name for path in root.iterdir()) == ["file", "folder"]


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    store = LocalStore(tmp_path)
    for work in (store.stat("pipe"), read(store, "pipe"), write(store, "pipe", b"x"), store.delete("pipe")):
        with pytest.raises(KeyRefused, match="special file"):
            asyncio.run(asyncio.wait_for(work, 10))


def test_a_folder_is_no_object_and_an_object_no_folder(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    asyncio.run(write(store, "d/f", b"x"))
    for work in (store.stat("d"), read(store, "d"), store.delete("d"), store.stat("d/f/g")):
        with pytest.raises(ObjectMissing) as caught:
            asyncio.run(work)
        assert caught.value.hint
    with pytest.raises(StorageError, match="is a folder"):
        asyncio.run(write(store, "d", b"x"))
    for work in (write(store, "d/f/g", b"x"), store.delete("d/f/g")):
        with pytest.raises(StorageError, match="a part of it is an object"):
            asyncio.run(work)


def test_a_deleted_object_is_gone_and_deleting_it_again_an_error(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    asyncio.run(write(store, "d/f", b"x"))
    asyncio.run(store.delete("d/f"))
    assert asyncio.run(keys(store)) == []
    for work in (store.delete("d/f"), store.stat("d/f"), read(store, "d/f")):
        with pytest.raises(ObjectMissing, match="no object 'd/f'"):
            asyncio.run(work)


def test_a_missing_root_is_named_and_never_made(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "gone")
    for work in (store.stat("a"), read(store, "a"), write(store, "a", b"x"), store.delete("a"), keys(store)):
        with pytest.raises(ObjectMissing, match="gone does not exist"):
            asyncio.run(work)
    assert not (tmp_path / "gone").exists()


def test_if_absent_lets_one_of_many_writers_win(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)

    async def race() -> list[object]:
        tries = (write(store, "a", str(number).encode(), if_absent=True) for number in range(20))
        return list(await asyncio.gather(*tries, return_exceptions=True))

    results = asyncio.run(race())
    won = [result for result in results if isinstance(result, ObjectInfo)]
    assert len(won) == 1
    assert all(isinstance(result, ObjectExists) for result in results if result is not won[0])
    assert won[0].digest == digest((tmp_path / "a").read_bytes())
    assert names(tmp_path) == ["a"]


def test_a_write_that_fails_half_way_leaves_the_old_object_and_nothing_else(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    asyncio.run(write(store, "a", b"old"))

    async def breaking() -> AsyncIterator[bytes]:
        yield b"new"
        yield b"more"
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        asyncio.run(store.write("a", breaking()))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_cancelled_write_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            begun.set()
            yield LARGE

    async def cancel() -> None:
        task = asyncio.create_task(store.write("a", endless()))
        await begun.wait()
        await asyncio.to_thread(await_draft, tmp_path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert names(tmp_path) == []


def await_draft(root: Path) -> None:
    deadline = time.monotonic() + 20
    while not any(name.startswith(".codex-draft-") for name in names(root)):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_descriptors_are_closed_whatever_happens(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "a").write_bytes(LARGE)
    (tmp_path / "d").mkdir()

    async def everything() -> None:
        reading = store.read("a")
        await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]  # the protocol promises an iterator; it is a generator
        await read(store, "a")
        for work in (read(store, "d"), read(store, "x"), write(store, "d", b"x"), store.stat("a")):
            with suppress(StorageError):
                await work

    before = len(names(Path("/proc/self/fd")))
    for _ in range(3):
        asyncio.run(everything())
    assert len(names(Path("/proc/self/fd"))) == before


@pytest.mark.parametrize("change", ["cut", "grow", "overwrite", "overwrite and set its time back"])
def test_a_file_changed_in_place_while_it_is_read_is_a_short_read(change: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LARGE)

    async def reading() -> bytes:
        got = b""
        async for chunk in LocalStore(tmp_path).read("a"):
            if not got:
                await asyncio.to_thread(alter, path, change)
            got += chunk
        return got

    with pytest.raises(ShortRead, match=r"'a' in .* was c"):
        asyncio.run(reading())


def alter(path: Path, change: str) -> None:
    if change == "cut":
        os.truncate(path, CHUNK + 5)
        return
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
        file.write(b"changed")
    while change.endswith("set its time back"):  # until the clock of the file system has moved on
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if path.stat().st_ctime_ns != before.st_ctime_ns:
            return


def test_a_writer_thread_that_truncates_never_makes_a_read_silently_short(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LARGE)
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            os.truncate(path, CHUNK)
            os.truncate(path, len(LARGE))

    thread = threading.Thread(target=disturb)
    thread.start()
    outcomes: set[str] = set()
    deadline = time.monotonic() + 20
    try:
        for _ in range(20):
            assert time.monotonic() < deadline
            try:
                outcomes.add(f"{len(asyncio.run(read(LocalStore(tmp_path), 'a')))} bytes")
            except ShortRead:
                outcomes.add("short")
    finally:
        stop.set()
        thread.join()
    assert outcomes <= {"short", f"{CHUNK} bytes", f"{len(LARGE)} bytes"}
    assert "short" in outcomes


def test_an_object_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)

    async def reading() -> bytes:
        await write(store, "a", LARGE)
        got = b""
        async for chunk in store.read("a"):
            if not got:
                await write(store, "a", b"new")
            got += chunk
        return got

    assert asyncio.run(reading()) == LARGE
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_folder_that_turns_into_a_link_and_back_never_leads_outside(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder, text in ((root / "d", "inside"), (outside, "outside")):
        folder.mkdir(parents=True)
        (folder / "f").write_text(text)
    (outside / "outside").write_text("")
    link = tmp_path / "link"
    link.symlink_to(outside)
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            assert renameat2(-100, bytes(root / "d"), -100, bytes(link), 2) == 0, ctypes.get_errno()  # RENAME_EXCHANGE

    thread = threading.Thread(target=swap)
    thread.start()
    store = LocalStore(root, sync=False)
    done: Counter[tuple[str, bool]] = Counter()
    try:
        deadline = time.monotonic() + 30
        while len(done) < 6 or min(done.values()) < 5:
            assert time.monotonic() < deadline, done
            works = {"read": read(store, "d/f"), "write": write(store, "d/g", b"x"), "scan": keys(store)}
            for name, work in works.items():
                try:
                    result = asyncio.run(work)
                    assert name == "write" or result in (b"inside", ["d/f"], ["d/f", "d/g"])
                    done[name, True] += 1
                except KeyRefused:
                    done[name, False] += 1
                except StorageError as error:
                    if "was replaced" not in error.message:
                        raise
    finally:
        stop.set()
        thread.join()
    assert names(outside) == ["f", "outside"]
    assert (outside / "f").read_text() == "outside"


WRITER = """
import asyncio, sys
from pathlib import Path
from codex_connectors.local import LocalStore
async def chunks(letter):
    for _ in range(8): yield letter * 65536
async def main():
    store = LocalStore(Path(sys.argv[1]))
    print("ready", flush=True)
    while True:
        for letter in (b"a", b"b"): await store.write("d/object", chunks(letter))
asyncio.run(main())
"""


def test_readers_of_a_killed_writer_see_the_old_object_or_the_new_one_whole(tmp_path: Path) -> None:
    wholes = {b"a" * 8 * 65536, b"b" * 8 * 65536}
    asyncio.run(write(LocalStore(tmp_path), "d/object", b"a" * 8 * 65536))
    chance = random.Random(7)
    left = 0
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            until = time.monotonic() + chance.uniform(0.005, 0.08)
            while time.monotonic() < until:
                assert asyncio.run(read(LocalStore(tmp_path), "d/object")) in wholes
            writer.send_signal(signal.SIGKILL)
        assert asyncio.run(read(LocalStore(tmp_path), "d/object")) in wholes
        assert asyncio.run(keys(LocalStore(tmp_path))) == ["d/object"]
        left += len(names(tmp_path / "d")) - 1
    assert left, "no kill has hit a write; the test shows nothing"
    asyncio.run(write(LocalStore(tmp_path), "d/object", b"c"))
    assert names(tmp_path / "d") == ["object"]


def test_a_living_writer_keeps_its_draft_when_another_cleans_up(tmp_path: Path) -> None:
    async def slow(store: LocalStore) -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"
        await write(LocalStore(tmp_path), "other", b"x")
        yield b"3"

    store = LocalStore(tmp_path)
    asyncio.run(store.write("a", slow(store)))
    assert (tmp_path / "a").read_bytes() == b"123"
    assert names(tmp_path) == ["a", "other"]


def test_a_folder_without_write_permission_is_a_read_only_store(
    open_to_all: Path, without_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    (open_to_all / "a").write_bytes(b"x")
    (open_to_all / "a").chmod(0o644)
    open_to_all.chmod(0o555)
    store = LocalStore(open_to_all)
    with without_rights():
        assert asyncio.run(read(store, "a")) == b"x"
        for work in (write(store, "b", b"x"), write(store, "d/b", b"x"), write(store, "a", b"y"), store.delete("a")):
            with pytest.raises(ReadOnlyStore, match="Permission denied"):
                asyncio.run(work)
    assert names(open_to_all) == ["a"]


def test_an_object_or_a_folder_without_read_permission_is_an_error_with_a_hint(
    open_to_all: Path, without_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    (open_to_all / "a").write_bytes(b"x")
    (open_to_all / "a").chmod(0)
    (open_to_all / "d").mkdir(mode=0o700)
    (open_to_all / "d").chmod(0 if os.geteuid() else 0o700)
    store = LocalStore(open_to_all)
    with without_rights():
        for work in (read(store, "a"), store.stat("a"), read(store, "d/f"), keys(store)):
            with pytest.raises(StorageError, match="Permission denied") as caught:
                asyncio.run(work)
            assert caught.value.hint == "change who may read there"


def test_a_full_disk_is_an_error_and_the_old_object_stays(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted: {mounted.stderr.decode().strip()}")
    try:
        store = LocalStore(tmp_path)
        asyncio.run(write(store, "a", b"old"))
        with pytest.raises(StorageError, match="the disk is full"):
            asyncio.run(write(store, "a", LARGE))
        assert names(tmp_path) == ["a"]
        assert (tmp_path / "a").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_file_size_limit_is_an_error_and_the_old_object_stays(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    asyncio.run(write(store, "a", b"old"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, hard))
    try:
        with pytest.raises(StorageError, match="too large"):
            asyncio.run(write(store, "a", LARGE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_name_that_the_file_system_does_not_take_is_a_refused_key(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="takes no such name"):
        asyncio.run(write(LocalStore(tmp_path), "x" * 300, b"x"))


def test_a_write_is_on_disk_before_it_is_told_and_only_then_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)

        def watched(*args: object, name: str = name, real: Callable[..., object] = real, **options: object) -> object:
            calls.append(name)
            return real(*args, **options)

        monkeypatch.setattr(os, name, watched)
    asyncio.run(write(LocalStore(tmp_path), "a", b"x"))
    assert calls == ["fsync", "rename", "fsync"]
    calls.clear()
    asyncio.run(write(LocalStore(tmp_path, sync=False), "d/a", b"x"))
    assert calls == ["rename"]


MEASURE = """
import asyncio, resource, sys
from pathlib import Path
from codex_connectors.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
async def main():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info = await store.write("copy", store.read("large"))
    print(info.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
asyncio.run(main())
"""


@pytest.mark.slow
def test_a_large_object_needs_no_memory_of_its_size(tmp_path: Path) -> None:
    size = 200 * CHUNK
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    copied, grown = map(int, done.stdout.split())
    assert copied == size
    assert grown < 20 * 1024, f"{grown} KiB"
