"""Openings: what a seal has of its broker inside, sockets that listen on loopback, and names that lead to them."""

from __future__ import annotations

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_core.offline.doors import Door

MOST = 200
"""Listeners of one seal: their descriptors are sent in one message, and the kernel takes no more than 253 (unix(7))."""


class Openings:
    """What is opened inside, where there is a network namespace; elsewhere nothing is.

    ``listeners`` are addresses and ports, ``doors`` what is served at each of them, None for the proxy; ``addresses``
    are those that loopback does not have by itself; ``names`` have the address of each; ``environment`` is what a
    program needs to be told. ``actor`` is who asks the broker, as a Request has it.
    """

    __slots__ = ("actor", "addresses", "doors", "environment", "listeners", "names")

    def __init__(
        self,
        listeners: Sequence[tuple[str, int]],
        *,
        doors: Sequence[Door | None],
        addresses: Sequence[str],
        names: Mapping[str, str],
        environment: Mapping[str, str],
        actor: str,
    ) -> None:
        self.actor = actor
        self.listeners, self.doors, self.addresses = tuple(listeners), tuple(doors), tuple(addresses)
        self.names, self.environment = dict(names), dict(environment)
