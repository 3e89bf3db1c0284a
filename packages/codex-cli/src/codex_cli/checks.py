"""Checks that need not be made twice: the files that were read without a mistake, by the digest of their bytes.

Reading a policy file costs ten times what a seal does. So of files that are in order, and allow nothing, the denies are
noted in the cache folder, and the files read again only when they have changed. A note grants nothing: a program inside
may be able to write one. What it says is used to explain refusals, which there are without it.
"""
# ruff: noqa: PTH103, PTH105, PTH118
# because importing pathlib costs as much as the seal

from __future__ import annotations

import os

from codex_cli import index_cache
from codex_cli.__about__ import __version__

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def noted(files: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What was noted of just these files, with the bytes that they have now; None if nothing was."""
    try:
        note = _note(files, environ)
        if index_cache.fault_of(os.path.dirname(note)) or index_cache.fault_of(note):  # noqa: PTH120
            return None
        with open(note, "rb") as stream:
            data, digest = stream.read(), _digest(files)
        return data[len(digest) :].decode() if data.startswith(digest) else None
    except (OSError, ValueError):
        return None


def remember(files: Sequence[str], environ: Mapping[str, str], text: str) -> None:
    """Note ``text`` of these files; without a word where that cannot be done."""
    try:
        note, digest = _note(files, environ), _digest(files)
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)  # noqa: PTH120
        with open(f"{note}.{os.getpid()}", "xb") as stream:
            stream.write(digest + text.encode())
        os.replace(f"{note}.{os.getpid()}", note)
    except (OSError, ValueError):
        return


def _note(files: Sequence[str], environ: Mapping[str, str]) -> str:
    return os.path.join(
        index_cache.cache_folder(environ), f"checked-{_hash(os.fsencode(chr(0).join(files))).hex()[:32]}"
    )


def _digest(files: Sequence[str]) -> bytes:
    data = [__version__.encode()]
    for file in files:
        with open(file, "rb") as stream:
            data.append(stream.read())
    return _hash(b"".join(_hash(part) for part in data))


def _hash(data: bytes) -> bytes:
    import _blake2  # the C module: hashlib loads all of OpenSSL

    return _blake2.blake2b(data, digest_size=32).digest()
