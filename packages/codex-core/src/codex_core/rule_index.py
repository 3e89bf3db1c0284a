"""The rules of a policy by the endpoints that they cover, so that ``decide`` looks at a few of many rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from codex_core.policy import Rule
    from codex_core.urls import RequestUrl

_Key = tuple[str, int, str | tuple[int, int, int]]
"""Scheme, port, and a host, or ``*.`` and a name, or a network: IP version, prefix length, and the prefix."""

_BITS = {4: 32, 6: 128}


class RuleIndex:
    """``rules``, in their order, found by the origin of a request."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._found: dict[_Key, list[tuple[int, Rule]]] = {}
        self._prefixes: set[tuple[int, int]] = set()
        for order, rule in enumerate(rules):
            pattern = rule.pattern
            host: str | tuple[int, int, int] = pattern.host
            if (network := pattern.network) is not None:
                self._prefixes.add((network.version, network.prefixlen))
                host = _network(network.version, network.prefixlen, int(network.network_address))
            self._found.setdefault((pattern.scheme, pattern.port, host), []).append((order, rule))

    def covering(self, url: RequestUrl) -> Sequence[Rule]:
        """The rules whose pattern covers the origin of ``url``: those for which ``matches_origin`` is true."""
        if not self._found:  # as most policies have no deny
            return ()
        hosts: list[str | tuple[int, int, int]] = [url.host, f"*.{url.host.partition('.')[2]}"]
        if self._prefixes and (address := url.address) is not None:
            value, version = int(address), address.version
            hosts += [_network(version, length, value) for of, length in self._prefixes if of == version]
        found = [entry for host in hosts for entry in self._found.get((url.scheme, url.port, host), ())]
        if len(found) > 1:
            found.sort(key=_order)
        return [rule for _, rule in found]


def _network(version: int, length: int, value: int) -> tuple[int, int, int]:
    return version, length, value >> (_BITS[version] - length)


def _order(entry: tuple[int, Rule]) -> int:
    return entry[0]
