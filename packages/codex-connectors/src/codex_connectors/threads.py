"""Blocking calls off the event loop, such that a cancelled caller never leaves one running behind its back."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a worker thread; when cancelled, wait for it to end, then be cancelled.

    ``asyncio.to_thread`` would return at once, while the thread still used descriptors that the caller now closes.
    """
    import asyncio  # here, because a store that is only opened should not cost the import

    call = asyncio.get_running_loop().run_in_executor(None, partial(function, *args, **kwargs))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        while not call.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([call])
        raise
