"""The guard: an audit hook that turns a refused connect or look-up into PolicyRefused, and records the Decision.

It explains; it does not guarantee. Python tells an audit hook (PEP 578) what its own ``socket`` module is about to do.
A socket that native code opens, ctypes, a child process and a sub-interpreter are not told of, and a connect that is
given a name is told of after the name was looked up. Only the kernel can make a promise of these refusals.

Sockets of this machine alone are left in peace: unix, netlink (the kernel's own), and the kernel's ciphers. So are
loopback and the unspecified address, which Linux takes for loopback. Every other family is refused, because a policy
has no words for it.
"""

from __future__ import annotations

import atexit
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from operator import index
from typing import TYPE_CHECKING, Any

from codex_core.errors import GuardUnavailable, LedgerUnavailable, PolicyRefused, UrlError
from codex_core.offline.reporter import ADDRESS, LEVEL, Reporter
from codex_core.offline.switches import SWITCHES, set_switches
from codex_core.policy import PROGRAM, Decision, Request, decide
from codex_core.urls import bracketed, canonical_host

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from ipaddress import IPv4Address, IPv6Address

    from codex_core.policy import Policy

_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
_THIS_MACHINE = frozenset({socket.AF_UNIX, socket.AF_NETLINK, socket.AF_ALG})
_PACKETS: dict[int, str] = {socket.SOCK_DGRAM: "UDP", socket.SOCK_RAW: "raw"}
"""What is sent over the internet without a connection."""
_SERVICES = {"http": 80, "https": 443}
_MOST_KNOWN = 4096
_PROBE = "codex_core.offline.guard"


