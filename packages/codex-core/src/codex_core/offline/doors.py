"""Doors: the addresses inside a seal behind which its broker serves the rules that name one host, and its proxy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError
from codex_core.offline.openings import MOST, Openings
from codex_core.policy import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from codex_core.policy import Policy, Rule

PROXY = ("127.77.0.1", 3128)
"""Where the proxy listens: loopback, and an address that no program takes by itself."""
_FIRST = 2
"""The number of the first name; its address is 127.77.0.2."""
_DIRECT = "localhost,127.0.0.1,::1"
"""What is never asked of the proxy: a program's own servers, and the doors of the host's."""


@dataclass(frozen=True)
class Door:
    """``hosts`` are those that rules name, with this ``scheme`` and ``port``; all are served at ``address`` inside."""

    scheme: str
    hosts: tuple[str, ...]
    port: int
    address: str


def openings_for(policy: Policy, stage: str, today: date, *, actor: str = PROGRAM) -> Openings | None:
    """The proxy and the doors of ``stage``; None if no rule allows it anything. ConfigError if there are too many.

    ``actor`` is what runs as the stage.
    """
    rules = _rules_for(policy, stage, today)
    if not rules:
        return None
    doors = _doors(rules)
    if len(doors) >= MOST:
        raise ConfigError(
            f"the rules for {stage!r} name {len(doors)} endpoints, and a seal has {MOST - 1} doors",
            hint="let a rule name several hosts, as in https://*.example.org:443/**; a program then needs the proxy",
        )
    proxy = f"http://{PROXY[0]}:{PROXY[1]}"
    spelled = [spelling(name) for name in ("http_proxy", "https_proxy") for spelling in (str.lower, str.upper)]
    return Openings(
        [PROXY, *((door.address, door.port) for door in doors)],
        doors=[None, *doors],
        addresses=sorted(
            {door.address for door in doors if not door.address.startswith("127.") and door.address != "::1"}
        ),
        names={host: door.address for door in doors for host in door.hosts if host not in {door.address, "localhost"}},
        environment={
            **dict.fromkeys(spelled, proxy),
            "no_proxy": _DIRECT,
            "NO_PROXY": _DIRECT,
            "NODE_USE_ENV_PROXY": "1",
        },
        actor=actor,
    )


def _rules_for(policy: Policy, stage: str, today: date) -> list[Rule]:
    """The rules that may allow something to ``stage`` today."""
    rules = (rule for layer in policy.layers for rule in layer.allow)
    return [rule for rule in rules if rule.holds(stage, today)]


def _doors(rules: Sequence[Rule]) -> list[Door]:
    """A door for each endpoint that a rule names exactly. A name has one address, whatever its ports."""
    numbers: dict[str, int] = {}
    found: dict[tuple[str, int], Door] = {}
    for pattern in (rule.pattern for rule in rules):
        if pattern.network is None and not pattern.host.startswith("*."):
            address = _address_inside(pattern.host, numbers)
            door = found.setdefault((address, pattern.port), Door(pattern.scheme, (), pattern.port, address))
            if pattern.scheme == door.scheme and pattern.host not in door.hosts:
                found[address, pattern.port] = replace(door, hosts=(*door.hosts, pattern.host))
    return list(found.values())


def _address_inside(host: str, numbers: dict[str, int]) -> str:
    """An address is its own, localhost is loopback, and every other name gets a number, which ``numbers`` keeps."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        at = _FIRST + numbers.setdefault(host, len(numbers))
        return f"127.77.{at >> 8}.{at & 255}"
