"""What a door costs: connections out of a seal through its broker, beside the same connections made without one.

    tools/hatchw run bench:broker [--rounds N] [--gib N] [--json]

    door, tunnel         connect to an echo server and get one byte back, by a door inside a seal and by CONNECT at its
                         proxy, beside the same outside
    bulk                 bytes a second of a long answer by CONNECT, as a part of what loopback gives outside
    refusal              a connect that the guard inside refuses again and again, which the keeper records and counts,
                         beside a bare connect outside
    decide               one decision by a policy of 100 rules, in microseconds
    memory               the broker's resident memory with 200 open tunnels, in MB

The rounds are interleaved, so that what else the machine does meets all rows alike; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codex_core.policy import Layer, Policy, Request, Rule, decide

TUNNELS = 200
CLIENT = """
import json, socket, sys, time

HEAD = b"CONNECT 127.0.0.1:%d HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"

def connect(how, port):
    if how != "tunnel":
        return socket.create_connection(("127.0.0.1", port))
    sock = socket.create_connection(("127.77.0.1", 3128))
    sock.sendall(HEAD % port)
    answer = b""
    while not answer.endswith(b"\\r\\n\\r\\n"):
        answer += sock.recv(4096)
    return sock

def echo(how, port, times):
    for _ in range(times):
        with connect(how, port) as sock:
            sock.sendall(b"e")
            assert sock.recv(1) == b"e"

def bare(how, port, times):
    for _ in range(times):
        connect(how, port).close()

def refused(how, port, times):
    for _ in range(times):
        with socket.socket() as sock:
            try:
                sock.connect(("198.51.100.7", 443))
            except OSError:
                pass

def bulk(how, port, size):
    buffer = memoryview(bytearray(1 << 20))
    with connect(how, port) as sock:
        sock.sendall(b"g" + size.to_bytes(8, "little"))
        while size:
            size -= sock.recv_into(buffer)

held = []
def hold(how, port, count):
    for _ in range(count):
        held.append(connect(how, port))
        held[-1].sendall(b"e")
        assert held[-1].recv(1) == b"e"

for line in sys.stdin:
    name, *words = json.loads(line)
    began = time.perf_counter()
    globals()[name](*words)
    print(time.perf_counter() - began, flush=True)
"""


@dataclass(frozen=True)
class Row:
    """One measured thing: its median, in what unit, and the most, or for ``bulk`` the least, that it may be."""

    name: str
    value: float
    unit: str
    goal: float

    @property
    def missed(self) -> bool:
        """Whether it is not within its goal."""
        return self.value < self.goal if self.name == "bulk" else self.value > self.goal


def main() -> int:
    """Measure and print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="What a door costs.")
    parser.add_argument("--rounds", type=int, default=20, help="measurements of each row (default: 20)")
    parser.add_argument("--gib", type=float, default=1.0, help="size of the long answer (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.rounds, int(options.gib * 2**30))
    shown = {"python": sys.version.split()[0], "rows": [asdict(row) for row in rows]}
    print(json.dumps(shown) if options.json else table(rows))
    return 0


def measure(folder: Path, rounds: int, size: int) -> list[Row]:
    """The rows."""
    server = Server()
    rule = f'id = "bench"\nurl = "https://127.0.0.1:{server.port}/**"\nverbs = ["connect"]\n'
    (folder / "codex.toml").write_text(f'[pipeline]\nname = "bench"\n[[policy.allow]]\n{rule}')
    sealed = [sys.executable, "-m", "codex_cli", "sealed", "--require-guard", "kernel", "--"]
    with Client([], folder) as outside, Client(sealed, folder) as inside:
        takes = {
            "direct": lambda: outside.take("echo", "direct", server.port, 50),
            "door": lambda: inside.take("echo", "door", server.port, 50),
            "tunnel": lambda: inside.take("echo", "tunnel", server.port, 50),
            "bare": lambda: outside.take("bare", "direct", server.port, 50),
            "refusal": lambda: inside.take("refused", "", 0, 50),
            "bulk direct": lambda: outside.take("bulk", "direct", server.port, size),
            "bulk tunnel": lambda: inside.take("bulk", "tunnel", server.port, size),
            "decide": decisions,
        }
        for take in takes.values():
            take()
        times: dict[str, list[float]] = {name: [] for name in takes}
        for _ in range(rounds):
            for name, take in takes.items():
                times[name].append(take())
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        inside.take("hold", "tunnel", server.port, TUNNELS)
        memory = resident(broker_of(inside.pid))
    return [
        Row("door", round(medians["door"] / medians["direct"], 2), "x", 4.0),
        Row("tunnel", round(medians["tunnel"] / medians["direct"], 2), "x", 4.0),
        Row("bulk", round(medians["bulk direct"] / medians["bulk tunnel"], 2), "x", 0.8),
        Row("refusal", round(medians["refusal"] / medians["bare"], 2), "x", 2.0),
        Row("decide", round(medians["decide"] * 1e6, 1), "us", 20.0),
        Row("memory", round(memory / 1e6, 1), "MB", 40.0),
    ]


def decisions() -> float:
    """Seconds of one decision by 100 rules; each request is another, so that nothing is remembered."""
    rules = tuple(Rule(f"r{n}", f"https://host{n}.example:443/models/**", ("read", "list")) for n in range(100))
    policy, now = Policy((Layer("bench", rules),)), datetime.now(UTC)
    wishes = [Request("read", f"https://host{n % 120}.example:443/models/{n}", "bench") for n in range(2000)]
    decide(policy, wishes[0], now=now)
    began = time.perf_counter()
    for wish in wishes:
        decide(policy, wish, now=now)
    return (time.perf_counter() - began) / len(wishes)


class Client:
    """A Python that makes connections when it is told to, and says how long they took."""

    def __init__(self, under: list[str], folder: Path) -> None:
        environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
        words = [*under, sys.executable, "-c", CLIENT]
        self._process = subprocess.Popen(
            words, cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def take(self, *words: object) -> float:
        """Seconds that these connections took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


class Server:
    """Echoes a byte, or sends as many as it is asked for; a process of its own, so that it costs no client anything."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        if os.fork() == 0:
            self._serve(os.getppid())

    def _serve(self, parent: int) -> None:
        def attend(sock: socket.socket) -> None:
            with sock:
                while word := sock.recv(1):
                    if word == b"e":
                        sock.sendall(word)
                        continue
                    left, data = int.from_bytes(sock.recv(8, socket.MSG_WAITALL), "little"), bytes(1 << 20)
                    while left:
                        left -= sock.send(data[: min(left, len(data))])

        self._listener.settimeout(1)
        while os.getppid() == parent:
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            sock.settimeout(None)
            threading.Thread(target=attend, args=(sock,), daemon=True).start()
        os._exit(0)


def broker_of(keeper: int) -> int:
    """The child of a keeper that is in its network: the other one leads into the seal."""
    network = Path("/proc/self/ns/net").readlink()
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    (pid,) = (int(child) for child in children if Path(f"/proc/{child}/ns/net").readlink() == network)
    return pid


def resident(pid: int) -> int:
    """Bytes of its memory that are in RAM."""
    found: Any = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(found["VmRSS"].split()[0]) * 1024


def table(rows: list[Row]) -> str:
    """The rows for a person."""
    told = (
        f"{row.name:10} {row.value:8.2f} {row.unit:2} {row.goal:>6}{'  missed' if row.missed else ''}" for row in rows
    )
    return "\n".join([f"{'':10} {'value':>8}    {'goal':>6}", *told])


if __name__ == "__main__":
    sys.exit(main())
