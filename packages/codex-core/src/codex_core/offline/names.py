"""Names: what a program looks up inside a seal, which is heard and answered with that there is no such name.

Those that a seal knows stand in its /etc/hosts and never come this far. The others are how native code shows where it
wanted to go: without an address, it sends nothing that could be counted.
"""

from __future__ import annotations

SERVER = ("127.77.0.1", 53)
"""Where the resolver inside asks: loopback, and an address that no program takes by itself."""
RESOLVER = f"nameserver {SERVER[0]}\nsearch .\noptions timeout:1 attempts:1\n"
"""The /etc/resolv.conf of a seal."""
LONGEST_QUESTION = 512
"""Octets of a message without extensions (RFC 1035, 4.2.1)."""

_OF_HOSTS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_HEAD = 12
_NO_SUCH_NAME = 3


def answer(question: bytes) -> tuple[str, bytes] | None:
    """The name that a DNS message asks for, and the message that says that there is none; None if it asks for none.

    The format is that of RFC 1035, 4.1. A name is told in lower case; one that no host can have is no question here.
    """
    if len(question) < _HEAD or question[2] & 0xF8 or question[4:6] != b"\0\1":  # an answer, another call, several
        return None
    labels, at = [], _HEAD
    while length := question[at] if at < len(question) else 64:
        if length > 63 or at + 1 + length >= len(question):
            return None
        labels.append(question[at + 1 : at + 1 + length])
        at += 1 + length
    name = b".".join(labels).decode("ascii", "replace").lower()
    end = at + 5  # the empty label, the type and the class
    if not name or set(name) - _OF_HOSTS or end > len(question):
        return None
    flags = bytes((0x80 | question[2] & 1, 0x80 | _NO_SUCH_NAME))
    return name, question[:2] + flags + b"\0\1" + bytes(6) + question[_HEAD:end]
