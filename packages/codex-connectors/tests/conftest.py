"""What several tests need: chunks from bytes, a folder that others may enter, and another user's rights."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def chunks() -> Callable[..., AsyncIterator[bytes]]:
    async def give(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return give


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that a user without rights can reach, as pytest's own cannot."""
    folder = Path(tempfile.mkdtemp(prefix="codex-test-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def without_rights() -> Callable[[], AbstractContextManager[None]]:
    """Root may do anything, so a test of permissions lends its rights to nobody for a while."""

    @contextmanager
    def lend() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return lend
