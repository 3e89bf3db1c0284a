"""A tunnel between two connections: bytes go both ways until both ends have closed, the kernel moving what is long.

That one end was reset is an end of another kind, which the other end must hear of: half an answer is no whole one.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

_COPIED = 256 * 1024
"""Bytes of a direction that are copied before it is worth a pipe."""
_CHUNK = 64 * 1024
_PIPE = 1024 * 1024
_F_SETPIPE_SZ = 1031
_GONE = select.POLLERR | select.POLLHUP
"""What poll(2) says of a connection that was reset."""


class Flow:
    """One direction of a tunnel. ``moved`` counts its bytes; ``ended``: nothing more will come or can go.

    ``broken`` is the end that was reset, if one was.
    """

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.moved, self.ended = 0, False
        self.broken: socket.socket | None = None
        self._held = b""
        self._piped = 0
        self._pipe: tuple[int, int] | None = None

    @property
    def waits_for(self) -> tuple[int, int]:
        """The descriptor and the event of poll(2) that let it go on."""
        if self._held or self._piped:
            return self.target.fileno(), select.POLLOUT
        return self.source.fileno(), select.POLLIN

    def go_on(self) -> None:
        """Move what can be moved without waiting."""
        try:
            if self._held:
                self._held = self._held[self.target.send(self._held) :]
            elif self._piped:
                self._empty_pipe()
            elif self.moved < _COPIED:
                self._copy()
            else:
                self._fill_pipe()
        except BlockingIOError:
            return
        except OSError:  # nothing more can be read there, or nothing delivered
            self.ended = True
            self.broken = self.target if self._held or self._piped else self.source

    def close(self) -> None:
        """Let go of the pipe."""
        if self._pipe is not None:
            os.close(self._pipe[0])
            os.close(self._pipe[1])
            self._pipe = None

    def _copy(self) -> None:
        data = self.source.recv(_CHUNK)
        if not data:
            self._end()
            return
        self.moved += len(data)
        self._held = data
        self._held = data[self.target.send(data) :]

    def _fill_pipe(self) -> None:
        if self._pipe is None:
            import fcntl

            self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            with suppress(OSError):  # a user may own only so much of these; the size is a matter of speed
                fcntl.fcntl(self._pipe[1], _F_SETPIPE_SZ, _PIPE)
        self._piped = os.splice(self.source.fileno(), self._pipe[1], _PIPE)
        if not self._piped:
            self._end()
            return
        self.moved += self._piped
        self._empty_pipe()

    def _empty_pipe(self) -> None:
        assert self._pipe is not None  # it was filled
        self._piped -= os.splice(self._pipe[0], self.target.fileno(), self._piped)

    def _end(self) -> None:
        self.ended = True
        with suppress(OSError):
            self.target.shutdown(socket.SHUT_WR)


def run(flows: list[Flow], *, idle: float) -> None:
    """Move the bytes of ``flows`` until all have ended; ConnectionResetError if an end was reset.

    TimeoutError if none has moved for ``idle`` seconds.
    """
    for flow in flows:
        flow.source.setblocking(False)
        flow.target.setblocking(False)
    sources = {flow.source for flow in flows}
    silent = {flow.target.fileno(): 0 for flow in flows if flow.target not in sources}  # whose reset shows all the same
    try:
        poll = select.poll()
        registered: dict[int, int] = {}
        while going := [flow for flow in flows if not flow.ended]:
            waiting = dict(silent)
            for descriptor, event in (flow.waits_for for flow in going):
                waiting[descriptor] = waiting.get(descriptor, 0) | event
            if waiting != registered:
                for descriptor in registered.keys() - waiting.keys():
                    poll.unregister(descriptor)
                for descriptor, event in waiting.items():
                    poll.register(descriptor, event)
                registered = waiting
            ready = poll.poll(idle * 1000)
            if not ready:
                raise TimeoutError
            if any(descriptor in silent and event & _GONE for descriptor, event in ready):
                raise ConnectionResetError
            for flow in going:
                flow.go_on()
            _end_with_reset(flows)
        if any(flow.broken for flow in flows):
            raise ConnectionResetError
    finally:
        for flow in flows:
            flow.close()


def wait(source: socket.socket, target: socket.socket, *, idle: float) -> None:
    """Wait until ``source`` can be read; ConnectionResetError if ``target`` was reset.

    TimeoutError after ``idle`` seconds.
    """
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(target, 0)
    ready = dict(poll.poll(idle * 1000))
    if not ready:
        raise TimeoutError
    if ready.get(target.fileno(), 0) & _GONE:
        raise ConnectionResetError


def _end_with_reset(flows: list[Flow]) -> None:
    """End what leads to a source that was reset: nobody takes it. What a reset end had sent before is still read."""
    gone = {flow.broken for flow in flows if flow.broken is flow.source}
    for flow in flows:
        if flow.target in gone:
            flow.ended = True
