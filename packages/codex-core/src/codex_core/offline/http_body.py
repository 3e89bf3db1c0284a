"""Bodies: what follows the head of a request, sent on for just as long as the head says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.offline.http_head import Malformed, parse_chunk_size

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from codex_core.offline.http_head import Head


def send_body(connection: socket.socket, send: Callable[[bytes], None], head: Head, rest: bytes) -> None:
    """Send on the body of a request, of which ``rest`` has come already.

    Malformed if it is not what its head says, ConnectionResetError if it ends too early.
    """
    source = _Source(connection, rest)
    if not head.chunked:
        source.pass_on(send, head.length)
        return
    while True:
        line = source.line()
        size = parse_chunk_size(line)
        send(b"%x\r\n" % size)
        if size == 0:
            if source.line() != b"\r\n":
                raise Malformed("its body ends with trailers")
            send(b"\r\n")
            return
        source.pass_on(send, size)
        if source.line() != b"\r\n":
            raise Malformed("a chunk of its body is longer than it says")
        send(b"\r\n")


class _Source:
    """What comes of a connection, the bytes first that were already read."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self._connection, self._rest = connection, rest

    def pass_on(self, send: Callable[[bytes], None], left: int) -> None:
        while left:
            data = self._rest[:left] or self._connection.recv(min(left, 65536))
            if not data:
                raise ConnectionResetError
            self._rest = self._rest[len(data) :] if self._rest else b""
            send(data)
            left -= len(data)

    def line(self) -> bytes:
        """A short line with its end."""
        while b"\n" not in self._rest:
            more = self._connection.recv(64)
            if not more:
                raise ConnectionResetError
            self._rest += more
            if len(self._rest) > 65536:
                raise Malformed("a chunk of its body does not begin with its size")
        line, end, self._rest = self._rest.partition(b"\n")
        return line + end
