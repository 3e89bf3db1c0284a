"""One door for each rule: unchanged programs reach what a rule allows out of a seal, and nothing else.

Nothing that a program sends to its broker gets out in another meaning, or keeps others waiting.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from codex_core import ledger

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a command names of its own")

SYSTEM_PYTHON = "/usr/bin/python3"
HOSTS = "127.0.0.1 hub.example\n127.0.0.1 one.wide.example\n"
"""What the broker is told when it looks up a name: an address of this machine, which a rule must name as well."""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, redirects, and uploads; notes what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2] or "/closed")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        self.server.asked.append(f"{self.requestline.rpartition(' ')[0]} of {self.headers['Host']}")  # type: ignore[attr-defined]

    def log_message(self, form: str, *words: object) -> None:
        return  # nothing is printed


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), lambda *words: Handler(*words, directory=str(folder)))
        self.asked: list[str] = []
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def serving(folder: Path, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(folder, context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's certificate for the names that are used here, and the file of the authority that signed it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("hub.example", "one.wide.example", "localhost", "127.0.0.1").configure_cert(context)
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return context, file


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What the servers serve: a file, a folder of wheels, and a repository."""
    folder = tmp_path / "served"
    (folder / "open").mkdir(parents=True)
    (folder / "open/weights").write_text("the weights")
    (folder / "closed").write_text("not for everybody")
    return folder


@pytest.fixture
def plain(files: Path) -> Iterator[Server]:
    with serving(files) as server:
        yield server


@pytest.fixture
def secure(files: Path, authority: tuple[ssl.SSLContext, Path]) -> Iterator[Server]:
    with serving(files, authority[0]) as server:
        yield server


class Sealed:
    """``sealed(rules, "curl", ...)``: a command in a seal, with these rules, on a host that knows HOSTS."""

    def __init__(self, folder: Path, etc: Path, authority: Path) -> None:
        self._folder, self.hosts = folder, etc / "hosts"
        self._own = ["unshare", "--mount", "sh", "-c", f"mount --bind '{etc}' /etc && exec \"$@\"", "sh"]
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT")
        self._environ = {**os.environ, **dict.fromkeys(names, str(authority))}

    def __call__(self, rules: str, *words: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        with self.start(rules, *words, under=under) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def run(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of Codex on that host."""
        command = [*self._own, sys.executable, "-m", "codex_cli", *words]
        return subprocess.Popen(
            command, cwd=self._folder, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def start(self, rules: str, *words: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start it, ``under`` another command; the process is the keeper."""
        (self._folder / "codex.toml").write_text(f'[pipeline]\nname = "b"\n{rules}')
        sealed = [sys.executable, "-m", "codex_cli", "sealed", "--require-guard", "kernel", "--"]
        return subprocess.Popen(
            [*self._own, *under, *sealed, *words],
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def sealed(folder: Path, tmp_path: Path, authority: tuple[ssl.SSLContext, Path]) -> Sealed:
    etc = tmp_path / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{HOSTS}")
    return Sealed(folder, etc, authority[1])


def rule(url: str, *verbs: str, name: str = "", more: str = "") -> str:
    made = name or f"r{abs(hash((url, verbs)))}"
    return f'[[policy.allow]]\nid = "{made}"\nurl = "{url}"\nverbs = {json.dumps(list(verbs))}\n{more}\n'


def entries(folder: Path, kind: str) -> list[Mapping[str, object]]:
    path = folder / ".codex/ledger.ndjson"
    return [entry.body for entry in ledger.read(path) if entry.kind == kind] if path.exists() else []


FETCH = {
    "urllib": "import urllib.request as u; print(u.urlopen({url!r}).read().decode())",
    "requests": "import requests; r = requests.get({url!r}); r.raise_for_status(); print(r.text)",
    "httpx": "import httpx; r = httpx.get({url!r}); r.raise_for_status(); print(r.text)",
    "obstore": """
import os
from obstore.store import HTTPStore
base, _, key = {url!r}.rpartition("/")
with open(os.environ["SSL_CERT_FILE"], "rb") as file:
    options = dict(allow_http=True, root_certificate=file.read())
print(bytes(HTTPStore.from_url(base, client_options=options).get(key).bytes()).decode())
""",
}
CLIENTS = ["curl", *FETCH]


def fetching(client: str, url: str) -> list[str]:
    return ["curl", "-sSfL", url] if client == "curl" else [sys.executable, "-c", FETCH[client].format(url=url)]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "hub.example", "one.wide.example"])
def test_plain_http_goes_out_where_a_rule_allows_it(
    client: str, host: str, plain: Server, sealed: Sealed, folder: Path
) -> None:
    """By a door that has the name, or for a name that a wildcard covers, by the proxy."""
    named = "*.wide.example" if host == "one.wide.example" else host
    rules = rule(f"http://{named}:{plain.port}/open/**", "read", name="hub")
    rules += rule(f"http://127.0.0.1:{plain.port}/open/**", "read") if host != "127.0.0.1" else ""
    done = sealed(rules, *fetching(client, f"http://{host}:{plain.port}/open/weights"))
    assert (done.returncode, done.stdout.strip()) == (0, "the weights"), done.stderr
    assert plain.asked == [f"GET /open/weights of {host}:{plain.port}"]
    (grant,) = entries(folder, "grant")
    assert (grant["rule"], grant["verb"], grant["origin"], grant["connections"]) == (
        *("hub", "read", f"http://{host}:{plain.port}", 1),
    )


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "hub.example", "one.wide.example"])
def test_https_goes_out_through_a_tunnel_where_a_rule_allows_connect(
    client: str, host: str, secure: Server, sealed: Sealed, folder: Path
) -> None:
    named = "*.wide.example" if host == "one.wide.example" else host
    rules = rule(f"https://{named}:{secure.port}/**", "connect", name="hub")
    rules += rule(f"https://127.0.0.1:{secure.port}/**", "connect") if host != "127.0.0.1" else ""
    done = sealed(rules, *fetching(client, f"https://{host}:{secure.port}/open/weights"))
    assert (done.returncode, done.stdout.strip()) == (0, "the weights"), done.stderr
    (grant,) = entries(folder, "grant")
    assert (grant["rule"], grant["verb"], grant["origin"]) == ("hub", "connect", f"https://{host}:{secure.port}")
    assert int(str(grant["sent"])) > 100
    assert int(str(grant["received"])) > 100


@pytest.mark.parametrize("client", CLIENTS)
def test_what_no_rule_allows_stays_inside(
    client: str, plain: Server, secure: Server, sealed: Sealed, folder: Path
) -> None:
    rules = rule(f"http://localhost:{plain.port}/open/**", "read") + rule(
        f"http://127.0.0.1:{plain.port}/open/**", "read"
    )
    for url in (f"http://localhost:{plain.port}/closed", f"https://localhost:{secure.port}/open/weights"):
        assert sealed(rules, *fetching(client, url)).returncode != 0
    assert plain.asked == secure.asked == []
    (refusal, *_) = entries(folder, "decision")
    assert (refusal["verdict"], refusal["url"]) == ("refuse", f"http://localhost:{plain.port}/closed")


