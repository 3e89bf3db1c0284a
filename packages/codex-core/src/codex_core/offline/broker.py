"""The broker: the one way out of a seal. It asks the policy for each connection and each request, and goes itself.

It is a process of its own beside the keeper, which forks it when a program first knocks. It accepts on sockets that
listen inside the seal. Behind a door, and by CONNECT at the proxy, it opens a tunnel: that hides verb and path, so it
takes a rule whose verbs include ``connect``, or a connector's code inside, which checks both itself. A plain HTTP
request is judged by its verb and its URL, one for each connection. No redirect is followed: the program asks again.

Names are looked up here, outside, once for the run. An answer that leads to this machine or to a private network is
taken only if a rule names that address.
"""

from __future__ import annotations

import _thread
import errno
import json
import os
import select
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from codex_core.errors import UrlError
from codex_core.offline import linux, resolvers, tunnel
from codex_core.offline.http_body import send_body
from codex_core.offline.http_head import END, LONGEST, Head, Malformed, closing, is_interim, parse_head, split_answer
from codex_core.offline.upstream import LOCALHOST, Unreachable, connect_any, is_loopback, is_public, resolve
from codex_core.policy import Decision, Request, decide
from codex_core.urls import DEFAULT_PORTS, bracketed, parse_url, redacted, respelled, split_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from codex_core.offline.doors import Door
    from codex_core.policy import Policy, Verb
    from codex_core.urls import RequestUrl

_MOST_CONNECTIONS = 512
_STACK = 256 * 1024
_HEAD, _IDLE, _LINGER = 10.0, 600.0, 1.0
"""Seconds: for a request's head, a tunnel in which nothing moves, and a last answer."""
_VERBS: Mapping[str, Verb] = {
    "GET": "read",
    "HEAD": "read",
    "PUT": "write",
    "POST": "write",
    "PATCH": "write",
    "DELETE": "delete",
}
_REASONS = {400: "Bad Request", 403: "Forbidden", 431: "Request Header Fields Too Large", 502: "Bad Gateway"}
_MESSAGE = 65536
_TLS = b"\x16"
"""The first byte of a handshake (RFC 8446, 5.1)."""
_LONGEST_TEXT = 3000
_OF_CONNECTION, _OF_BROKER = 6, 32
"""Descriptors: of a connection, with its other end and two pipes; and of the broker's own, without its listeners."""
_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LET_END = 0.05
"""Seconds to wait for some connection to end, where the machine has no room for another."""


class Refused(Exception):
    """The policy does not allow it: the Decision."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


@dataclass(frozen=True)
class Grant:
    """What was allowed: the rule, the endpoint and the verb. Its connections are counted together."""

    rule: str
    origin: str
    verb: str


class Line:
    """The broker's line to its keeper, one message at a time."""

    def __init__(self, pair: socket.socket) -> None:
        self._pair, self._lock = pair, threading.Lock()

    def record(self, message: Mapping[str, object]) -> None:
        """Have ``message`` recorded; OSError if it is not, and then nothing may go out."""
        if not self.ask(message):
            raise OSError("the keeper cannot record it")

    def tell(self, message: Mapping[str, object]) -> None:
        """Send a message that has no answer."""
        with self._lock:
            self._pair.sendall(json.dumps(message).encode())

    def ask(self, message: Mapping[str, object]) -> Any:  # Any: what the keeper answers
        """Send a message and wait for its answer."""
        with self._lock:
            self._pair.sendall(json.dumps(message).encode())
            return json.loads(self._pair.recv(_MESSAGE))


