"""An event loop in a thread of its own, so that code without one can use a Connector, from any of its threads.

The loop starts with the first call that needs it, and asyncio is imported only then. A forked child gets a loop of its
own; what was begun before the fork stays with the parent.
"""

from __future__ import annotations

import os
import threading
import weakref
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from codex_core.errors import StorageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for callers that are not coroutines. Safe for threads; usable after a fork, on both sides."""

    def __init__(self) -> None:
        self._closed = False
        self._loops: dict[int, _Running] = {}
        self._finish = weakref.finalize(self, _stop_all, self._loops)

    def run(self, work: Coroutine[Any, Any, T]) -> T:  # Any: what the event loop sends, which is its own affair
        """The coroutine's result; interrupting the caller cancels it."""
        return _result(self._running(work.close).submit(work))

    def iterate(self, items: AsyncIterator[T], *, at_once: int = 1) -> Iterator[T]:
        """The iterator's items, fetched ``at_once`` at a time; it is closed with this one."""
        running = self._running()
        try:
            while batch := _result(running.submit(_take(items, at_once))):
                yield from batch
        finally:
            running.release(items)

    def feed(self, start: Callable[[AsyncIterator[bytes]], Coroutine[Any, Any, T]], chunks: Iterable[bytes]) -> T:
        """The result of ``start`` of ``chunks``, which are drawn in the calling thread. (Any: as for run.)"""
        import asyncio

        queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        work = start(_drain(queue))  # before there is a loop: it may be refused
        running = self._running(work.close)
        task = running.submit(work)
        try:
            for chunk in chain(chunks, (None,)):
                put = running.submit(queue.put(chunk))
                either: tuple[Future[Any], ...] = (put, task)  # Any: they give different things
                wait(either, return_when=FIRST_COMPLETED)
                if task.done():
                    put.cancel()
                    break
        except BaseException:
            task.cancel()
            running.settle()
            raise
        return _result(task)

    def close(self) -> None:
        """End what is under way, and the thread; calls after this one raise StorageError."""
        self._closed = True
        self._finish()

    def _running(self, otherwise: Callable[[], None] | None = None) -> _Running:
        if self._closed:
            if otherwise is not None:
                otherwise()
            raise StorageError("the store is closed", hint="open it again")
        running = self._loops.setdefault(os.getpid(), _Running())  # a lock could have been held by a thread that forked
        running.start()
        return running


class _Running:
    """One loop and its thread, in one process."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # collecting garbage inside it may release an iterator, which takes it too
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._lock:
            if self._loop is None:
                import asyncio

                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="codex-store", daemon=True)
                self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:  # Any: what the event loop sends
        import asyncio

        if self._pid == os.getpid():  # the lock of another process may never be free
            with self._lock:
                if self._loop is not None and not self._stopped:
                    return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise StorageError("this was begun by a store that is closed, or before a fork", hint="begin it again")

    def release(self, items: AsyncIterator[T]) -> None:
        """Close the iterator, if it can still be."""
        try:
            closed = self.submit(_close(items))
        except StorageError:
            return  # the end of the loop has closed it, or it is the parent's
        if threading.current_thread() is not self._thread:
            _result(closed)

    def settle(self) -> None:
        """Wait until what was cancelled has cleaned up."""
        _result(self.submit(_cancelled_done()))

    def stop(self) -> None:
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._loop is None or self._thread is None or self._stopped:
                return
            self._stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()


def _stop_all(loops: dict[int, _Running]) -> None:
    for running in loops.values():
        running.stop()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    asyncio.set_event_loop(loop)
    workers = ThreadPoolExecutor(thread_name_prefix="codex-store")
    loop.set_default_executor(workers)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        workers.shutdown()  # the loop's own way starts a thread, which a process that exits may not
        loop.close()


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except CancelledError as error:
        raise StorageError(
            "the store was closed while it was at work", hint="open it again, and do it again"
        ) from error
    except BaseException:
        future.cancel()
        raise


async def _take(items: AsyncIterator[T], count: int) -> list[T]:
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken


async def _close(items: AsyncIterator[T]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


async def _drain(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (chunk := await queue.get()) is not None:
        yield chunk


async def _cancelled_done() -> None:
    import asyncio

    tasks = [task for task in asyncio.all_tasks() if task.cancelling()]
    await asyncio.gather(*tasks, return_exceptions=True)
