"""What a tunnel promises of its ends: silence ends it, and a reset of one is one of the other."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from codex_core.offline import tunnel


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket, socket.socket, socket.socket]]:
    """A client, the tunnel's end towards it, the tunnel's end towards a server, and the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pairs = []
        for _ in range(2):
            outer = socket.create_connection(listener.getsockname())
            pairs.append((outer, listener.accept()[0]))
        (client, near), (server, far) = pairs
        with client, near, far, server:
            yield client, near, far, server


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
    sock.close()


Ends = tuple[socket.socket, socket.socket, socket.socket, socket.socket]


def test_a_tunnel_in_which_nothing_moves_ends(ends: Ends) -> None:
    _, near, far, _ = ends
    with pytest.raises(TimeoutError):
        tunnel.run([tunnel.Flow(near, far), tunnel.Flow(far, near)], idle=0.05)
    with pytest.raises(TimeoutError):
        tunnel.wait(far, near, idle=0.05)


def test_what_was_sent_before_a_reset_is_delivered(ends: Ends) -> None:
    client, near, far, server = ends
    back = tunnel.Flow(far, near)
    server.sendall(b"half")
    reset(server)
    with pytest.raises(ConnectionResetError):
        tunnel.run([tunnel.Flow(near, far), back], idle=20)
    assert client.recv(10) == b"half"[: back.moved]


@pytest.mark.parametrize("one_way", [False, True])
def test_a_reset_of_who_only_listens_is_noticed(ends: Ends, one_way: bool) -> None:
    client, near, far, _ = ends
    reset(client)
    flows = [tunnel.Flow(far, near), *([] if one_way else [tunnel.Flow(near, far)])]
    with pytest.raises(ConnectionResetError):
        tunnel.run(flows, idle=20)
    with pytest.raises(ConnectionResetError):
        tunnel.wait(far, near, idle=20)


def test_both_directions_end_when_both_ends_have(ends: Ends) -> None:
    client, near, far, server = ends
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    server.sendall(b"answer")
    server.shutdown(socket.SHUT_WR)
    tunnel.run([tunnel.Flow(near, far), tunnel.Flow(far, near)], idle=20)
    assert (server.recv(20), client.recv(20)) == (b"question", b"answer")
