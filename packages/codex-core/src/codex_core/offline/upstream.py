"""Upstream: where a connection out of a seal leads, and what tells that it leads nowhere."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOK_UP, _PATIENCE = 10.0, 15.0
"""Seconds: for a look-up, and for a connection."""
LOCALHOST = "localhost"
"""The one name that says by itself where it leads (RFC 6761, 6.3): a rule for it names this machine."""
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Addresses of IPv4 in a network of IPv6 alone (RFC 6052)."""


class Unreachable(Exception):
    """It is allowed, and cannot be reached: why not."""


def resolve(host: str) -> list[str]:
    """What the host's own resolver says of a name; Unreachable if it says nothing in time."""
    found: list[str] = []
    fault: list[str] = ["it did not answer in time"]

    def look() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(address[0]) for *_, address in answers))
        except OSError as error:
            fault[0] = error.strerror or str(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_LOOK_UP)
    if not found:
        raise Unreachable(f"{host} cannot be looked up: {fault[0]}")
    return found


def connect_any(origin: str, addresses: Iterable[str], port: int) -> socket.socket:
    """A connection to the first of the ``addresses`` of ``origin`` that takes one; Unreachable if none does."""
    faults = []
    for address in addresses:
        try:
            return _connect(address, port)
        except OSError as error:
            faults.append(f"{address}: {error.strerror or error}")
    raise Unreachable(f"{origin} cannot be reached: {'; '.join(faults)}")


def _connect(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(_PATIENCE)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own loopback."""
    return ip_address(address.partition("%")[0]).is_loopback


def is_public(address: str) -> bool:
    """Whether an address is anybody's on the internet: not this machine's, a private network's, or a group's."""
    one = ip_address(address.partition("%")[0])
    held: list[IPv4Address | IPv6Address] = [one, *(_held(one) if isinstance(one, IPv6Address) else ())]
    return all(each.is_global and not each.is_multicast for each in held)


def _held(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 address that an IPv6 address is another form of, to which a router may send it."""
    translated = IPv4Address(int(address) & 0xFFFFFFFF) if address in _TRANSLATED else None
    return [one for one in (address.ipv4_mapped, address.sixtofour, translated) if one is not None]
