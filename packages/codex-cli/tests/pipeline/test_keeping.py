"""What a runner may tell its keeper: what Starter writes, and nothing else, since it has loaded plug-ins."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from codex_cli.pipeline.keeping import _read_order

REQUEST = {"stage": "s", "command": None, "folder": "/f", "writable": ["/w"], "environment": {"TMPDIR": "/t"}}

REFUSED = (ValueError, TypeError, LookupError, RecursionError)


@pytest.fixture
def asked() -> Iterator[int]:
    descriptor = os.memfd_create("asked")
    yield descriptor
    os.close(descriptor)


def test_what_starter_writes_is_read(asked: int) -> None:
    os.pwrite(asked, json.dumps(REQUEST).encode(), 0)
    assert _read_order(b'["start", 3]', [asked] * 4) == (3, REQUEST, 0)
    assert _read_order(b'["signal", 3, 15]', []) == (3, None, signal.SIGTERM)
    assert _read_order(b'["signal", 3, 1000]', []) == (3, None, 0)


@pytest.mark.parametrize(
    "message",
    [
        b'["signal", [1], 2]',
        b'["signal"]',
        b'["signal", 1]',
        b"[]",
        b'"x"',
        b"{}",
        b"\xff",
        b"[" * 4000,
        b'["start", 1]',
        b'["?", 1]',
    ],
)
def test_what_is_no_order_is_refused(message: bytes) -> None:
    with pytest.raises(REFUSED):
        _read_order(message, [])


@pytest.mark.parametrize(
    "change",
    [
        {"stage": 1},
        {"command": ["x"]},
        {"folder": None},
        {"writable": [None]},
        {"writable": 3},
        {"environment": {}},
        {"environment": {"TMPDIR": 1}},
        {"environment": []},
    ],
)
def test_a_request_that_is_not_whole_is_refused(asked: int, change: dict[str, object]) -> None:
    os.pwrite(asked, json.dumps({**REQUEST, **change}).encode(), 0)
    with pytest.raises(REFUSED):
        _read_order(b'["start", 0]', [asked] * 4)