class Broker:
    """Serves the connections out of one seal, which ``actor`` makes as ``stage``, by ``policy``, ``most`` at a time."""

    def __init__(self, policy: Policy, stage: str, actor: str, line: Line, *, most: int) -> None:
        self._policy, self._stage, self._actor, self._line = policy, stage, actor, line
        self._most = most
        self._free = threading.BoundedSemaphore(most)
        self._found: dict[str, list[str]] = {}
        self._granted: set[Grant] = set()

    def serve(self, listeners: Mapping[int, Door | None], over: int) -> None:
        """Accept on ``listeners``, each with its door, or None for the proxy, until ``over`` is hung up.

        Then wait for what is still going on: with the seal, the other end of every connection has gone.
        """
        poll = select.poll()
        sockets = {number: socket.socket(fileno=number) for number in listeners}
        for number, sock in sockets.items():
            sock.setblocking(False)
            poll.register(number, select.POLLIN)
        poll.register(over, 0)
        while over not in (ready := [number for number, _ in poll.poll()]):
            for number in ready:
                self._accept(sockets[number], listeners[number])
        for _ in range(self._most):
            if not self._free.acquire(timeout=_LINGER):
                return

    def _accept(self, listener: socket.socket, door: Door | None) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if error.errno in _NONE_LEFT:
                time.sleep(_LET_END)
            return
        if not self._free.acquire(blocking=False):
            _reset(connection)
            return
        try:
            _thread.start_new_thread(self._attend, (connection, door))  # a Thread's start() waits until it runs
        except RuntimeError:  # no thread can be had
            self._free.release()
            _reset(connection)

    def _attend(self, connection: socket.socket, door: Door | None) -> None:
        try:
            connection.settimeout(_HEAD)
            if door is not None and door.scheme == "https":
                self._serve_door(connection, door)
            else:
                self._serve_http(connection, door)
        except OSError:
            _reset(connection)
        finally:
            connection.close()
            self._free.release()

    def _serve_door(self, connection: socket.socket, door: Door) -> None:
        """A tunnel to the endpoint of a door; whoever is refused is hung up on, since it speaks no HTTP here."""
        urls = [parse_url(f"https://{bracketed(host)}:{door.port}/") for host in door.hosts]
        try:
            way = self._reach("connect", *urls)
        except (Refused, Unreachable):
            _reset(connection)
            return
        with self._counting(way):
            way.join(connection, both=True)

    def _serve_http(self, connection: socket.socket, door: Door | None) -> None:
        try:
            head, rest = _read_head(connection)
            if head.method == "CONNECT" and door is None:
                self._connect(connection, head, rest)
            else:
                self._forward(connection, head, rest, door)
        except Malformed as fault:
            decision = Decision(
                "refuse", None, f"the request is malformed: {fault.reason}", fault.remedy,
                "proxy" if door is None else f"{door.scheme}://{bracketed(door.hosts[0])}:{door.port}/", "connect",
                self._stage, self._policy.digest, "broker",
            )  # fmt: skip
            self._record(decision)
            _answer(connection, fault.status, {"decision": decision.to_json()})
        except Refused as refusal:
            _answer(connection, 403, {"decision": refusal.decision.to_json()})
        except Unreachable as fault:
            _answer(connection, 502, {"error": str(fault)})

    def _connect(self, connection: socket.socket, head: Head, rest: bytes) -> None:
        """CONNECT HOST:PORT."""
        host, colon, port = head.target.rpartition(":")
        if not colon or not host or not port.isdigit() or set(host) & set("/@?#"):
            raise Malformed("CONNECT takes HOST:PORT")
        url = self._parse("connect", f"https://{head.target}/")
        way = self._reach("connect", url)
        with self._counting(way):
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            way.send(rest)
            way.join(connection, both=True)

    def _forward(self, connection: socket.socket, head: Head, rest: bytes, door: Door | None) -> None:
        """A plain HTTP request: at the proxy with its whole URL, behind a door with its path."""
        text = _whole_url(head, door)
        verb = _VERBS.get(head.method)
        url = self._parse(verb or "write", text)
        if verb is None:
            reason = f"a policy has no verb for the method {head.method}"
            self._refuse("write", str(url), reason, f"the methods are {', '.join(_VERBS)}")
        if head.other_method:
            reason = f"its field {head.other_method} asks for another method than {head.method}, which is judged"
            self._refuse(verb, str(url), reason, "ask by that method itself")
        if door is not None and (url.host not in door.hosts or url.port != door.port):
            self._refuse_behind(door, verb, url)
        way = self._reach(verb, url)
        port = "" if url.port == DEFAULT_PORTS["http"] else f":{url.port}"
        with self._counting(way):
            if head.expects_continue:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            way.send(head.forwarded(split_url(text)[1], f"{bracketed(url.host)}{port}"))
            send_body(connection, way.send, head, rest)
            way.answer(connection)
            way.join(connection, both=False)

    def _refuse_behind(self, door: Door, verb: Verb, url: RequestUrl) -> NoReturn:
        """Refuse what the Host field of a request means, which is not served behind this door: others would answer."""
        served = " and ".join(f"{bracketed(host)}:{door.port}" for host in door.hosts)
        if url.host in door.hosts:
            reason = f"its Host field means the port {url.port}, and {served} is served here"
            self._refuse(verb, str(url), reason, f"send Host: {bracketed(url.host)}:{door.port}")
        decision = self._decide(verb, str(url))
        if not decision.allowed:
            self._record(decision, lasting=True)
            raise Refused(decision)
        self._refuse(verb, str(url), f"{served} is served here, and no other host", "ask for it at the proxy")

    def _parse(self, verb: Verb, text: str) -> RequestUrl:
        """The one meaning of ``text``; what is spelled so that others may read it differently is refused."""
        try:
            url = parse_url(text)
        except UrlError as error:
            self._refuse(verb, redacted(text), error.message, error.hint)
        fault = respelled(url, text)
        if fault is not None:
            self._refuse(verb, str(url), fault, f"ask for {url}")
        return url

    def _reach(self, verb: Verb, *urls: RequestUrl) -> Way:
        """The way to the endpoint of the first of ``urls`` that the policy lets ``verb`` go to.

        Refused if there is none, Unreachable, which the keeper is told, if nobody answers there.
        """
        for url in urls if verb == "connect" else ():
            self._refuse_hiding(url)
        decisions = [self._decide(verb, str(url)) for url in urls]
        url, decision = next(
            (one for one in zip(urls, decisions, strict=True) if one[1].allowed), (urls[0], decisions[0])
        )
        if not decision.allowed:
            self._record(decision, lasting=True)
            raise Refused(decision)
        grant = Grant(decision.rule or "", url.origin, verb)
        if grant not in self._granted:  # before its name is looked up, which goes out as well
            self._line.record({"granted": decision.to_json()})
            self._granted.add(grant)
        try:
            return Way(grant, connect_any(url.origin, self._addresses(verb, url), url.port))
        except Unreachable as fault:
            self._line.tell({"unreached": str(fault)[:_LONGEST_TEXT]})
            raise

    def _refuse_hiding(self, url: RequestUrl) -> None:
        """Refuse a tunnel to what this stage is granted as http."""
        plain, today = replace(url, scheme="http"), datetime.now(UTC).date()
        rules = (rule for layer in self._policy.layers for rule in layer.allows.covering(plain))
        if any(rule.holds(self._stage, today) for rule in rules):
            reason = f"{url.host}:{url.port} is granted as http, where a tunnel would hide verb and path"
            self._refuse("connect", str(url), reason, f"ask for {plain.origin}/, without a tunnel")

    def _addresses(self, verb: Verb, url: RequestUrl) -> list[str]:
        """Where ``url`` leads: what its name was first looked up as, but for what no rule lets a name lead to."""
        if url.address is not None:
            return [url.host]
        refusal = None
        allowed = []
        for address in self._look_up(url.host):
            if is_public(address) or (url.host == LOCALHOST and is_loopback(address)):
                allowed.append(address)
                continue
            at = replace(url, host=address)
            decision = self._decide(verb, str(at))
            if decision.allowed:
                allowed.append(address)
            else:
                reason = f"{url.host} leads to {address}, which is no public address, and no rule names it for {verb}"
                refusal = replace(decision, reason=reason, url=str(url))
        if not allowed and refusal is not None:
            self._record(refusal)
            raise Refused(refusal)
        return allowed

    def _look_up(self, host: str) -> list[str]:
        """The addresses of a name, the same ones for the whole run, whatever a name server says later."""
        if host not in self._found:  # others may look it up meanwhile: the keeper takes the first answer for all
            known = self._line.ask({"pinned": host})
            self._found[host] = known or self._line.ask({"pin": host, "addresses": resolve(host)})
        return self._found[host]

    def _decide(self, verb: Verb, url: str) -> Decision:
        request = Request(verb, url, self._stage, self._actor)
        return decide(self._policy, request, now=datetime.now(UTC), enforced_by="broker")

    def _refuse(self, verb: Verb, url: str, reason: str, remedy: str | None) -> NoReturn:
        decision = Decision("refuse", None, reason, remedy, url, verb, self._stage, self._policy.digest, "broker")
        self._record(decision)
        raise Refused(decision)

    def _record(self, decision: Decision, *, lasting: bool = False) -> None:
        """Have a refusal recorded; ``lasting``: the policy alone says it, whatever a name leads to."""
        self._line.record({"refused": _short(decision).to_json(), "lasting": lasting})

    @contextmanager
    def _counting(self, way: Way) -> Iterator[None]:
        """Count what goes over ``way`` until this is left, however that may be."""
        try:
            yield
        except (OSError, Malformed):
            _reset(way.upstream)  # what came of it so far is not all there is
            raise
        finally:
            way.upstream.close()
            said = {"moved": [way.grant.rule, way.grant.origin, way.grant.verb]}
            self._line.tell({**said, "sent": way.sent, "received": way.received})


