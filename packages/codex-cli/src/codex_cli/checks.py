"""Checks that need not be made twice: the files that were read without a mistake, by the digest of their bytes.

Reading a policy file costs ten times what a seal does. So what was found in order is noted in the cache folder, and
read again only when it is needed or has changed. A note grants nothing: a program inside may be able to write one.
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


def allow_nothing(files: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether just these files, with the bytes that they have now, were found in order, and to allow nothing."""
    try:
        note = _note(files, environ)
        if index_cache.fault_of(os.path.dirname(note)) or index_cache.fault_of(note):  # noqa: PTH120
            return False
        with open(note, "rb") as stream:
            return stream.read() == _digest(files)
    except OSError:
        return False


def remember(files: Sequence[str], environ: Mapping[str, str]) -> None:
    """Note that these files are in order and allow nothing; without a word where that cannot be done."""
    try:
        note, digest = _note(files, environ), _digest(files)
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)  # noqa: PTH120
        with open(f"{note}.{os.getpid()}", "xb") as stream:
            stream.write(digest)
        os.replace(f"{note}.{os.getpid()}", note)
    except OSError:
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
