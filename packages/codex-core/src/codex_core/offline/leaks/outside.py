"""What stands outside a seal and must not be reached: listeners, a connection, another process, the user's keys.

Each way out has a listener, a part of memory or a signal of its own. So what arrives tells by which way it came.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from codex_core.offline import linux
from codex_core.offline.leaks.ways import WAYS
from codex_core.offline.seccomp import call_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from codex_core.offline.leaks.ways import Target

MARK = b"leaked!!"
"""What is sent, and written into the other process: 8 bytes."""
KEY = "codex-leak-matrix"
"""What a key is called that an attempt leaves with the user."""
_USER_KEYRING, _SEARCH, _UNLINK = -4, 10, 9  # keyctl(2): KEY_SPEC_USER_KEYRING, KEYCTL_SEARCH, KEYCTL_UNLINK
_FAMILIES: Mapping[Target, tuple[int, int, str]] = {
    "tcp": (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, "::1"),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
    "udp6": (socket.AF_INET6, socket.SOCK_DGRAM, "::1"),
}
_KINDS: Mapping[Target, int] = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}
_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
_FOLDERS = {"socket in /run": "/run", "umount": "/run"}
"""Where the ways lead whose sockets are not in /tmp."""
_PATIENCE = 20.0
_OTHER_PROCESS = """
import ctypes, json, signal, socket, sys

mark, slots, port, signals = json.loads(sys.argv[1])
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER: any process of this user may
got, memory = [], ctypes.create_string_buffer(8 * slots)
for number in signals:
    signal.signal(number, lambda number, _: got.append(number))
held = socket.create_connection(("127.0.0.1", port))
print(json.dumps([ctypes.addressof(memory), held.fileno()]), flush=True)
sys.stdin.readline()
print(json.dumps([[memory.raw[8 * n : 8 * n + 8] == mark.encode() for n in range(slots)], got]))
"""


class Outside:
    """Everything that stands outside. A context manager; OSError if this machine has no loopback."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._listeners: dict[str, socket.socket] = {}
        self.absent: dict[str, str] = {}
        """The ways that lead nowhere on this machine, and why."""
        self.spec: dict[str, Any] = {}
        """What an attempt is told of its target, as JSON."""
        self.handed: list[int] = []
        """The descriptors that a seal must not let through."""

    def __enter__(self) -> Outside:
        """Itself, with all of it open."""
        with self._stack:
            for target, opening in _FAMILIES.items():
                for name in _names(target):
                    self._internet(name, *opening)
            self._vsock()
            self._unix()
            self._descriptor()
            self._other_process()
            self._key()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all of it, and end the other process."""
        self._stack.close()

    def arrived(self) -> set[str]:
        """The names of the ways by which something came. To be asked once, after all attempts."""
        found = {name for name, listener in self._listeners.items() if _heard(listener)}
        words, _ = self._process.communicate("report\n", timeout=_PATIENCE)
        memory, signals = json.loads(words)
        found |= {name for name, written in zip(_names("memory"), memory, strict=True) if written}
        found |= {name for name, number in zip(_names("signal"), _SIGNALS, strict=True) if number in signals}
        return found | {name for name in _names("key") if name in self.spec and self._take_key()}

    def _listen(self, name: str, sock: socket.socket, address: Any) -> None:  # Any: as the family has it
        self._stack.enter_context(sock)
        sock.bind(address)
        if sock.type == socket.SOCK_STREAM:
            sock.listen(16)
        sock.setblocking(False)
        self._listeners[name] = sock

    def _internet(self, name: str, family: int, kind: int, host: str) -> None:
        try:
            self._listen(name, socket.socket(family, kind), (host, 0))
        except OSError as error:
            if family == socket.AF_INET:
                raise
            self.absent[name] = f"this machine has no IPv6: {error.strerror}"
        else:
            self.spec[name] = self._listeners[name].getsockname()[1]

    def _vsock(self) -> None:
        try:
            sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            self._listen("vsock", sock, (socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            self.spec["vsock"] = sock.getsockname()[1]
        except OSError as error:
            self.absent["vsock"] = f"this machine has no vsock: {error.strerror}"

    def _unix(self) -> None:
        abstract = f"codex-leaks-{os.urandom(8).hex()}"
        for name in _names("abstract"):
            self._listen(name, socket.socket(socket.AF_UNIX), f"\0{abstract}")
            self.spec[name] = abstract
        for target, kind in _KINDS.items():
            for name in _names(target):
                parent = _FOLDERS.get(name, "/tmp")
                if not os.access(parent, os.W_OK):
                    self.absent[name] = f"this user may not write to {parent}"
                    continue
                folder = tempfile.mkdtemp(prefix=f"codex-leaks-{os.getpid()}-", dir=parent)
                self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
                self.spec[name] = f"{folder}/socket"
                self._listen(name, socket.socket(socket.AF_UNIX, kind), self.spec[name])

    def _descriptor(self) -> None:
        for name in _names("descriptor"):
            self._internet(name, *_FAMILIES["tcp"])
            sock = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.spec[name])))
            sock.set_inheritable(True)
            self.handed.append(sock.fileno())
            self._listeners[name] = self._stack.enter_context(self._listeners[name].accept()[0])
            self._listeners[name].setblocking(False)

    def _other_process(self) -> None:
        (name,) = _names("held")
        self._internet(name, *_FAMILIES["tcp"])
        slots = _names("memory")
        told = json.dumps([MARK.decode(), len(slots), self.spec[name], _SIGNALS])
        words = [sys.executable, "-c", _OTHER_PROCESS, told]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        self._stack.callback(self._end_process)
        assert self._process.stdout is not None
        memory, held = json.loads(self._process.stdout.readline())
        self._listeners[name] = self._stack.enter_context(self._listeners[name].accept()[0])
        self._listeners[name].setblocking(False)
        pid = self._process.pid
        self.spec |= {name: [pid, memory + 8 * at] for at, name in enumerate(slots)}
        self.spec |= {name: [pid, number] for name, number in zip(_names("signal"), _SIGNALS, strict=True)}
        self.spec |= {name: [pid, held], "outside process": pid}

    def _end_process(self) -> None:
        with self._process as process:
            process.kill()

    def _key(self) -> None:
        for name in _names("key"):
            try:
                self._take_key()
                self._stack.callback(self._take_key)
                self.spec[name] = KEY
            except OSError as error:
                self.absent[name] = f"the kernel's keys cannot be used here: {error.strerror}"

    def _take_key(self) -> bool:
        """Whether the key of the matrix was with the user, where it is no more."""
        call = call_number("keyctl")
        try:
            key = linux.call(call, _SEARCH, _USER_KEYRING, b"user", KEY.encode(), 0)
        except OSError as error:
            if error.errno != errno.ENOKEY:
                raise
            return False
        linux.call(call, _UNLINK, key, _USER_KEYRING)
        return True


def _names(target: Target) -> list[str]:
    return [way.name for way in WAYS if way.target == target]


def _heard(sock: socket.socket) -> bool:
    """Whether a client has connected, or anything has come in; the end of a connection is nothing."""
    with suppress(BlockingIOError):
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.accept()[0].close()
            return True
        return bool(sock.recv(64))
    return False