class Way:
    """A connection to an endpoint that was allowed, and how many bytes went there and came from there."""

    def __init__(self, grant: Grant, upstream: socket.socket) -> None:
        self.grant, self.upstream = grant, upstream
        self.sent = self.received = 0

    def send(self, data: bytes) -> None:
        """Send ``data`` there."""
        self.upstream.sendall(data)
        self.sent += len(data)

    def answer(self, connection: socket.socket) -> None:
        """Send the head of the answer to ``connection``, so that it says where the connection ends."""
        data, answered = b"", False
        while not answered and len(data) <= LONGEST:
            tunnel.wait(self.upstream, connection, idle=_IDLE)
            more = self.upstream.recv(65536)
            if not more:
                break
            self.received += len(more)
            data += more
            while not answered and (found := split_answer(data)):
                head, data = found
                answered = not is_interim(head)
                connection.sendall(closing(head) if answered else head)
        connection.sendall(data)

    def join(self, connection: socket.socket, *, both: bool) -> None:
        """Move what comes from there to ``connection``, and what it sends there if ``both``, until that has ended."""
        for sock in (self.upstream, connection):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back, there = tunnel.Flow(self.upstream, connection), tunnel.Flow(connection, self.upstream)
        try:
            tunnel.run([there, back] if both else [back], idle=_IDLE)
        finally:
            self.sent += there.moved
            self.received += back.moved