@dataclass(eq=False)
class Guard:
    """Judges this process by ``policy`` until it is closed, or another guard is installed.

    Every connection that is judged hands its Decision to ``record``; a look-up does so only when it is refused, for an
    allowed one is followed by its connection. What ``record`` itself does is not judged, and what it raises stops the
    connection: what cannot be recorded must not go out.
    """

    policy: Policy
    stage: str
    actor: str
    record: Callable[[Decision], None]
    now: Callable[[], datetime]
    _environment: dict[str, str | None] = field(default_factory=dict, repr=False)  # what the switches took the place of
    _decided: dict[tuple[str, date], Decision] = field(default_factory=dict, repr=False)
    _names: dict[str, dict[str, None]] = field(default_factory=dict, repr=False)  # of each address, as looked up here

    def close(self) -> None:
        """Stop judging, and give the switches back. The hook stays: Python has no way to take one out."""
        global _current  # noqa: PLW0603  -- the one guard of the process
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment.clear()
        if _current is self:
            _current = None

    def _reach(self, sock: socket.socket, address: Any) -> None:  # Any: what a caller gave to connect or send
        """``socket.connect``, ``socket.sendto`` and ``socket.sendmsg``; a connected socket sends to None."""
        if address is None or sock.family in _THIS_MACHINE:
            return
        if sock.family not in _INTERNET:
            self._refuse(self._foreign(sock.family, address))
        host, port = _text(address[0]), address[1]
        if sock.type != socket.SOCK_STREAM and not _is_local(host):
            self._refuse(self._not_over_tcp(sock.type, host, port))
        if not _is_local(host) and not self._has_door(host, port):
            hosts = (*self._names.get(_canonical(host), ()), host)
            decision = self._first_allowed(_url(one, port) for one in hosts)
            if not decision.allowed:
                self._refuse(decision)
            self.record(decision)

    def _look_up(self, host: object, port: object = None, *_: object) -> None:
        """``socket.getaddrinfo`` and ``socket.gethostbyname``: a name is looked up for one who may reach it."""
        name = _text(host)
        if host is None or _is_local(name) or _address(name) is not None:
            return
        decision = self._first_allowed(_url(name, one) for one in self._ports(port))
        if not decision.allowed and not self._has_door(name):
            self._refuse(decision)
        self._remember(name)

    def _look_back(self, host: object, port: object = None) -> None:
        """``socket.gethostbyaddr`` and ``socket.getnameinfo``: the name of an address is asked of the network too."""
        name = _text(host)
        if _address(name) is None:
            self._look_up(host, port)
        elif not _is_local(name):
            hosts = (*self._names.get(_canonical(name), ()), name)
            decision = self._first_allowed(_url(one, number) for one in hosts for number in self._ports(port))
            if not decision.allowed:
                self._refuse(decision)

    def _first_allowed(self, urls: Iterable[str]) -> Decision:
        """The first Decision that allows one of ``urls``; if none does, the refusal of the first."""
        now = self.now()
        decisions = [self._decide(url, now) for url in urls]
        return next((decision for decision in decisions if decision.allowed), decisions[0])

    def _decide(self, url: str, now: datetime) -> Decision:
        """What the policy says of a connect on the day of ``now``: the same each time, so it is worked out once."""
        key = url, now.astimezone(UTC).date()
        known = self._decided.get(key)
        if known is None:
            if len(self._decided) >= _MOST_KNOWN:
                self._decided.clear()
            known = decide(self.policy, Request("connect", url, self.stage, self.actor), now=now)
            self._decided[key] = known
        return known

    def _has_door(self, host: str, port: int | None = None) -> bool:
        """Whether a rule leads to ``host`` over plain HTTP: its broker judges each request, by any verb.

        There is none below the level ``kernel``, where a port would be reached without being asked for the verb.
        """
        if not _in_namespace():
            return False
        name = _canonical(host)
        rules = (rule for layer in self.policy.layers for rule in layer.allow)
        plain = [rule for rule in rules if rule.pattern.scheme == "http" and rule.pattern.host == name]
        today = self.now().astimezone(UTC).date()
        return any(rule.holds(self.stage, today) and port in {None, rule.pattern.port} for rule in plain)

    def _ports(self, port: object) -> list[int]:
        """The port that a look-up names; where it names none, any that some rule lets connect to, 443 first."""
        if number := _port(port):
            return [number]
        rules = (rule for layer in self.policy.layers for rule in layer.allow if "connect" in rule.verbs)
        return [443, *sorted({rule.pattern.port for rule in rules} - {443})]

    def _remember(self, name: str) -> None:
        """Note the addresses of ``name``, so that a connect to one of them is judged as a connect to ``name``."""
        with suppress(OSError, UnicodeError):  # a name that has none: the caller's own look-up says so
            for *_, address in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
                self._names.setdefault(_canonical(str(address[0])), {})[name] = None

    def _foreign(self, family: int, address: object) -> Decision:
        name = family.name if isinstance(family, socket.AddressFamily) else f"family {family}"
        return self._wordless(f"a socket of {name}", f"{name.removeprefix('AF_').lower()}:{address!r}")

    def _not_over_tcp(self, kind: int, host: str, port: int) -> Decision:
        """What of the internet no rule can allow: what comes without a connection."""
        name = _PACKETS.get(kind, "other")
        return self._wordless(f"a socket of {name} packets", f"{name.lower()}://{bracketed(host)}:{port}")

    def _wordless(self, what: str, url: str) -> Decision:
        """The refusal of what a policy has no words for."""
        reason = f"a policy judges http and https endpoints, and {what} leads to neither"
        remedy = "reach the endpoint over TCP, and ask for a rule that allows it"
        return Decision("refuse", None, reason, remedy, url, "connect", self.stage, self.policy.digest)

    def _refuse(self, decision: Decision) -> None:
        self.record(decision)
        raise PolicyRefused(decision)


def install(
    policy: Policy, *, stage: str, actor: str, record: Callable[[Decision], None], now: Callable[[], datetime]
) -> Guard:
    """Judge all that this process does with sockets by ``policy``, as ``stage``; replaces the guard before it.

    The switches of codex_core.offline.switches are set as well. GuardUnavailable if another audit hook of this process
    does not let this one in.
    """
    global _current  # noqa: PLW0603  -- the one guard of the process
    _ = policy.digest  # now: a Decision needs it, and an interpreter that ends can import nothing
    with _installing:
        before, _current = _current, Guard(policy, stage, actor, record, now)
        if ADDRESS not in os.environ:  # a seal has set them, but for those that its program was given
            known = before._environment if before else {}
            _current._environment |= {one.name: os.environ.get(one.name) for one in SWITCHES} | known
            set_switches(os.environ)
        if not _hook_answers():
            sys.addaudithook(_hook)
        if not _hook_answers():
            _current = before
            raise GuardUnavailable(
                "the guard's audit hook was refused by another audit hook of this process",
                hint="install the guard before that hook, or run without it",
            )
        return _current


