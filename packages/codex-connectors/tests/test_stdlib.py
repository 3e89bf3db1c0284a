"""The standard library as a store."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from codex_connectors.stdlib import StdlibStore, stdlib_root
from codex_core.errors import ObjectMissing, ReadOnlyStore
from codex_core.storage import Connector


async def keys(prefix: str = "") -> list[str]:
    return [info.key async for info in StdlibStore().scan(prefix)]


def test_it_is_a_connector() -> None:
    assert isinstance(StdlibStore(), Connector)
    assert StdlibStore.contract == 1


def test_it_lists_library_sources_sorted_and_the_same_each_time() -> None:
    found = asyncio.run(keys())
    assert found == sorted(found, key=str.encode) == asyncio.run(keys())
    assert {"json/decoder.py", "os.py", "asyncio/tasks.py"} <= set(found)
    assert all(key.endswith(".py") for key in found)
    assert len(found) > 400


def test_packages_tests_and_caches_are_left_out() -> None:
    parts = {part for key in asyncio.run(keys()) for part in key.split("/")}
    assert not parts & {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
    assert asyncio.run(keys("test")) == []


def test_a_prefix_narrows_it() -> None:
    assert set(asyncio.run(keys("json"))) >= {"json/__init__.py", "json/decoder.py"}
    assert asyncio.run(keys("json/decoder.py")) == ["json/decoder.py"]
    assert asyncio.run(keys("jso")) == []


def test_a_prefix_that_is_no_source_file_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib-dynload").mkdir()
    for name in ("a.py", "LICENSE.txt", "lib-dynload/x.so"):
        (tmp_path / name).write_text("")
    (tmp_path / "sitecustomize.py").symlink_to("/etc/hostname")
    monkeypatch.setattr("codex_connectors.stdlib.stdlib_root", lambda: tmp_path)
    names = ("a.py", "LICENSE.txt", "lib-dynload/x.so", "sitecustomize.py")
    assert [asyncio.run(keys(name)) for name in names] == [["a.py"], [], [], []]


def test_bytes_and_digest_are_those_of_the_file() -> None:
    async def read() -> bytes:
        return b"".join([chunk async for chunk in StdlibStore().read("json/decoder.py")])

    assert json.decoder.__file__ is not None
    wanted = Path(json.decoder.__file__).read_bytes()
    info = asyncio.run(StdlibStore().stat("json/decoder.py"))
    assert asyncio.run(read()) == wanted
    assert info.size == len(wanted)
    assert info.digest == f"sha256:{hashlib.sha256(wanted).hexdigest()}"


@pytest.mark.parametrize("key", ["nothing.py", "json", "test/support/__init__.py", "LICENSE.txt", "site-packages/x.py"])
def test_what_is_not_in_the_listing_cannot_be_had(key: str) -> None:
    with pytest.raises(ObjectMissing):
        asyncio.run(StdlibStore().stat(key))


def test_writing_and_deleting_are_refused(chunks: Callable[..., AsyncIterator[bytes]]) -> None:
    with pytest.raises(ReadOnlyStore, match="interpreter's own"):
        asyncio.run(StdlibStore().write("os.py", chunks(b"x")))
    with pytest.raises(ReadOnlyStore):
        asyncio.run(StdlibStore().delete("os.py"))
    assert (stdlib_root() / "os.py").stat().st_size > 1


def test_links_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("pass")
    (tmp_path / "sitecustomize.py").symlink_to("/etc/hostname")
    (tmp_path / "linked").symlink_to("/etc")
    monkeypatch.setattr("codex_connectors.stdlib.stdlib_root", lambda: tmp_path)
    assert asyncio.run(keys()) == ["a.py"]
