"""Checks that need not be made twice: the files that were read without a mistake, by the digest of their bytes.

Reading a policy file costs ten times what a seal does. So of files that are in order, and hold no word of an allow, the
denies are noted in the cache folder, and the files read again only when they have changed. A note neither gives nor
takes what the files allow: a program inside may be able to write one. What it says is used to explain refusals, which
there are without it.
"""

from __future__ import annotations

import os

from codex_cli import index_cache
from codex_cli.__about__ import __version__
from codex_cli.user_folders import cache_folder

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def noted(files: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What was noted of just these files, with the bytes that they have now; None if nothing was."""
    try:
        contents = _read(files)
        if _may_allow(contents) or index_cache.fault_of(cache_folder(environ)):
            return None
        data, digest = index_cache.read_trusted(_note(files, environ)), _digest(contents)
        return data[len(digest) :].decode() if data.startswith(digest) else None
    except (OSError, ValueError):
        return None


def remember(files: Sequence[str], environ: Mapping[str, str], text: str) -> None:
    """Note ``text`` of these files, if it may be believed; without a word where that cannot be done."""
    try:
        contents = _read(files)
        if not _may_allow(contents):
            index_cache.replace_trusted(environ, _note(files, environ), _digest(contents) + text.encode())
    except (OSError, ValueError):
        return


def _note(files: Sequence[str], environ: Mapping[str, str]) -> str:
    return os.path.join(cache_folder(environ), f"checked-{_hash(os.fsencode(chr(0).join(files))).hex()[:32]}")


def _may_allow(contents: Sequence[bytes]) -> bool:
    return any(b"allow" in content for content in contents)


def _read(files: Sequence[str]) -> list[bytes]:
    contents = []
    for file in files:
        with open(file, "rb") as stream:
            contents.append(stream.read())
    return contents


def _digest(contents: Sequence[bytes]) -> bytes:
    return _hash(b"".join(map(_hash, (__version__.encode(), *contents))))


def _hash(data: bytes) -> bytes:
    import _blake2  # the C module: hashlib loads all of OpenSSL

    return _blake2.blake2b(data, digest_size=32).digest()