def judge_this_program() -> None:
    """Install the guard in a program that is inside a seal and has not heard of it: its keeper has the policy.

    Without a keeper there is nobody to record what is decided, and nothing is installed; the seal holds all the same.
    """
    address = os.environ.get(ADDRESS)
    if address is None or _current is not None:
        return
    reporter = Reporter(address)
    try:
        stage, policy = reporter.policy()
    except LedgerUnavailable:
        return
    install(policy, stage=stage, actor=PROGRAM, record=reporter.record, now=lambda: datetime.now(UTC))
    atexit.register(reporter.flush)


_current: Guard | None = None
_installing = threading.Lock()
_judging = threading.local()

_WATCHED: dict[str, Callable[..., None]] = {
    "socket.connect": Guard._reach,
    "socket.sendto": Guard._reach,
    "socket.sendmsg": Guard._reach,
    "socket.getaddrinfo": Guard._look_up,
    "socket.gethostbyname": Guard._look_up,
    "socket.gethostbyaddr": Guard._look_back,
    "socket.getnameinfo": lambda guard, address: guard._look_back(*address[:2]),
    _PROBE: lambda _, seen: seen.append(True),
}


def _hook(event: str, args: tuple[Any, ...]) -> None:  # Any: whatever an event brings
    if event not in _WATCHED:  # this is all that almost every event costs
        return
    if (guard := _current) is None or getattr(_judging, "here", False):
        return
    _judging.here = True  # the guard's own look-ups, and what its record does, are not judged
    try:
        _WATCHED[event](guard, *args)
    finally:
        _judging.here = False


def _hook_answers() -> bool:
    seen: list[bool] = []
    sys.audit(_PROBE, seen)
    return bool(seen)


def _text(host: object) -> str:
    """A host as ``socket`` reads it: bytes are ASCII, and a name beyond ASCII is looked up in its xn-- form."""
    if isinstance(host, bytes | bytearray):
        return host.decode("ascii", "backslashreplace")
    text = str(host)
    if not text.isascii():
        with suppress(UnicodeError):
            return text.encode("idna").decode()
    return text


def _port(port: object) -> int | None:
    """The number of a port, however it is given; None where that takes a look at the services of this machine."""
    if isinstance(port, str | bytes | bytearray):
        text = _text(port)
        return int(text) if re.fullmatch("[0-9]{1,5}", text) else _SERVICES.get(text)
    with suppress(TypeError):
        return index(port)  # type: ignore[arg-type]  # None, and what else is no number, raises TypeError
    return None


def _url(host: str, port: int) -> str:
    bare = host.partition("%")[0] if ":" in host else host  # the interface of a link-local address names no endpoint
    return f"{'http' if port == 80 else 'https'}://{bracketed(bare)}:{port}/"


@lru_cache(maxsize=1024)
def _canonical(host: str) -> str:
    """The one spelling of ``host``; itself if it has none, which ``decide`` then refuses."""
    bare = host.partition("%")[0] if ":" in host else host
    try:
        return canonical_host(bracketed(bare))
    except UrlError:
        return host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        return ip_address(_canonical(host))
    return None


def _in_namespace() -> bool:
    return os.environ.get(LEVEL) == "kernel"


def _name_inside() -> str:
    """The machine's own name where /etc/hosts has it as loopback's, as it does in a namespace of a seal."""
    return os.uname().nodename.lower() if _in_namespace() else ""


@lru_cache(maxsize=1024)
def _is_local(host: str) -> bool:
    """Whether ``host`` is this machine itself. In a namespace of its own, its name is loopback's."""
    address = _address(host)
    if address is None:
        return _canonical(host) in {"", "localhost", _name_inside()}
    return address.is_loopback or address.is_unspecified
