"""What the command index cache promises: it is believed only if it is ours, whole and fresh, and never in the way."""

from __future__ import annotations

import os
import sys
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_cli import index_cache
from codex_cli.command_list import COMMANDS
from codex_cli.user_folders import cache_folder

ROWS = [("store ls", "List objects.", "codex_connectors.commands:app"), ("run", "Run it.", "codex_cli.commands:app")]
LATER = time.time_ns() + 3600 * 10**9


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def keep(environ: dict[str, str], *files: Path) -> Path:
    names = [str(file) for file in files]
    index_cache.write_cache(environ, index_cache.cache_key(), ROWS, names, now_ns=LATER)
    return Path(index_cache.cache_file(environ))


def test_what_is_kept_is_read_again(environ: dict[str, str]) -> None:
    keep(environ)
    assert index_cache.read_cache(environ) == ROWS


def test_cache_file_and_folder_are_for_their_owner_alone(environ: dict[str, str]) -> None:
    file = keep(environ)
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "app",
    [
        "flask.__main__:main",
        "codex_cli.pipeline.stage_process:main",
        "codex_cli.commands:app.callback",
        "codex_cli.commands:os",
        "evil.commands:app",
        "codex_evil.sub.commands:app",
        "codex_cli.sealed:os",
        "commands:app",
        "",
    ],
)
def test_a_file_that_names_another_module_is_none_and_none_is_made(environ: dict[str, str], app: str) -> None:
    """A program inside a seal may have written it, with a checksum that is right."""
    file = keep(environ)
    whole = file.read_bytes().removesuffix(b"\n").rpartition(b"\n")[0] + b"\n"
    body = whole.replace(b"codex_connectors.commands:app", app.encode())
    file.write_bytes(body + b"%d\n" % zlib.crc32(body))
    assert index_cache.read_cache(environ) is None
    file.unlink()
    rows = [("store ls", "List objects.", app)]
    index_cache.write_cache(environ, index_cache.cache_key(), rows, [], now_ns=LATER)
    assert not file.exists()


def test_our_own_commands_are_kept(environ: dict[str, str]) -> None:
    rows = [(command.name, command.summary, command.app) for command in COMMANDS.leaves]
    index_cache.write_cache(environ, index_cache.cache_key(), rows, [], now_ns=LATER)
    assert index_cache.read_cache(environ) == rows


def test_nothing_kept_is_nothing_read(environ: dict[str, str]) -> None:
    assert index_cache.read_cache(environ) is None


def test_changed_folder_of_the_path_makes_the_cache_stale(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    keep(environ)
    assert index_cache.read_cache(environ) == ROWS
    os.utime(site, ns=(1, 1))
    assert index_cache.read_cache(environ) is None


def test_changed_source_of_a_command_makes_the_cache_stale(environ: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "command_list.py"
    source.touch()
    keep(environ, source)
    assert index_cache.read_cache(environ) == ROWS
    os.utime(source, ns=(1, 1))
    assert index_cache.read_cache(environ) is None


def test_folder_that_has_just_changed_is_not_kept(environ: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "command_list.py"
    source.touch()
    now = source.stat().st_mtime_ns + index_cache.SETTLED_NS - 1
    index_cache.write_cache(environ, index_cache.cache_key(), ROWS, [str(source)], now_ns=now)
    assert not Path(index_cache.cache_file(environ)).exists()


@given(position=st.integers(0), byte=st.integers(1, 255))
def test_no_changed_byte_is_believed(tmp_path_factory: pytest.TempPathFactory, position: int, byte: int) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    file = keep(environ)
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= byte
    file.write_bytes(data)
    assert index_cache.read_cache(environ) in (None, ROWS)


@pytest.mark.parametrize("data", [b"", b"\n", b"no\xff\n", b"codex-commands 1\n12\n"])
def test_damaged_file_is_as_good_as_none(environ: dict[str, str], data: bytes) -> None:
    keep(environ).write_bytes(data)
    assert index_cache.read_cache(environ) is None


def test_truncated_file_is_as_good_as_none(environ: dict[str, str]) -> None:
    file = keep(environ)
    data = file.read_bytes()
    for size in range(len(data) - 1):
        file.write_bytes(data[:size])
        assert index_cache.read_cache(environ) is None


def test_file_of_another_user_is_not_believed(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = keep(environ)
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert index_cache.read_cache(environ) is None


@pytest.mark.parametrize("folder", [False, True])
def test_file_or_folder_that_others_may_write_to_is_not_believed(environ: dict[str, str], folder: bool) -> None:
    file = keep(environ)
    (file.parent if folder else file).chmod(0o777)
    assert index_cache.read_cache(environ) is None


def test_link_is_not_believed(environ: dict[str, str], tmp_path: Path) -> None:
    file = keep(environ)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert index_cache.read_cache(environ) is None


def test_pipe_in_the_place_of_the_file_is_not_waited_for(environ: dict[str, str]) -> None:
    file = keep(environ)
    file.unlink()
    os.mkfifo(file)
    assert index_cache.read_cache(environ) is None


def test_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {"XDG_CACHE_HOME": str(tmp_path / "file")}
    keep(environ)
    assert index_cache.read_cache(environ) is None


def test_nothing_is_written_into_a_folder_that_others_may_write_to(environ: dict[str, str]) -> None:
    folder = Path(cache_folder(environ))
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert not keep(environ).exists()


def test_relative_cache_home_counts_as_none() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "here", "HOME": "/home/someone"}) == "/home/someone/.cache/codex"
    assert cache_folder({"HOME": "/home/someone"}) == "/home/someone/.cache/codex"