WRITING = {
    "urllib": "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], b'data', method='PUT'))",
    "requests": "import sys, requests; requests.put(sys.argv[1], data=b'data').raise_for_status()",
    "httpx": "import sys, httpx; httpx.put(sys.argv[1], content=b'data').raise_for_status()",
    "obstore": """
import sys
from obstore.store import HTTPStore
base, _, key = sys.argv[1].rpartition("/")
HTTPStore.from_url(base, client_options=dict(allow_http=True), retry_config={"max_retries": 0}).put(key, b"data")
""",
}
WRITE = {
    "curl": ["curl", "-sSf", "-X", "PUT", "-d", "data"],
    **{name: [sys.executable, "-c", code] for name, code in WRITING.items()},
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", ["127.0.0.1", "one.wide.example"])
def test_no_client_gets_where_its_rule_does_not_lead(
    client: str, host: str, plain: Server, sealed: Sealed, folder: Path
) -> None:
    """By a door and by the proxy: a redirect, a name that leads here, another verb, another day, another stage."""
    named = "*.wide.example" if host == "one.wide.example" else host
    at, other = f"http://{host}:{plain.port}", rule("http://other.example:80/**", "read", name="other")

    def granting(path: str, more: str = "") -> str:
        address = rule(f"http://127.0.0.1:{plain.port}{path}", "read", name="address", more=more)
        return rule(f"http://{named}:{plain.port}{path}", "read", name="hub", more=more) + (
            address if host != "127.0.0.1" else ""
        )

    def is_refused(rules: str, *words: str) -> bool:
        done = sealed(rules + other, *words)
        return done.returncode not in {0, 2}  # 2 would be a mistake in the rules

    assert is_refused(granting("/redirect"), *fetching(client, f"{at}/redirect"))
    assert set(plain.asked) == {f"GET /redirect of {host}:{plain.port}"}
    plain.asked.clear()
    if host != "127.0.0.1":  # nobody has said that it may lead to this machine
        assert is_refused(rule(f"http://{named}:{plain.port}/**", "read"), *fetching(client, f"{at}/open/weights"))
    for more in ("expires = 2020-01-31", 'stages = ["cli"]'):
        assert is_refused(granting("/**", more), *fetching(client, f"{at}/open/weights"))
    assert is_refused(granting("/**"), *WRITE[client], f"{at}/open/x")
    assert plain.asked == []
    assert any(body["verb"] == "write" for body in entries(folder, "decision"))


def test_a_redirect_is_a_new_question(plain: Server, sealed: Sealed) -> None:
    rules = rule(f"http://localhost:{plain.port}/redirect", "read") + rule(f"http://127.0.0.1:{plain.port}/**", "read")
    done = sealed(rules, "curl", "-sSL", f"http://localhost:{plain.port}/redirect?http://localhost:{plain.port}/closed")
    assert "no rule allows read" in done.stdout
    assert plain.asked == [f"GET /redirect?http://localhost:{plain.port}/closed of localhost:{plain.port}"]


def test_a_name_that_leads_to_this_machine_is_refused_unless_a_rule_names_the_address(
    plain: Server, sealed: Sealed
) -> None:
    done = sealed(
        rule(f"http://hub.example:{plain.port}/**", "read"), "curl", "-sS", f"http://hub.example:{plain.port}/"
    )
    decision = json.loads(done.stdout)["decision"]
    assert (
        decision["reason"]
        == "hub.example leads to 127.0.0.1, which is no public address, and no rule names it for read"
    )
    assert f'url = "http://127.0.0.1:{plain.port}/"' in decision["remedy"]
    assert plain.asked == []


@pytest.mark.parametrize("where", ["127.0.0.1", "one.wide.example"])
def test_a_client_that_keeps_its_connections_is_told_that_they_end(where: str, plain: Server, sealed: Sealed) -> None:
    """The server leaves its end open, and says nothing of it."""
    url = f"http://{where}:{plain.port}/open/weights"
    code = f"""
import requests
with requests.Session() as session:
    told = [session.get({url!r}) for _ in range(100)]
print({{(one.text, one.headers["Connection"]) for one in told}})
"""
    rules = "".join(rule(f"http://{host}:{plain.port}/**", "read") for host in ("127.0.0.1", "*.wide.example"))
    done = sealed(rules, sys.executable, "-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "{('the weights', 'close')}"), done.stderr
    assert len(plain.asked) == 100


def test_an_answer_of_several_heads_arrives_as_it_was_sent(sealed: Sealed) -> None:
    parts = [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 O",
        b"K\r\nA: b\r\n\r\nfirst",
        b"\r\n\r\nlast",
    ]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                    time.sleep(0.05)

        thread = threading.Thread(target=answer)
        thread.start()
        done = sealed(rule(f"http://127.0.0.1:{port}/**", "read"), "curl", "-si", f"http://127.0.0.1:{port}/")
        thread.join()
    assert done.stdout == (  # read as text, which ends each line alike
        "HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 200 OK\nA: b\nConnection: close\n\nfirst\n\nlast"
    )


def test_inside_another_seal_a_rule_opens_nothing_and_that_is_said(plain: Server, sealed: Sealed, folder: Path) -> None:
    url = f"http://127.0.0.1:{plain.port}"
    (folder / "inner.toml").write_text(rule(f"{url}/**", "read"))
    inner = [
        sys.executable,
        "-m",
        "codex_cli",
        "sealed",
        "--policy",
        "inner.toml",
        "--",
        "curl",
        "-s",
        f"{url}/open/weights",
    ]
    done = sealed("", *inner)
    assert (done.returncode, plain.asked) == (7, [])
    assert "codex: this ran inside another seal, whose rules hold" in done.stderr


RESET = """
import socket, sys, time

kind, port = sys.argv[1], int(sys.argv[2])
address = ("127.77.0.1", 3128) if kind == "connect" else ("127.0.0.1", port)
with socket.create_connection(address, timeout=20) as sock:
    if kind == "connect":
        sock.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
        assert b" 200 " in sock.recv(4096)
    sock.sendall(f"GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
    got = sock.recv(4096)
    if sys.argv[3] == "here":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
        sock.close()
        time.sleep(10)
    try:
        while more := sock.recv(4096):
            got += more
        print("ended")
    except ConnectionResetError:
        print("reset", got.endswith(b"half of the"))
"""


@pytest.mark.parametrize("kind", ["http", "door", "connect"])
@pytest.mark.parametrize("where", ["there", "here"])
def test_a_reset_is_handed_on_to_the_other_end(kind: str, where: str, sealed: Sealed) -> None:
    seen: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of the")
                time.sleep(0.3)
                if where == "there":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
                    return
                began = time.monotonic()
                with suppress(ConnectionResetError):
                    assert connection.recv(4096) == b"", "a reset, or at least an end"
                seen.append(time.monotonic() - began)

        thread = threading.Thread(target=answer)
        thread.start()
        rules = rule(f"{'http' if kind == 'http' else 'https'}://127.0.0.1:{port}/**", "read", "connect")
        with sealed.start(rules, sys.executable, "-c", RESET, kind, str(port), where) as keeper:
            thread.join()
            if where == "here":
                keeper.terminate()
            out, err = keeper.communicate()
    if where == "there":
        assert (keeper.returncode, out) == (0, "reset True\n"), err
    else:
        assert seen[0] < 5


def test_an_allowed_name_that_cannot_be_looked_up_is_recorded(sealed: Sealed, folder: Path) -> None:
    """To look it up goes out as well."""
    rules = rule("https://*.invalid:443/**", "connect", name="wide")
    assert sealed(rules, "curl", "-s", "https://secret.invalid/").returncode != 0
    (allowed,) = entries(folder, "decision")
    assert (allowed["verdict"], allowed["rule"], allowed["url"]) == ("allow", "wide", "https://secret.invalid:443/")


def test_tls_where_a_rule_grants_http_is_said_at_once(plain: Server, sealed: Sealed, folder: Path) -> None:
    began = time.monotonic()
    done = sealed(rule(f"http://127.0.0.1:{plain.port}/**", "read"), "curl", "-s", f"https://127.0.0.1:{plain.port}/a")
    assert time.monotonic() - began < 8
    assert done.returncode != 0
    assert (
        "it is TLS, and what is spoken here is plain HTTP; ask for http:// here; https:// takes a rule with"
        in done.stderr
    )
    assert plain.asked == []


def test_a_field_that_asks_for_another_method_is_refused(plain: Server, sealed: Sealed, folder: Path) -> None:
    words = ["curl", "-sSf", "-H", "X-HTTP-Method-Override: DELETE", f"http://127.0.0.1:{plain.port}/open/weights"]
    assert sealed(rule(f"http://127.0.0.1:{plain.port}/**", "read"), *words).returncode != 0
    (refusal,) = entries(folder, "decision")
    assert "asks for another method than GET" in str(refusal["reason"])
    assert plain.asked == []


def test_a_packet_without_a_connection_has_no_rule_that_could_allow_it(sealed: Sealed, folder: Path) -> None:
    code = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.7', 443))"
    done = sealed(rule("https://198.51.100.7:443/**", "connect"), sys.executable, "-c", code)
    assert done.returncode == 1
    (refusal,) = entries(folder, "decision")
    assert (refusal["verdict"], refusal["url"]) == ("refuse", "udp://198.51.100.7:443")
    assert "[[policy" not in str(refusal["remedy"])


def test_another_verb_is_refused(plain: Server, sealed: Sealed) -> None:
    rules = rule(f"http://127.0.0.1:{plain.port}/**", "read")
    done = sealed(rules, "curl", "-sS", "-X", "PUT", "-d", "data", f"http://127.0.0.1:{plain.port}/open/x")
    assert json.loads(done.stdout)["decision"]["verb"] == "write"
    assert plain.asked == []


def test_an_upload_arrives_as_it_was_sent(plain: Server, sealed: Sealed, folder: Path) -> None:
    (folder / "data").write_bytes(os.urandom(3_000_000))
    rules = rule(f"http://127.0.0.1:{plain.port}/**", "write")
    words = ["curl", "-sS", "-T", "data", "-o", "back", f"http://127.0.0.1:{plain.port}/x"]
    assert sealed(rules, *words).returncode == 0
    assert (folder / "back").read_bytes() == (folder / "data").read_bytes()
    (grant,) = entries(folder, "grant")
    head = int(str(grant["sent"])) - 3_000_000
    assert (0 < head < 1000, int(str(grant["received"])) > 3_000_000) == (True, True)


def test_every_byte_that_arrives_is_counted(sealed: Sealed, folder: Path) -> None:
    """The head too, in which a program could send as much as in a body, and what was sent before it was given up."""
    got = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection, suppress(ConnectionResetError):  # as what was given up is handed on
                    connection.settimeout(20)
                    while data := connection.recv(65536):
                        got.extend(data)
                        if got.endswith(b"\r\n\r\n") and b"PUT" not in got:
                            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                            break

        thread = threading.Thread(target=take)
        thread.start()
        port = server.getsockname()[1]
        code = f"""
import http.client, socket
connection = http.client.HTTPConnection("127.0.0.1", {port})
connection.request("GET", "/" + "a" * 5000, headers={{"X-More": "b" * 5000}})
print(connection.getresponse().status)
with socket.create_connection(("127.0.0.1", {port})) as broken:
    broken.sendall(b"PUT / HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nContent-Length: 99\\r\\n\\r\\nno more")
"""
        rules = rule(f"http://127.0.0.1:{port}/**", "read", "write")
        done = sealed(rules, sys.executable, "-c", code)
        thread.join()
    assert (done.returncode, done.stdout) == (0, "204\n"), done.stderr
    assert b"no more" in got
    assert sum(int(str(grant["sent"])) for grant in entries(folder, "grant")) == len(got) > 10_000


def test_what_is_allowed_and_cannot_be_reached_is_explained(sealed: Sealed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for scheme, verb, words in (
        ("http", "read", ["curl", "-sf"]),
        ("https", "connect", ["curl", "-s"]),
    ):
        rules = rule(f"{scheme}://127.0.0.1:{port}/**", verb)
        done = sealed(rules, *words, f"{scheme}://127.0.0.1:{port}/")
        assert done.returncode != 0
        why = f"{scheme}://127.0.0.1:{port} cannot be reached: 127.0.0.1: Connection refused"
        assert done.stderr == f"codex: the program was allowed to go somewhere, but {why}\n"


@pytest.mark.parametrize(
    ("more", "why"),
    [("expires = 2020-01-31", "expired on 2020-01-31"), ('stages = ["cli"]', "is only for cli")],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_expired_rule_and_another_stage_s_open_nothing(
    more: str, why: str, host: str, plain: Server, sealed: Sealed, folder: Path
) -> None:
    rules = rule(f"http://{host}:{plain.port}/**", "read", name="hub", more=more)
    done = sealed(rules, "curl", "-s4", f"http://{host}:{plain.port}/open/weights")
    assert done.returncode == 7
    assert plain.asked == []
    origin = f"http://{host}:{plain.port}"
    assert done.stderr == (
        f"codex: the program knocked once in vain at its own loopback, where {origin} of the host is not opened:"
        f" rule 'hub' {why} (codex policy explain {origin}/ --stage sealed)\n"
    )
    (entry,) = entries(folder, "unanswered")
    assert entry == {"stage": "sealed", "times": 1, "of": [{"origin": origin, "rule": "hub", "why": why}]}


def test_a_loopback_that_no_rule_names_is_the_program_s_own_affair(plain: Server, sealed: Sealed, folder: Path) -> None:
    rules = rule(f"http://127.0.0.1:{plain.port}/**", "read")
    done = sealed(rules, "curl", "-s", f"http://127.0.0.1:{plain.port + 1}/")
    told = "codex: the program knocked once in vain at its own loopback, which is not the host's: to that only a rule"
    assert (done.returncode, done.stderr) == (7, f"{told} for it leads\n")
    assert entries(folder, "unanswered") == []


def test_a_rule_for_many_hosts_sends_who_goes_around_the_proxy_there(sealed: Sealed) -> None:
    done = sealed(
        rule("http://198.51.100.0/24:80/**", "read", name="lan"), "curl", "-s", "--noproxy", "*", "http://198.51.100.7/"
    )
    assert "it gets to what rule 'lan' covers by the proxy alone, which http_proxy names" in done.stderr


def test_a_tunnel_to_what_is_granted_as_http_is_refused(plain: Server, sealed: Sealed) -> None:
    url = f"http://127.0.0.1:{plain.port}/**"
    rules = rule(url, "read", "connect") + rule(f"https://*.wide.example:{plain.port}/**", "connect")
    done = sealed(rules, "curl", "-sS", "--noproxy", "", "-p", f"http://127.0.0.1:{plain.port}/closed")
    assert "CONNECT tunnel failed, response 403" in done.stderr
    assert plain.asked == []


def test_https_needs_the_verb_connect(secure: Server, sealed: Sealed, folder: Path) -> None:
    rules = rule(f"https://127.0.0.1:{secure.port}/**", "read")
    assert sealed(rules, "curl", "-sS", f"https://127.0.0.1:{secure.port}/open/weights").returncode != 0
    (refusal,) = entries(folder, "decision")
    assert str(refusal["reason"]).endswith("allows only read")
    assert secure.asked == []


def test_an_address_that_loopback_does_not_have_gets_a_door_too(sealed: Sealed, folder: Path) -> None:
    """The request is refused by the broker, before anything could leave this machine."""
    rules = rule("http://198.51.100.7:80/open/**", "read") + rule("http://[2001:db8::7]:80/open/**", "read")
    for host in ("198.51.100.7", "[2001:db8::7]"):
        done = sealed(rules, "curl", "-sS", "--noproxy", "*", f"http://{host}/closed")
        assert json.loads(done.stdout)["decision"]["url"] == f"http://{host}:80/closed"
    assert len(entries(folder, "decision")) == 2


def test_without_a_rule_there_is_no_proxy_and_no_broker(sealed: Sealed) -> None:
    done = sealed("", "sh", "-c", "env | grep -i ^http.*proxy; curl -sS http://127.77.0.1:3128/")
    assert (done.returncode, done.stdout) == (7, "")


def test_a_name_with_a_door_is_found_by_who_looks_for_other_addresses_than_loopback(sealed: Sealed) -> None:
    """getaddrinfo(3) with AI_ADDRCONFIG looks for nothing where there is no address but 127.0.0.1."""
    done = sealed(rule("http://hub.example:80/**", "read"), "getent", "ahostsv4", "hub.example")
    assert (done.returncode, done.stdout.split()[0]) == (0, "127.77.0.2")


@pytest.fixture
def repository(files: Path, tmp_path: Path) -> str:
    """The path of a repository with one file, which a server serves."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    source, work = files / "open/source", tmp_path / "work"
    subprocess.run([*git, "init", "-q", "--bare", source], check=True)
    subprocess.run([*git, "clone", "-q", source, work], check=True, capture_output=True)
    (work / "file").write_text("words\n")
    for words in (["add", "file"], ["commit", "-qm", "A file"], ["push", "-q", "origin", "HEAD"]):
        subprocess.run([*git, *words], cwd=work, check=True, capture_output=True)
    subprocess.run([*git, "update-server-info"], cwd=source, check=True)
    return "/open/source"


@pytest.fixture
def index(files: Path) -> str:
    """The path of an index with one package, which a server serves."""
    wheel = files / "open/simple/tiny/tiny-1-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "WORD = 'installed'\n")
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            "tiny-1.dist-info/RECORD", "tiny.py,,\ntiny-1.dist-info/METADATA,,\ntiny-1.dist-info/WHEEL,,\n"
        )
    (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return "/open/simple"


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A pip that has no configuration and asks once."""
    venv = tmp_path_factory.mktemp("pip") / "venv"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", venv], check=True, capture_output=True)
    options = ["--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "-q"]
    return ["env", "-u", "PIP_NO_INDEX", str(venv / "bin/python"), "-m", "pip", "--isolated", *options]


@pytest.mark.parametrize("host", ["hub.example", "one.wide.example"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_git_clones(
    scheme: str, host: str, plain: Server, secure: Server, sealed: Sealed, repository: str, folder: Path
) -> None:
    port, verb = (plain.port, "read") if scheme == "http" else (secure.port, "connect")
    named = "*.wide.example" if host == "one.wide.example" else host
    rules = "".join(rule(f"{scheme}://{name}:{port}/**", verb) for name in (named, "127.0.0.1"))
    done = sealed(rules, "git", "clone", "-q", f"{scheme}://{host}:{port}{repository}", "cloned")
    assert done.returncode == 0, done.stderr
    assert (folder / "cloned/file").read_text() == "words\n"
    asked = len(plain.asked + secure.asked)
    refused = sealed(
        rules.replace(f'["{verb}"]', '["write"]'),
        "git",
        "clone",
        "-q",
        f"{scheme}://{host}:{port}{repository}",
        "again",
    )
    assert (refused.returncode, len(plain.asked + secure.asked)) == (128, asked)


@pytest.mark.parametrize("host", ["hub.example", "one.wide.example"])
def test_pip_installs_from_an_index(
    host: str, secure: Server, sealed: Sealed, index: str, pip: list[str], folder: Path
) -> None:
    named = "*.wide.example" if host == "one.wide.example" else host
    rules = "".join(rule(f"https://{name}:{secure.port}/**", "connect") for name in (named, "127.0.0.1"))
    words = [*pip, "install", "--index-url", f"https://{host}:{secure.port}{index}", "--target", "place", "tiny"]
    done = sealed(rules, *words)
    assert done.returncode == 0, done.stderr
    assert (folder / "place/tiny.py").read_text() == "WORD = 'installed'\n"
    secure.asked.clear()
    refused = sealed(rules.replace("connect", "read"), *words)
    assert (refused.returncode, secure.asked) == (1, [])


@pytest.mark.parametrize("client", ["git", "pip"])
@pytest.mark.parametrize("host", ["hub.example", "one.wide.example"])
def test_git_and_pip_do_not_get_where_their_rule_does_not_lead(
    client: str, host: str, plain: Server, sealed: Sealed, repository: str, index: str, pip: list[str]
) -> None:
    """By a door and by the proxy: as the clients above."""
    named = "*.wide.example" if host == "one.wide.example" else host
    at = f"http://{host}:{plain.port}"

    def granting(path: str, verb: str = "read", more: str = "") -> str:
        urls = [f"http://{name}:{plain.port}{path}" for name in (named, "127.0.0.1")]
        return "".join(rule(url, verb, name=f"r{number}", more=more) for number, url in enumerate(urls))

    def works(rules: str, path: str) -> bool:
        plain.asked.clear()
        words = ["git", "clone", "-q", f"{at}{path}", f"cloned-{os.urandom(4).hex()}"]
        if client == "pip":
            words = [*pip, "download", "-d", "got", "--index-url", f"{at}{path}", "--trusted-host", host, "tiny"]
        return sealed(rules + rule("http://other.example:80/**", "read", name="other"), *words).returncode == 0

    served = repository if client == "git" else index
    assert works(granting("/open/**"), served)
    assert not works(granting("/redirect"), f"/redirect?http://localhost:{plain.port}{served}")
    assert {line.partition("?")[0] for line in plain.asked} == {"GET /redirect"}
    for rules in (
        granting("/other/**"),
        granting("/open/**", "write"),
        granting("/open/**", more="expires = 2020-01-31"),
        granting("/open/**", more='stages = ["cli"]'),
        rule(f"http://{named}:{plain.port}/**", "read"),  # it leads to this machine, which nobody has allowed
    ):
        assert not works(rules, served)
        assert plain.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "one.wide.example"])
def test_obstore_keeps_objects_in_s3(host: str, sealed: Sealed, folder: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        env={**os.environ, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"},  # one.wide.example is no bucket of wide.example
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    code = f"""
from obstore.store import S3Store
options = dict(endpoint="http://{host}:{port}", access_key_id="k", secret_access_key="s", region="us-east-1")
store = S3Store("models", **options, client_options=dict(allow_http=True))
store.put("llm/a b", b"the weights" * 1000000)
print(len(store.get("llm/a b").bytes()), [one["path"] for batch in store.list("llm") for one in batch])
try:
    S3Store("others", **options, client_options=dict(allow_http=True)).get("x")
except Exception as error:
    print("refused" if "403" in str(error) else error)
"""
    named = "*.wide.example" if host == "one.wide.example" else host
    rules = "".join(
        rule(f"http://{name}:{port}/models/**", "read", "write") + rule(f"http://{name}:{port}/models", "read")
        for name in dict.fromkeys((named, "127.0.0.1"))
    )
    try:
        wait_for_port(port)
        subprocess.run(
            ["curl", "-sSf", "-X", "PUT", f"http://127.0.0.1:{port}/models"], check=True, capture_output=True
        )
        done = sealed(rules, sys.executable, "-c", code)
    finally:
        server.kill()
        server.wait()
    assert (done.returncode, done.stdout.splitlines()) == (0, ["11000000 ['llm/a b']", "refused"]), done.stderr
    sent = {body["verb"]: body["sent"] for body in entries(folder, "grant")}
    assert int(str(sent["write"])) >= 11_000_000 > 10_000 > int(str(sent["read"]))


@pytest.mark.parametrize("with_tls", [True, False])
@pytest.mark.parametrize("host", ["hub.example", "one.wide.example"])
def test_grpc_calls_a_method(
    with_tls: bool, host: str, sealed: Sealed, authority: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    import grpc  # type: ignore[import-untyped]

    ca = trustme.CA()
    own = ca.issue_cert(host)
    (tmp_path / "grpc.pem").write_bytes(ca.cert_pem.bytes())
    server = grpc.server(futures.ThreadPoolExecutor(2))
    called: list[bytes] = []

    def answer(request: bytes, _: object) -> bytes:
        called.append(request)
        return request[::-1]

    echo = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("s.S", {"Echo": echo})])
    pair = (own.private_key_pem.bytes(), b"".join(one.bytes() for one in own.cert_chain_pems))
    if with_tls:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    code = f"""
import grpc
with open({str(tmp_path / "grpc.pem")!r}, "rb") as file:
    trusted = grpc.ssl_channel_credentials(file.read())
tls = {with_tls}
with grpc.secure_channel("{host}:{port}", trusted) if tls else grpc.insecure_channel("{host}:{port}") as channel:
    print(channel.unary_unary("/s.S/Echo")(b"abc", timeout=20).decode())
"""
    named = "*.wide.example" if host == "one.wide.example" else host
    rules = rule(f"https://{named}:{port}/**", "connect") + rule(f"https://127.0.0.1:{port}/**", "connect")
    try:
        done = sealed(rules, sys.executable, "-c", code)
        assert (done.returncode, done.stdout) == (0, "cba\n"), done.stderr
        called.clear()
        for others in (
            rules.replace(f":{port}/", f":{port - 1}/"),
            rules.replace("connect", "read"),
            rules.replace('["connect"]', '["connect"]\nexpires = 2020-01-31'),
            rules.replace('["connect"]', '["connect"]\nstages = ["cli"]'),
            rule(f"https://{named}:{port}/**", "connect"),  # it leads to this machine, which nobody has allowed
        ):
            refused = sealed(others, sys.executable, "-c", code.replace("timeout=20", "timeout=3"))
            assert (refused.returncode, refused.stdout, called) == (1, "", []), refused.stderr
    finally:
        server.stop(None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on {port}")


def test_a_broker_that_is_killed_leaves_everything_refused_and_that_is_said(
    plain: Server, sealed: Sealed, folder: Path
) -> None:
    code = f"""
import os, time, urllib.request
url = "http://127.0.0.1:{plain.port}/open/weights"
print(urllib.request.urlopen(url).read().decode())
open("used", "w").close()
while os.path.exists("used"):
    time.sleep(0.05)
try:
    urllib.request.urlopen(url)
except OSError as error:
    raise SystemExit(str(error))
"""
    rules = rule(f"http://127.0.0.1:{plain.port}/**", "read", name="hub")
    with sealed.start(rules, sys.executable, "-c", code) as keeper:
        while not (folder / "used").exists():
            time.sleep(0.05)
        os.kill(broker_of(keeper.pid), signal.SIGKILL)
        (folder / "used").unlink()
        _, err = keeper.communicate()
    assert keeper.returncode == 1
    assert "Connection re" in err  # refused, or reset where it was still on its way
    assert "codex: the broker was ended while this ran, and from then on everything was refused" in err
    (grant,) = entries(folder, "grant")  # what it had told until then
    assert (grant["rule"], grant["connections"]) == ("hub", 1)
    assert entries(folder, "broker_ended") == [{"stage": "sealed"}]
    assert len(entries(folder, "unanswered")) <= 1  # the second request was refused, or reset where it was on its way


def broker_of(keeper: int) -> int:
    """The child of a keeper that shares its network: the others are inside a seal."""
    network = Path("/proc/self/ns/net").readlink()
    (children,) = (path.read_text().split() for path in Path(f"/proc/{keeper}/task").glob("*/children"))
    (pid,) = (int(child) for child in children if Path(f"/proc/{child}/ns/net").readlink() == network)
    return pid


def test_two_stages_at_once_have_doors_of_their_own(plain: Server, sealed: Sealed, folder: Path) -> None:
    stages = "".join(
        f'[stages.{name}]\ncommand = "for path in a b; do curl -sS http://127.0.0.1:{plain.port}/$path >> {name}.txt;'
        f' echo >> {name}.txt; done; sleep 1"\noutputs = ["{name}.txt"]\n'
        for name in ("a", "b")
    )
    (folder / "codex.toml").write_text(
        '[pipeline]\nname = "p"\n'
        + "".join(
            rule(f"http://127.0.0.1:{plain.port}/{name}", "read", name=name, more=f'stages = ["{name}"]')
            for name in "ab"
        )
        + stages
    )
    done = subprocess.run(
        [sys.executable, "-m", "codex_cli", "run", "--jobs", "2"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    asked = sorted(plain.asked)
    assert asked == [f"GET /{name} of 127.0.0.1:{plain.port}" for name in "ab"]
    refused = {(body["stage"], body["url"]) for body in entries(folder, "decision") if body["verdict"] == "refuse"}
    assert refused == {
        ("a", f"http://127.0.0.1:{plain.port}/b"),
        ("b", f"http://127.0.0.1:{plain.port}/a"),
    }


def test_an_address_that_one_stage_found_is_that_of_the_next(plain: Server, sealed: Sealed, folder: Path) -> None:
    fetch = f"curl -sSf http://hub.example:{plain.port}/open/weights"
    (folder / "codex.toml").write_text(
        '[pipeline]\nname = "p"\n'
        + rule(f"http://hub.example:{plain.port}/**", "read")
        + rule(f"http://127.0.0.0/8:{plain.port}/**", "read")
        + f'[stages.a]\ncommand = "{fetch} > a; sleep 2"\noutputs = ["a"]\n'
        + f'[stages.b]\ncommand = "{fetch} > b"\ninputs = ["a"]\noutputs = ["b"]\n'
    )
    with sealed.run("run") as running:
        while not plain.asked:
            time.sleep(0.05)
        sealed.hosts.write_text("127.0.0.1 localhost\n127.0.0.2 hub.example\n")
        _, err = running.communicate()
    assert running.returncode == 0, err
    assert len(plain.asked) == 2


RAW = """
import json, socket, sys

answers = []
for data in json.loads(sys.argv[2]):
    with socket.create_connection(("127.77.0.1" if sys.argv[1] == "proxy" else "127.0.0.1", int(sys.argv[3]))) as sock:
        sock.settimeout(20)
        sock.sendall(data.encode("latin-1"))
        answer = b""
        try:
            while more := sock.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
        answers.append(answer.decode("latin-1").partition("\\r\\n")[0])
print(json.dumps(answers))
"""
SPELLED = [
    ("GET", "http://127.0.0.1:{port}/open/x#secret", 403),
    ("GET", "http://127.0.0.1:{port}/open/.", 403),
    ("GET", "http://127.0.0.1:{port}/open/a/..", 403),
    ("GET", "http://127.0.0.1:{port}/open/a/%2E%2e?q", 403),
    ("GET", "http://127.0.0.1:{port}/open;/../closed", 403),
    ("GET", "http://127.0.0.1:{port}/closed;a/../open/x", 403),
    ("GET", "http://127.0.0.1:{port}/open/../closed", 403),
    ("GET", "http://127.0.0.1:{port}/open/%2e%2e/closed", 403),
    ("GET", "http://127.0.0.1:{port}/open/.%2e/closed", 403),
    ("GET", "http://127.0.0.1:{port}/open/..%2fclosed", 403),
    ("GET", "http://127.0.0.1:{port}/open/..\\closed", 403),
    ("GET", "http://127.1:{port}/open/weights", 403),
    ("GET", "http://2130706433:{port}/open/weights", 403),
    ("GET", "http://0x7f000001:{port}/open/weights", 403),
    ("GET", "http://0177.0.0.1:{port}/open/weights", 403),
    ("GET", "http://[::ffff:127.0.0.1]:{port}/open/weights", 403),
    ("GET", "http://user@127.0.0.1:{port}/open/weights", 403),
    ("GET", "http://127.0.0.1:{port}@other.example/open/weights", 403),
    ("GET", "http://other.example/open/weights", 403),
    ("GET", "//127.0.0.1:{port}/open/weights", 400),
    ("GET", "/open/weights", 400),
    ("GET", "https://127.0.0.1:{port}/open/weights", 400),
    ("GET", "file:///etc/passwd", 400),
    ("GET", "http://", 403),
    ("TRACE", "http://127.0.0.1:{port}/open/weights", 403),
    ("PROPFIND", "http://127.0.0.1:{port}/open/weights", 403),
    ("DELETE", "http://127.0.0.1:{port}/open/weights", 403),
    ("CONNECT", "127.0.0.1:{port}", 403),
    ("CONNECT", "127.0.0.1", 400),
    ("CONNECT", "http://127.0.0.1:{port}/", 400),
    ("CONNECT", "127.0.0.1:{port}/../", 400),
    ("CONNECT", "[::1]:{port}", 403),
]


@pytest.fixture
def rules(plain: Server) -> str:
    return rule(f"http://127.0.0.1:{plain.port}/open/**", "read", "write", "connect", name="hub")


def send(sealed: Sealed, rules: str, where: str, port: int, requests: list[str]) -> list[str]:
    done = sealed(rules, sys.executable, "-c", RAW, where, json.dumps(requests), str(port))
    assert done.returncode == 0, done.stderr
    return [str(answer) for answer in json.loads(done.stdout)]


def test_a_target_that_is_spelled_otherwise_is_refused_and_recorded(
    plain: Server, sealed: Sealed, rules: str, folder: Path
) -> None:
    lines = [f"{method} {target.format(port=plain.port)} HTTP/1.1\r\nHost: x\r\n\r\n" for method, target, _ in SPELLED]
    answers = send(sealed, rules, "proxy", 3128, lines)
    expected = [f"HTTP/1.1 {status}" for _, _, status in SPELLED]
    assert [answer[:12] for answer in answers] == expected
    assert plain.asked == []
    recorded = entries(folder, "decision")
    assert {body["verdict"] for body in recorded} == {"refuse"}
    assert len(recorded) == len(SPELLED)


@pytest.mark.parametrize("letter", ['"', "a", "%7E"])
def test_a_request_of_any_length_is_refused_and_recorded(
    letter: str, plain: Server, sealed: Sealed, rules: str, folder: Path
) -> None:
    target = f"http://127.0.0.1:{plain.port}/closed{letter * (7900 // len(letter))}"
    answers = send(sealed, rules, "proxy", 3128, [f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"])
    assert answers[0][:12] == "HTTP/1.1 403"
    (refusal,) = entries(folder, "decision")
    assert refusal["verdict"] == "refuse"
    assert str(refusal["url"]).startswith(f"http://127.0.0.1:{plain.port}/closed")


@pytest.mark.parametrize("path", ["/open/weights", "/%6fpen/weights", "/open/weights?a=/../b"])
def test_a_target_that_others_read_alike_is_sent_on_as_it_is(path: str, plain: Server, sealed: Sealed) -> None:
    rules = "".join(rule(f"http://{host}:{plain.port}/open/**", "read") for host in ("hub.example", "127.0.0.1"))
    request = f"GET http://HUB.example.:{plain.port}{path} HTTP/1.1\r\nHost: x\r\n\r\n"
    assert send(sealed, rules, "proxy", 3128, [request]) == ["HTTP/1.1 200 OK"]
    assert plain.asked == [f"GET {path} of hub.example:{plain.port}"]


def test_where_rules_of_both_schemes_name_a_port_each_request_is_judged(
    plain: Server, sealed: Sealed, folder: Path
) -> None:
    at = f"127.0.0.1:{plain.port}"
    rules = rule(f"https://{at}/**", "connect") + rule(f"http://{at}/open/**", "read")
    lines = [f"GET /{path} HTTP/1.1\r\nHost: {at}\r\n\r\n" for path in ("closed", "open/weights")]
    assert [answer[9:12] for answer in send(sealed, rules, "door", plain.port, lines)] == ["403", "200"]
    (answer,) = send(sealed, rules, "proxy", 3128, [f"CONNECT {at} HTTP/1.1\r\nHost: x\r\n\r\n"])
    assert answer[9:12] == "403"


def test_a_password_or_a_query_is_never_recorded(plain: Server, sealed: Sealed, folder: Path) -> None:
    at, fields = f"127.0.0.1:{plain.port}", "Authorization: Bearer hunter2\r\nCookie: hunter2\r\n"
    lines = [
        f"GET http://{target} HTTP/1.1\r\nHost: {at}\r\n{fields}\r\n"
        for target in (
            f"{at}/open/weights?token=hunter2",
            f"{at}/closed?token=hunter2",
            f"user:hunter2@{at}/open/weights",
            f"{at}/open/x#hunter2",
        )
    ]
    rules = rule(f"http://{at}/open/**", "read")
    assert [answer[9:12] for answer in send(sealed, rules, "proxy", 3128, lines)] == ["200", "403", "403", "403"]
    assert len(entries(folder, "decision")) == 4
    assert b"hunter2" not in (folder / ".codex/ledger.ndjson").read_bytes()


SMUGGLED = "GET /closed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BODIES = [
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", f"0\r\n\r\n{SMUGGLED}"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", f"0\r\n\r\n{SMUGGLED}"),
    ("Transfer-Encoding : chunked\r\n", f"0\r\n\r\n{SMUGGLED}"),
    ("Transfer-Encoding:\x0bchunked\r\n", f"0\r\n\r\n{SMUGGLED}"),
    ("Content-Length: 0\r\nContent-Length: 44\r\n", SMUGGLED),
    ("Content-Length: 0\n", SMUGGLED),
    ("X: a\n\nGET /closed HTTP/1.1\r\n", ""),
    ("Transfer-Encoding: chunked\r\n", f"0;\n\r\n\r\n{SMUGGLED}"),
    ("Transfer-Encoding: chunked\r\n", f"0\r\nX: a\r\n\r\n{SMUGGLED}"),
    ("Transfer-Encoding: chunked\r\n", f"3\r\nabcd\r\n0\r\n\r\n{SMUGGLED}"),
]


@pytest.mark.parametrize("where", ["proxy", "door"])
def test_no_second_request_is_smuggled_past_the_policy(where: str, sealed: Sealed) -> None:
    """The server notes every byte, answers at once, and closes nothing by itself."""
    came: list[bytes] = []

    def note(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                came.append(b"")
                with connection, suppress(OSError):
                    connection.settimeout(0.3)
                    while data := connection.recv(65536):
                        came[-1] += data
                        if came[-1].endswith((b"\r\n\r\n", b"abc")):
                            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=note, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        at = f"127.0.0.1:{port}"
        target = f"http://{at}/open/x" if where == "proxy" else "/open/x"
        lines = [f"PUT {target} HTTP/1.1\r\nHost: {at}\r\n{fields}\r\n{body}" for fields, body in BODIES]
        lines += [f"GET {target} HTTP/1.1\r\nHost: {at}\r\n\r\n{SMUGGLED}"]
        lines += [f"PUT {target} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 3\r\n\r\nabc{SMUGGLED}"]
        rules = rule(f"http://{at}/open/**", "read", "write")
        answers = send(sealed, rules, where, 3128 if where == "proxy" else port, lines)
        server.shutdown(socket.SHUT_RDWR)
    assert [answer[9:12] for answer in answers[:7]] == ["400"] * 7
    assert [answer[9:12] for answer in answers[-2:]] == ["200", "200"]
    heads = [f"{method} /open/x HTTP/1.1\r\nHost: {at}\r\n".encode() for method in ("PUT", "PUT", "PUT", "GET", "PUT")]
    assert [data[: len(head)] for data, head in zip(came, heads, strict=True)] == heads
    assert not any(b"closed" in data or data.count(b" HTTP/1.1") != 1 for data in came)
    assert came[-1].endswith(b"\r\n\r\nabc")


def test_behind_a_door_no_other_host_can_be_named(plain: Server, sealed: Sealed, rules: str, folder: Path) -> None:
    lines = [
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        for target, host in [
            ("/open/weights", "other.example"),
            ("/open/weights", f"other.example:{plain.port}"),
            ("/open/weights", f"127.0.0.1:{plain.port + 1}"),
            ("/open/weights", f"localhost:{plain.port}"),
            ("/open/weights", "127.0.0.1"),
            ("/open/weights#x", f"127.0.0.1:{plain.port}"),
            ("/open/weights", f"127.0.0.1:{plain.port}/"),
            (f"http://other.example:{plain.port}/open/weights", f"127.0.0.1:{plain.port}"),
            ("*", f"127.0.0.1:{plain.port}"),
        ]
    ]
    answers = send(sealed, rules, "door", plain.port, lines)
    assert [answer[9:12] for answer in answers] == ["403"] * 6 + ["400"] * 3
    assert plain.asked == []
    asked, portless = entries(folder, "decision")[3:5]
    assert portless["remedy"] == f"send Host: 127.0.0.1:{plain.port}"
    assert asked["url"] == f"http://localhost:{plain.port}/open/weights"
    assert f'url = "http://localhost:{plain.port}/open/weights"' in str(asked["remedy"])


CROWD = """
import socket, sys, threading, time, urllib.request

port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}/open/weights"
silent = [socket.create_connection(("127.77.0.1", 3128)) for _ in range(200)]  # they never say a word
began = time.monotonic()
dripping = socket.create_connection(("127.77.0.1", 3128))

def drip():
    try:
        while True:
            dripping.sendall(b"G")
            time.sleep(0.5)
    except OSError:
        print("dripping", time.monotonic() - began < 20, flush=True)

threading.Thread(target=drip).start()
print(urllib.request.urlopen(url).read().decode(), flush=True)
for sock in silent:
    sock.close()

answers = []
def fetch():
    for _ in range(20):
        try:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(f"GET /open/weights HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
                answer = b"".join(iter(lambda: sock.recv(65536), b""))
                if answer.endswith(b"the weights"):
                    answers.append(True)
                    return
        except OSError:
            time.sleep(0.2)  # too many at a time: some are hung up on

threads = [threading.Thread(target=fetch) for _ in range(500)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(answers), flush=True)
"""


def test_silent_slow_and_many_connections_keep_nobody_waiting(plain: Server, sealed: Sealed, rules: str) -> None:
    done = sealed(rules, sys.executable, "-c", CROWD, str(plain.port))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["500", "dripping True", "the weights"]


CLIENT = """
import ssl, urllib.request
from codex_core.storage import ObjectInfo
class Client:
    contract = 1
    def __init__(self, config):
        self.base = config.url
    def fetch(self, key):
        return urllib.request.urlopen(f"{self.base}/{key}").read()
    async def stat(self, key):
        return ObjectInfo(key, len(self.fetch(key)))
    async def scan(self, prefix=""):
        yield ObjectInfo("weights", len(self.fetch("weights")))
    async def read(self, key, *, start=0, end=None):
        yield self.fetch(key)[start:end]
    async def write(self, key, chunks, *, if_absent=False):
        raise NotImplementedError
    async def delete(self, key):
        raise NotImplementedError
"""


@pytest.mark.parametrize("verbs", [("read", "list"), ("read",)])
def test_a_built_in_connector_stage_gets_a_tunnel_by_the_verbs_that_its_code_checks(
    verbs: tuple[str, ...], secure: Server, folder: Path, authority: tuple[ssl.SSLContext, Path]
) -> None:
    """And nobody else: not a command, not another stage, and not for what the rule's verbs do not cover."""
    info = folder / "client-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: client\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[codex.connectors]\nhttps = https_client:Client\n")
    (folder / "https_client.py").write_text(CLIENT)
    url = f"https://127.0.0.1:{secure.port}/open"
    (folder / "codex.toml").write_text(
        '[pipeline]\nname = "p"\n'
        + rule(f"{url}/**", *verbs, name="hub")
        + f'[stores.m]\nurl = "{url}"\n'
        + '[stages.pulled]\nuses = "connectors.pull"\nwith = { from = "store://m" }\noutputs = ["pulled"]\n'
        + f'[stages.other]\ncommand = "curl -sS {url}/weights > other"\noutputs = ["other"]\n'
    )
    environ = {**os.environ, "SSL_CERT_FILE": str(authority[1]), "PYTHONPATH": str(folder)}
    for stage in ("pulled", "other"):
        subprocess.run(
            [sys.executable, "-m", "codex_cli", "run", "--only", stage],
            cwd=folder,
            env=environ,
            capture_output=True,
            check=False,
        )
    if "list" in verbs:
        assert (folder / "pulled/weights").read_text() == "the weights"
        assert set(secure.asked) == {f"GET /open/weights of 127.0.0.1:{secure.port}"}
    else:
        assert not (folder / "pulled").exists()
        assert secure.asked == []
    assert not (folder / "other").exists()
    refused = {(body["stage"], body["verb"]) for body in entries(folder, "decision") if body["verdict"] == "refuse"}
    assert refused == {("other", "connect"), *([] if "list" in verbs else [("pulled", "list")])}


@pytest.mark.parametrize("client", [*CLIENTS, "git", "pip"])
def test_a_name_keeps_the_addresses_that_it_had_first(
    client: str, plain: Server, sealed: Sealed, folder: Path, repository: str, index: str, pip: list[str]
) -> None:
    """The name server says something else later, in the same run: to this machine's other address."""
    at = f"http://hub.example:{plain.port}"
    words = {
        "git": ["git", "ls-remote", f"{at}{repository}"],
        "pip": [*pip, "download", "-qd", "got", "--index-url", f"{at}{index}", "--trusted-host", "hub.example", "tiny"],
    }.get(client) or fetching(client, f"{at}/open/weights")
    twice = '"$@" && touch used && while [ -e used ]; do sleep 0.05; done && "$@"'
    with Server.__new__(Server) as other:
        http.server.ThreadingHTTPServer.__init__(
            other, ("127.0.0.2", plain.port), lambda *words: Handler(*words, directory=str(folder))
        )
        other.asked = []
        threading.Thread(target=other.serve_forever, daemon=True).start()
        rules = rule(f"{at}/**", "read") + rule(f"http://127.0.0.0/8:{plain.port}/**", "read")
        with sealed.start(rules, "sh", "-c", twice, "sh", *words) as keeper:
            while not (folder / "used").exists():
                assert keeper.poll() is None, keeper.communicate()
                time.sleep(0.05)
            first = len(plain.asked)
            sealed.hosts.write_text("127.0.0.1 localhost\n127.0.0.2 hub.example\n")
            (folder / "used").unlink()
            _, err = keeper.communicate()
        other.shutdown()
    assert keeper.returncode == 0, err
    assert len(plain.asked) > first > 0
    assert other.asked == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", ["127.0.0.1", "hub.example", "one.wide.example"])
def test_over_https_no_client_gets_where_its_rule_does_not_lead(
    client: str, host: str, plain: Server, secure: Server, sealed: Sealed, folder: Path
) -> None:
    """By a door and by the proxy, where test_https_goes_out_... has the rules that lead there."""
    named = "*.wide.example" if host == "one.wide.example" else host
    at = f"https://{host}:{secure.port}"

    def is_refused(path: str = "/open/weights", more: str = "", names: Sequence[str] = (named, "127.0.0.1")) -> bool:
        rules = [
            rule(f"https://{name}:{secure.port}/**", "connect", name=f"r{n}", more=more) for n, name in enumerate(names)
        ]
        broker = rule("http://127.0.0.3:9/**", "read", name="other")
        return sealed("".join(rules) + broker, *fetching(client, f"{at}{path}")).returncode not in {0, 2}

    assert is_refused(more="expires = 2020-01-31")
    assert is_refused(more='stages = ["cli"]')
    if host != "127.0.0.1":  # nobody has said that it may lead to this machine
        assert is_refused(names=[named])
        assert "which is no public address" in str(entries(folder, "decision")[-1]["reason"])
    assert secure.asked == []
    if client != "obstore":  # which takes no query
        assert is_refused(f"/redirect?http://localhost:{plain.port}/closed")
        assert (len(secure.asked), plain.asked) == (1, [])


def test_a_broker_that_is_killed_in_a_run_fails_the_stage_and_says_so(
    plain: Server, sealed: Sealed, folder: Path
) -> None:
    url = f"http://127.0.0.1:{plain.port}/open/weights"
    command = f"curl -sSf {url} > o; touch used; while test -e used; do sleep 0.05; done; curl -sS {url}"
    (folder / "codex.toml").write_text(
        '[pipeline]\nname = "p"\n'
        + rule(f"http://127.0.0.1:{plain.port}/**", "read", name="hub")
        + f'[stages.s]\ncommand = "{command}"\noutputs = ["o", "used"]\n'
    )
    words = [sys.executable, "-m", "codex_cli", "run", "--json"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while not (used := list(folder.glob(".codex/staging/*/*/used"))):
            time.sleep(0.05)
        os.kill(broker_of(run.pid), signal.SIGKILL)
        used[0].unlink()
        out, _ = run.communicate()
    assert run.returncode == 1
    (stage,) = json.loads(out)["stages"]
    assert stage["state"] == "failed"
    assert "the broker was ended while stage 's' ran, and from then on everything was refused" in stage["why"]


HALF = """
import socket, sys
port = int(sys.argv[1])
for where in (("127.77.0.1", 3128), ("127.0.0.1", port)):
    sock = socket.create_connection(where)
    target = "/open/weights" if where[1] == port else f"http://127.0.0.1:{port}/open/weights"
    sock.sendall(f"GET {target} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
    sock.shutdown(socket.SHUT_WR)
    print(b"".join(iter(lambda: sock.recv(65536), b"")).rpartition(b"\\r\\n")[2].decode())
    early = socket.create_connection(where)
    early.sendall(b"GET ")
    early.shutdown(socket.SHUT_WR)
    try:
        print(early.recv(10))
    except ConnectionResetError:
        print("reset")
    gone = socket.create_connection(where)
    gone.sendall(f"GET {target} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
    gone.close()
"""


def test_a_connection_that_is_closed_half_way_is_served_as_far_as_it_was_asked_for(
    plain: Server, sealed: Sealed, rules: str
) -> None:
    done = sealed(rules, sys.executable, "-c", HALF, str(plain.port))
    assert done.stdout.splitlines() == ["the weights", "reset"] * 2, done.stderr


def test_a_broker_with_few_descriptors_serves_some_at_a_time(plain: Server, sealed: Sealed, rules: str) -> None:
    few = (
        CROWD.replace("range(200)", "range(50)").replace("range(500)", "range(100)").replace("range(20)", "range(100)")
    )
    done = sealed(rules, sys.executable, "-c", few, str(plain.port), under=["prlimit", "--nofile=160:160"])
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["100", "dripping True", "the weights"]
