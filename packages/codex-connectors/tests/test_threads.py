"""Blocking calls off the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from codex_connectors.threads import in_thread


def test_it_gives_the_result_or_the_error_of_another_thread() -> None:
    assert asyncio.run(in_thread(threading.get_ident)) != threading.get_ident()
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(in_thread(int, "x"))


def test_a_cancelled_caller_waits_until_the_call_has_ended() -> None:
    started, go = threading.Event(), threading.Event()
    order: list[str] = []

    def work() -> None:
        started.set()
        assert go.wait(20)
        order.append("worked")

    async def cancel() -> None:
        task = asyncio.create_task(in_thread(work))
        await asyncio.to_thread(started.wait, 20)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # impatience changes nothing
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        order.append("cancelled")

    asyncio.run(cancel())
    assert order == ["worked", "cancelled"]
