"""What the keeper saw from outside of a program in its seal: the interfaces and routes inside, and what tried them."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_core.offline.seal import Seal

_NO_ROUTE, _NO_ROUTE_6, _NOT_TAKEN = "OutNoRoutes", "Ip6OutNoRoutes", "AttemptFails"


class Observation:
    """What was seen of one seal's network namespace; None of each where it has none of its own.

    ``attempts`` counts the packets, of IPv4 and IPv6, for which there was no route: each is a try to reach a network
    that left no other trace (proc_net(5), snmp). ``unanswered`` counts the connections of TCP that nobody took, which
    can be to its own loopback alone.
    """

    __slots__ = ("attempts", "interfaces", "routes", "unanswered")

    def __init__(
        self,
        interfaces: tuple[str, ...] | None,
        routes: tuple[str, ...] | None,
        attempts: int | None,
        unanswered: int | None,
    ) -> None:
        self.interfaces, self.routes = interfaces, routes
        self.attempts, self.unanswered = attempts, unanswered


def describe_knocks(unanswered: int) -> str:
    """That a program found nobody on its own loopback, to go on after "it"."""
    return f"knocked {'once' if unanswered == 1 else f'{unanswered} times'} in vain at its own loopback"


def describe_tries(
    names: Sequence[str], attempts: int | None, unreached: str | None = None, vain: str | None = None
) -> str | None:
    """What a program tried that no refusal tells of, to go on after "it"; None if nothing.

    ``unreached`` is what a rule allows, and why it could not be reached; ``vain`` is a Recorder's.
    """
    told = []
    if names:
        others = f" and {len(names) - 1} other name{'s' if len(names) > 2 else ''}" if names[1:] else ""
        told.append(
            f"looked up {names[0]}{others}, and a seal has only the names of hosts that a rule in force names exactly"
        )
    if attempts:
        times = "once" if attempts == 1 else f"{attempts} times"
        told.append(f"tried {times} to reach a network, and there is none in a seal")
    if vain:
        told.append(vain)
    if unreached:
        told.append(f"was allowed to go somewhere, but {unreached}")
    return "; it ".join(told) or None


def next_step(names: Sequence[str], stage: str) -> str | None:
    """What tells why ``stage`` may not go to what it looked up, or only by the proxy; None if it looked nothing up."""
    return f"codex policy explain https://{names[0]}/ --stage {stage} says what the policy answers" if names else None


def observe(seal: Seal) -> Observation:
    """What there is to see now; the seal's program may have ended already."""
    if not seal.level.namespaces:
        return Observation(None, None, None, None)
    read = {name: _read(descriptor) for name, descriptor in seal.facts.items()}
    names = tuple(line.partition(":")[0].strip() for line in read["dev"].splitlines()[2:])
    four = [" ".join(line.split()[:2]) for line in read["route"].splitlines()[1:]]
    six = [line.split() for line in read["ipv6_route"].splitlines()]
    routes = [f"{words[-1]} {words[0]}" for words in six if words[-1] != "lo"]
    attempts = _counter(read["snmp"], _NO_ROUTE) + _counter6(read["snmp6"], _NO_ROUTE_6)
    return Observation(names, (*four, *routes), attempts, _counter(read["snmp"], _NOT_TAKEN))


def _counter(table: str, name: str) -> int:
    """A counter of a table that has the names of each protocol on one line, and the values on the next."""
    lines = [line.split() for line in table.splitlines()]
    rows = zip(lines[::2], lines[1::2], strict=False)
    return sum(int(values[heads.index(name)]) for heads, values in rows if name in heads)


def _counter6(table: str, name: str) -> int:
    rows = (line.split() for line in table.splitlines())
    return sum(int(row[1]) for row in rows if row[0] == name)


def _read(descriptor: int) -> str:
    """The whole of an open file of /proc/net, as it is now."""
    text = bytearray()
    while data := os.pread(descriptor, 1 << 16, len(text)):
        text += data
    return text.decode()