def run(
    listeners: Mapping[int, Door | None],
    policy: Policy,
    *,
    stage: str,
    actor: str,
    pair: socket.socket,
    over: int,
    parent: int,
) -> None:
    """Be the broker of a seal, in a process that the keeper ``parent`` has forked for it.

    It talks to the keeper over ``pair``. It returns soon after ``over`` is hung up, which says that the seal has ended.
    """
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGTSTP,
        signal.SIGUSR1,
        signal.SIGUSR2,
    ):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the program
    resolvers.keep_to_loaded()
    linux.close_all_but((0, 1, 2, pair.fileno(), over, *listeners))
    threading.stack_size(_STACK)
    pair.settimeout(None)
    Broker(policy, stage, actor, Line(pair), most=_capacity(len(listeners))).serve(listeners, over)


def _capacity(listeners: int) -> int:
    """How many connections there are descriptors for; takes as many of these as this user may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = listeners + _OF_BROKER + _MOST_CONNECTIONS * _OF_CONNECTION
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(min((wanted - listeners - _OF_BROKER) // _OF_CONNECTION, _MOST_CONNECTIONS), 1)


def _whole_url(head: Head, door: Door | None) -> str:
    """The URL of a request as it was written: all of it at the proxy, its host and its path behind a door."""
    if door is None:
        if not head.target.lower().startswith("http://"):
            raise Malformed("a request to a proxy has a whole http:// URL; https is asked for by CONNECT")
        return head.target
    if not head.target.startswith("/"):
        raise Malformed("a request behind a door begins with its path")
    if not head.host or set(head.host) & set("/@?#"):
        raise Malformed("its Host field names no host")
    return f"http://{head.host}{head.target}"


def _read_head(connection: socket.socket) -> tuple[Head, bytes]:
    """The head of a request, and what came after it; Malformed if it does not come in time."""
    data = bytearray()
    deadline = time.monotonic() + _HEAD
    while END not in data:
        if len(data) > LONGEST:
            raise Malformed(f"its head is longer than {LONGEST} bytes", 431)
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            more = connection.recv(8192)
        except TimeoutError:
            raise Malformed(f"its head did not come within {_HEAD:.0f} seconds") from None
        if not more:
            raise ConnectionResetError
        data += more
        if data[:1] == _TLS:
            remedy = "ask for http:// here; https:// takes a rule with the verb connect"
            raise Malformed("it is TLS, and what is spoken here is plain HTTP", remedy=remedy)
    head, end, rest = bytes(data).partition(END)
    connection.settimeout(_IDLE)
    return parse_head(head + end), rest


def _short(decision: Decision) -> Decision:
    """``decision`` in so few characters that a message holds it, however they are escaped."""

    def cut(text: str) -> str:
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."

    remedy = None if decision.remedy is None else cut(decision.remedy)
    return replace(decision, url=cut(decision.url), reason=cut(decision.reason), remedy=remedy)


def _answer(connection: socket.socket, status: int, body: Mapping[str, object]) -> None:
    """Answer, and wait a moment until it was read: what is still unread would reset the connection."""
    data = json.dumps(body).encode() + b"\n"
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    head = "\r\n".join([*lines, "Connection: close", "", ""])
    deadline = time.monotonic() + _LINGER
    connection.settimeout(_LINGER)
    with suppress(OSError):
        connection.sendall(head.encode() + data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536) and time.monotonic() < deadline:
            continue


def _reset(connection: socket.socket) -> None:
    """Hang up so that the other end sees a reset and no end of data."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
    connection.close()
