"""Doors: the addresses inside a seal behind which its broker serves the rules that name one host, and its proxy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError
from codex_core.offline.attestation import describe_knocks
from codex_core.offline.openings import MOST, Openings
from codex_core.policy import PROGRAM
from codex_core.urls import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from codex_core.policy import Policy, Rule
    from codex_core.urls import RequestUrl

PROXY = ("127.77.0.1", 3128)
"""Where the proxy listens: loopback, and an address that no program takes by itself."""
_FIRST = 2
"""The number of the first name; its address is 127.77.0.2."""
_SHOWN = 3
"""How many places that are not opened are named at once."""
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


@dataclass(frozen=True)
class Place:
    """A place on the host's loopback to which a program has no door: the ``rule`` that names it, and why not now."""

    origin: str
    rule: str
    why: str


@dataclass(frozen=True)
class Unopened:
    """What rules name and ``stage`` has no door to.

    ``of_host`` are places on the host's own loopback: inside, a program meets its own. ``wide`` are the ids of rules
    that cover many hosts, to which the proxy alone leads.
    """

    stage: str
    of_host: tuple[Place, ...]
    wide: tuple[str, ...]

    def describe(self, *, attempts: int, unanswered: int) -> str | None:
        """What a program may have tried of it, to go on after "it"; None if nothing.

        ``attempts`` and ``unanswered`` are those of an Observation.
        """
        told = []
        if unanswered and self.of_host:
            places = [f"{one.origin} of the host is not opened: rule {one.rule!r} {one.why}" for one in self.of_host]
            more = f"; and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            origin = self.of_host[0].origin
            verb = " --verb connect" if origin.startswith("https") else ""
            told.append(
                f"{describe_knocks(unanswered)}, where {'; '.join(places[:_SHOWN])}{more}"
                f" (codex policy explain {origin}/{verb} --stage {self.stage})"
            )
        if attempts and self.wide:
            told.append(f"gets to what rule {self.wide[0]!r} covers by the proxy alone, which http_proxy names")
        return "; it ".join(told) or None


def has_door(policy: Policy, stage: str, today: date, url: RequestUrl) -> bool:
    """Whether ``stage`` has a door to the endpoint of ``url`` on the day ``today`` in UTC."""
    doors = _doors(_rules_for(policy, stage, today))
    return any(door.port == url.port and url.host in door.hosts for door in doors)


def unopened_for(policy: Policy, stage: str, today: date) -> Unopened:
    """What the rules of ``policy`` name to which ``stage`` has no door on the day ``today`` in UTC."""
    doors = {(door.address, door.port) for door in _doors(_rules_for(policy, stage, today))}
    wide = (rule.id for rule in _rules_for(policy, stage, today) if _is_wide(rule))
    return Unopened(stage, tuple(_of_host(policy, stage, today, doors)), tuple(wide))


def _of_host(policy: Policy, stage: str, today: date, doors: set[tuple[str, int]]) -> Iterator[Place]:
    for rule in filter(_is_of_host, _rules(policy)):
        why, pattern = rule.absence(stage, today), rule.pattern
        if why is not None and (_address_inside(pattern.host, {}), pattern.port) not in doors:
            yield Place(f"{pattern.scheme}://{bracketed(pattern.host)}:{pattern.port}", rule.id, why)


def _is_wide(rule: Rule) -> bool:
    return rule.pattern.network is not None or rule.pattern.host.startswith("*.")


def _is_of_host(rule: Rule) -> bool:
    """Whether a rule names a place on this machine's loopback."""
    try:
        return rule.pattern.host == "localhost" or ip_address(rule.pattern.host).is_loopback
    except ValueError:
        return False


def _rules(policy: Policy) -> Iterator[Rule]:
    return (rule for layer in policy.layers for rule in layer.allow)


def _rules_for(policy: Policy, stage: str, today: date) -> list[Rule]:
    """The rules that may allow something to ``stage`` today."""
    return [rule for rule in _rules(policy) if rule.holds(stage, today)]


def _doors(rules: Sequence[Rule]) -> list[Door]:
    """A door for each endpoint that a rule names exactly. A name has one address, whatever its ports.

    Where rules of both schemes name one, it is served as http: there each request shows what it is.
    """
    numbers: dict[str, int] = {}
    found: dict[tuple[str, int], Door] = {}
    for pattern in (rule.pattern for rule in rules if not _is_wide(rule)):
        key = _address_inside(pattern.host, numbers), pattern.port
        door = found.get(key)
        if door is None or (door.scheme, pattern.scheme) == ("https", "http"):
            found[key] = Door(pattern.scheme, (pattern.host,), pattern.port, key[0])
        elif pattern.scheme == door.scheme and pattern.host not in door.hosts:
            found[key] = replace(door, hosts=(*door.hosts, pattern.host))
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
