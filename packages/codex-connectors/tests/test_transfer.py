"""Moving objects."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from codex_connectors.local import LocalStore
from codex_connectors.selection import Selection
from codex_connectors.transfer import AT_ONCE, copy_folder, get_folder, get_object, list_objects, put_file, put_folder
from codex_core.digest import digest_entries, digest_file, digest_folder, list_folder
from codex_core.errors import KeyRefused, ObjectExists, ObjectMissing, StorageError
from codex_core.storage import ObjectInfo


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class MemoryStore:
    """A connector over a dictionary, as a remote one would be: it knows its digests, or not, and can lie."""

    contract: ClassVar[int] = 1

    def __init__(self, objects: dict[str, bytes], *, digests: bool = True) -> None:
        self.objects = objects
        self.digests = digests
        self.served = dict(objects)
        self.busy = self.most_busy = 0

    def info(self, key: str) -> ObjectInfo:
        data = self.objects[key]
        etag = hashlib.sha256(data).hexdigest()
        return ObjectInfo(key, len(data), f"sha256:{etag}" if self.digests else None, etag)

    async def stat(self, key: str) -> ObjectInfo:
        return self.info(key)

    async def scan(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        for key in sorted(self.objects, key=str.encode):
            if not prefix or key == prefix or key.startswith(prefix + "/"):
                yield self.info(key)

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        yield self.served[key][start:end]

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        self.objects[key] = b"".join([chunk async for chunk in chunks])
        return self.info(key)

    async def delete(self, key: str) -> None:
        del self.objects[key]


def fill(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_a_copy_holds_what_was_selected_and_its_entries_digest_is_the_folders(tmp_path: Path) -> None:
    fill(tmp_path / "store", "c/a.txt", "c/d/b.txt", "c/d/b.md", "other")
    selection = Selection("c", ("**/*.txt",))
    entries = asyncio.run(copy_folder(LocalStore(tmp_path / "store"), selection, tmp_path / "copy"))
    assert [entry.path for entry in entries] == ["a.txt", "d/b.txt"]
    assert entries == list_folder(tmp_path / "copy")
    assert digest_entries(entries) == digest_folder(tmp_path / "copy")
    objects = asyncio.run(list_objects(LocalStore(tmp_path / "store"), selection))
    assert selection.entries(objects) == entries


def test_a_prefix_that_is_an_object_is_copied_under_its_name(tmp_path: Path) -> None:
    fill(tmp_path / "store", "c/a.txt")
    entries = asyncio.run(copy_folder(LocalStore(tmp_path / "store"), Selection("c/a.txt"), tmp_path / "copy"))
    assert [entry.path for entry in entries] == ["a.txt"]


def test_progress_is_told_after_each_object(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    store = MemoryStore({str(number): b"12345" for number in range(4)})

    def progress(objects: int, size: int) -> None:
        told.append((objects, size))

    asyncio.run(copy_folder(store, Selection(), tmp_path / "copy", progress=progress))
    assert told == [(1, 5), (2, 10), (3, 15), (4, 20)]


def test_many_objects_are_moved_at_once_but_not_all(tmp_path: Path) -> None:
    store = MemoryStore({f"{number:03}": b"x" for number in range(50)})
    entries = asyncio.run(copy_folder(store, Selection(), tmp_path / "copy"))
    assert [entry.path for entry in entries] == [f"{number:03}" for number in range(50)]
    assert 1 < store.most_busy <= AT_ONCE


@pytest.mark.parametrize("served", [b"12", b"1234", b"abc"])
def test_an_object_that_is_not_what_was_listed_is_an_error_that_names_it(served: bytes, tmp_path: Path) -> None:
    store = MemoryStore({"a": b"1", "b": b"123"})
    store.served["b"] = served
    with pytest.raises(StorageError, match="'b' is not what was listed"):
        asyncio.run(copy_folder(store, Selection(), tmp_path / "copy"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "b").write_text("B"), "'b' was changed"),
        (lambda root: (root / "b").unlink(), "'b' disappeared"),
        (lambda root: (root / "c").write_text("c"), "'c' appeared"),
    ],
)
def test_a_store_that_changes_while_it_is_copied_is_an_error(
    change: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    fill(root, "a", "b")

    class Changing(LocalStore):
        async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            async for chunk in super().read(key, start=start, end=end):
                yield chunk
            if key == "b":
                change(root)

    with pytest.raises(StorageError, match=said):
        asyncio.run(copy_folder(Changing(root), Selection(), tmp_path / "copy"))


def test_a_change_outside_the_selection_is_no_error(tmp_path: Path) -> None:
    root = tmp_path / "store"
    fill(root, "a.txt", "log")

    class Logging(LocalStore):
        async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            async for chunk in super().read(key, start=start, end=end):
                yield chunk
            (root / "log").write_text("one more line")

    entries = asyncio.run(copy_folder(Logging(root), Selection("", ("*.txt",)), tmp_path / "copy"))
    assert [entry.path for entry in entries] == ["a.txt"]


@pytest.mark.parametrize("key", ["../evil", "/evil", "a/../../evil"])
def test_a_key_that_a_store_makes_up_cannot_leave_the_copy(key: str, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(KeyRefused):
        asyncio.run(copy_folder(MemoryStore({key: b"x"}), Selection(), tmp_path / "copy" / "in"))
    assert names(tmp_path) == ["copy"]


def test_nothing_there_and_nothing_matched_are_told_apart(tmp_path: Path) -> None:
    fill(tmp_path / "store", "d/a.txt", "d/b.txt")
    store = LocalStore(tmp_path / "store")
    with pytest.raises(ObjectMissing, match="nothing at or below 'e'"):
        asyncio.run(copy_folder(store, Selection("e"), tmp_path / "copy"))
    with pytest.raises(
        StorageError, match=r"include = \['\*.md'\] matches none of 2 objects, such as 'a.txt', 'b.txt'"
    ):
        asyncio.run(copy_folder(store, Selection("d", ("*.md",)), tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    store = MemoryStore({"a": b"1", "b": b"2"})
    asyncio.run(get_folder(store, Selection(), tmp_path / "good"))
    assert [entry.path for entry in list_folder(tmp_path / "good")] == ["a", "b"]
    store.served["b"] = b"changed"
    with pytest.raises(StorageError):
        asyncio.run(get_folder(store, Selection(), tmp_path / "bad"))
    with pytest.raises(ObjectExists):
        asyncio.run(get_folder(MemoryStore({"c": b"3"}), Selection(), tmp_path / "good"))
    assert names(tmp_path) == ["good"]
    assert [entry.path for entry in list_folder(tmp_path / "good")] == ["a", "b"]


def test_one_object_is_got_and_an_existing_file_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    store = MemoryStore({"d/a": b"new"})
    (tmp_path / "a").write_text("old")
    with pytest.raises(ObjectExists):
        asyncio.run(get_object(store, "d/a", tmp_path / "a"))
    assert (tmp_path / "a").read_text() == "old"
    entry = asyncio.run(get_object(store, "d/a", tmp_path / "a", replace=True))
    assert (entry.path, entry.size, entry.sha256) == ("a", 3, digest_file(tmp_path / "a"))


def test_a_file_is_put_links_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("data")
    (tmp_path / "link").symlink_to("file")
    store = MemoryStore({})
    assert asyncio.run(put_file(store, "k", tmp_path / "link")).digest == digest_file(tmp_path / "file")
    assert store.objects == {"k": b"data"}


def test_a_store_that_keeps_something_else_than_it_was_given_is_caught(tmp_path: Path) -> None:
    class Corrupting(MemoryStore):
        async def write(self, key: str, chunks: AsyncIterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
            self.objects[key] = b"".join([chunk async for chunk in chunks]).replace(b"t", b"T")
            return self.info(key)

    (tmp_path / "file").write_text("data")
    with pytest.raises(StorageError, match="'k' was read as 4 bytes"):
        asyncio.run(put_file(Corrupting({}), "k", tmp_path / "file"))


def test_a_folder_is_put_whole(tmp_path: Path) -> None:
    fill(tmp_path / "folder", "a", "d/b")
    store = MemoryStore({})
    entries = asyncio.run(put_folder(store, "p/q", tmp_path / "folder"))
    assert entries == list_folder(tmp_path / "folder")
    assert store.objects == {"p/q/a": b"a", "p/q/d/b": b"d/b"}
