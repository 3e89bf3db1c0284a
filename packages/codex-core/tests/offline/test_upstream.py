"""Upstream: which addresses a name may lead to without a rule that names them."""

from __future__ import annotations

import socket
import threading

import pytest

from codex_core.offline import upstream
from codex_core.offline.upstream import Unreachable, connect_any, is_public, resolve


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
        ),
        *("255.255.255.255", "198.51.100.7", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a01:203", "2002:7f00:1::1"),
    ],
)
def test_an_address_that_leads_here_or_near_is_not(address: str) -> None:
    assert not is_public(address)


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"^nobody\.invalid cannot be looked up: "):
        resolve("nobody.invalid")


def test_a_look_up_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "_LOOK_UP", 0.05)
    over = threading.Event()

    def look(*_: object, **__: object) -> list[object]:
        over.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look)
    with pytest.raises(Unreachable, match="it did not answer in time"):
        resolve("slow.example")
    over.set()


def test_a_connection_is_made_to_the_first_address_that_takes_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with connect_any("http://a.example", ["127.0.0.2", "127.0.0.1"], port) as sock:
            assert sock.getpeername() == server.getsockname()
    with pytest.raises(Unreachable, match=r"^http://a.example cannot be reached: 127.0.0.2: .*refused; 127.0.0.1: "):
        connect_any("http://a.example", ["127.0.0.2", "127.0.0.1"], 1)
