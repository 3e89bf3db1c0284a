"""The limits of a seal that docs/guides/offline.md states, each shown as it is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core import ledger

if TYPE_CHECKING:
    from conftest import AsNobody, Codex

SEALED = [sys.executable, "-m", "codex_cli", "sealed", "--require-guard", "kernel", "--"]
SAY = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.send(b"out")
"""


def listen(path: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    server.settimeout(20)
    return server


def heard(server: socket.socket) -> bytes:
    with server.accept()[0] as connection:
        return connection.recv(16)


def test_a_socket_of_the_host_that_is_bound_before_is_hidden() -> None:
    with tempfile.TemporaryDirectory() as folder, listen(f"{folder}/s"):
        done = subprocess.run([*SEALED, sys.executable, "-c", SAY, f"{folder}/s"], capture_output=True, check=False)
    assert (done.returncode, b"ConnectionRefusedError" in done.stderr) == (1, True)


def test_a_socket_of_the_host_that_is_bound_later_can_be_reached() -> None:
    with tempfile.TemporaryDirectory() as folder:
        words = [*SEALED, sys.executable, "-c", f"print('up', flush=True); input()\n{SAY}", f"{folder}/s"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            with listen(f"{folder}/s") as server:
                process.communicate("\n")
                assert heard(server) == b"out"


def test_a_socket_of_the_host_that_is_bound_by_a_relative_path_can_be_reached(folder: Path) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        server = listen("relative")
    finally:
        os.chdir(before)
    with server:
        subprocess.run([*SEALED, sys.executable, "-c", SAY, str(folder / "relative")], check=True)
        assert heard(server) == b"out"


def test_a_socket_of_the_host_by_another_name_can_be_reached(folder: Path) -> None:
    with listen(str(folder / "s")) as server:
        os.link(folder / "s", folder / "link")
        subprocess.run([*SEALED, sys.executable, "-c", SAY, str(folder / "link")], check=True)
        assert heard(server) == b"out"
        (folder / "s").rename(folder / "moved")
        subprocess.run([*SEALED, sys.executable, "-c", SAY, str(folder / "moved")], check=True)
        assert heard(server) == b"out"


def test_a_named_pipe_can_be_written_to(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    subprocess.run([*SEALED, "sh", "-c", f"echo out > '{folder}/pipe'"], check=True)
    assert os.read(reader, 16) == b"out\n"
    os.close(reader)


def test_a_standard_stream_that_is_a_socket_stays_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as handed:
        subprocess.run([*SEALED, "sh", "-c", "echo out"], stdout=handed.fileno(), check=True)
        assert heard(server) == b"out\n"


def test_what_it_leaves_in_a_file_may_be_run_later_by_somebody_outside(folder: Path) -> None:
    subprocess.run([*SEALED, "sh", "-c", "echo 'echo out' > later.sh"], cwd=folder, check=True)
    assert subprocess.run(["sh", "later.sh"], cwd=folder, capture_output=True, check=True).stdout == b"out\n"


def test_memory_in_dev_shm_is_shared_with_the_host(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as shared:
        subprocess.run([*SEALED, "sh", "-c", f"echo out > {shared.name}"], check=True)
        assert Path(shared.name).read_text() == "out\n"


def test_what_native_code_was_refused_is_counted_and_not_listed(codex: Codex, folder: Path) -> None:
    code = """
import ctypes, socket
outside = b"\\x02\\x00\\x00\\x50\\xc6\\x33\\x64\\x07" + bytes(8)
sock = socket.socket()
assert ctypes.CDLL(None).connect(sock.fileno(), outside, len(outside)) == -1
raise SystemExit(1)
"""
    answer = codex("sealed", "--", sys.executable, "-c", code, XDG_STATE_HOME=str(folder), cwd=folder)
    assert (answer.exit, answer.err) == (
        1,
        "codex: the program tried once to reach a network, and there is none in a seal\n",
    )
    (entry,) = ledger.read(folder / "codex/ledger.ndjson")
    assert (entry.kind, entry.body) == ("unrouted", {"stage": "sealed", "times": 1})


def test_a_set_uid_program_gains_nothing(as_nobody: AsNobody) -> None:
    own = Path(as_nobody("python", "-c", "import os; print(os.getcwd())").stdout.strip()) / "venv/own-id"
    shutil.copy("/usr/bin/id", own)
    own.chmod(0o4755)
    outside = as_nobody("python", "-c", f"import os; os.execv({str(own)!r}, ['id', '-u'])")
    inside = as_nobody("codex", "sealed", "--", str(own), "-u")
    assert (outside.stdout, inside.stdout, inside.stderr) == ("0\n", "65534\n", "")


def test_what_is_reported_from_inside_is_a_claim(codex: Codex, folder: Path) -> None:
    code = """
import os
from codex_core.offline.reporter import Reporter
claim = {"verdict": "allow", "rule": "none", "reason": "because", "remedy": None, "url": "https://a:1/", "verb": "read",
         "stage": "another", "policy": "none", "enforced_by": "kernel"}
Reporter(os.environ["CODEX_KEEPER"]).report(claim)
"""
    assert codex("sealed", "--", sys.executable, "-c", code, XDG_STATE_HOME=str(folder), cwd=folder).exit == 0
    (entry,) = ledger.read(folder / "codex/ledger.ndjson")
    assert (entry.body["stage"], entry.body["reported"]) == ("another", True)


def test_without_namespaces_the_host_s_unix_sockets_can_be_reached(folder: Path) -> None:
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        limited,
        "sh",
        sys.executable,
        "-m",
        "codex_cli",
        "sealed",
    ]
    with listen(str(folder / "s")) as server:
        subprocess.run([*words, "--", sys.executable, "-c", SAY, str(folder / "s")], check=True)
        assert heard(server) == b"out"
