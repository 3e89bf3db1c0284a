"""What a program writes to where the keeper imports from, its environment or a folder before it, does not run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import AsNobody

NOBODY = 65534
FETCH = """PYTHONPATH=${PYTHONPATH%%:*} /usr/bin/python3 -c '
import urllib.request
urllib.request.urlopen("http://a.example/")
'"""
ROOT = Path(__file__).resolve().parent.parent
POISON = """
import os, sys, sysconfig
home = os.environ["HOME"]
mark = f"\\nimport os\\nopen({home!r} + '/mark', 'a').write(os.readlink('/proc/self/ns/net') + chr(10))\\n"
for folder, _, names in os.walk(os.path.join(home, "venv")):
    for name in names:
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "a") as file:
                file.write(mark)
ahead = os.path.join(home, "ahead")
for name in sorted(sys.stdlib_module_names) + ["pydantic", "typing_extensions"]:
    with open(os.path.join(ahead, name + ".py"), "w") as file:
        file.write(mark + "raise ImportError")
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Place:
    """A home whose user may write to all of the environment that Codex lies in."""

    def __init__(self, home: Path, user: int, site: str) -> None:
        self.home, self._user = home, user
        venv = home / "venv"
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv], check=True, capture_output=True)
        (packages,) = venv.glob("lib/python3.*/site-packages")
        for package in ("codex-core", "codex-cli"):
            for module in (ROOT / "packages" / package / "src").iterdir():
                shutil.copytree(module, packages / module.name, ignore=shutil.ignore_patterns("__pycache__"))
        (packages / "others.pth").write_text(site)
        (home / "ahead").mkdir()
        (home / "poison.py").write_text(POISON)
        for path in (home, *home.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)

    def codex(self, *words: str, cwd: str = ".", ahead: str = "ahead") -> subprocess.CompletedProcess[str]:
        python = self.home / "venv/bin/python"
        return subprocess.run(
            [python, "-m", "codex_cli", *words],
            cwd=self.home / cwd,
            env={"HOME": str(self.home), "PATH": f"{python.parent}:{os.defpath}", "PYTHONPATH": f"{self.home}/{ahead}"},
            user=self._user,
            group=self._user,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )

    def ran_outside(self) -> bool:
        """Whether what was written there has run in this network namespace."""
        mark = self.home / "mark"
        here = os.readlink("/proc/self/ns/net")  # noqa: PTH115 - it is not the path of anything
        return mark.exists() and here in mark.read_text().split()


@pytest.fixture(params=["root", "nobody"])
def place(
    request: pytest.FixtureRequest, as_nobody: AsNobody, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    site = as_nobody("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    home = Path(f"/var/tmp/codex-poisoned-{os.getpid()}")
    home.mkdir()
    try:
        yield Place(home, 0 if request.param == "root" else NOBODY, site)
    finally:
        shutil.rmtree(home)


@pytest.fixture
def port() -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"an answer")

        def log_message(self, *words: object) -> None:
            return  # nothing is printed

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_refusal_is_told_and_recorded(place: Place) -> None:
    done = place.codex("sealed", "--", "sh", "-c", f"/usr/bin/python3 -I poison.py; {FETCH}")
    assert done.returncode == 1, done.stderr
    assert "no rule allows connect of http://a.example:80/" in done.stderr.split("a request was refused")[1]
    assert "refuse" in (place.home / ".local/state/codex/ledger.ndjson").read_text()
    assert not place.ran_outside()
    place.codex("--version", ahead="nothing")
    assert place.ran_outside()  # who starts Codex afterwards runs it, so it has been written where it matters


def test_what_native_code_tried_is_told(place: Place) -> None:
    done = place.codex("sealed", "--", "sh", "-c", "/usr/bin/python3 -I poison.py; curl -s http://a.example/")
    assert (done.returncode, done.stderr.count("looked up a.example")) == (6, 1)
    assert not place.ran_outside()


def test_a_broker_goes_where_a_rule_allows(place: Place, port: int) -> None:
    rule = f'[[policy.allow]]\nid = "own"\nurl = "http://127.0.0.1:{port}/**"\nverbs = ["read"]\n'
    (place.home / "policy.toml").write_text(rule)
    fetch = f"curl -s http://127.0.0.1:{port}/ && curl -sX PUT -d x http://127.0.0.1:{port}/"
    done = place.codex(
        "sealed", "--policy", "policy.toml", "--", "sh", "-c", f"/usr/bin/python3 -I poison.py; {fetch}; false"
    )
    assert done.stdout.startswith("an answer"), done.stderr
    assert f"write of http://127.0.0.1:{port}/" in done.stderr
    assert '"kind":"grant"' in (place.home / ".local/state/codex/ledger.ndjson").read_text()
    assert not place.ran_outside()


def test_a_policy_that_denies_is_explained(place: Place) -> None:
    rule = '[[policy.deny]]\nid = "never"\nurl = "http://a.example:80/**"\nverbs = ["connect"]\nreason = "a test"\n'
    (place.home / "policy.toml").write_text(rule)
    words = ("sealed", "--policy", "policy.toml", "--", "sh", "-c")
    assert place.codex(*words, "true").returncode == 0  # from now on it is known to be in order
    done = place.codex(*words, f"/usr/bin/python3 -I poison.py; {FETCH}")
    assert "rule 'never' denies connect" in done.stderr.split("a request was refused")[1]
    assert not place.ran_outside()


def test_a_run_goes_on(place: Place) -> None:
    (place.home / "project").mkdir()
    (place.home / "project/codex.toml").write_text(
        "[pipeline]\nname = 'p'\n[stages.first]\ncommand = '/usr/bin/python3 -I ../poison.py; echo 1 > first.txt'\n"
        "outputs = ['first.txt']\n[stages.second]\ncommand = 'cat first.txt > second.txt; curl -s http://a.example/'\n"
        "inputs = ['first.txt']\noutputs = ['second.txt']\n"
    )
    for path in (place.home / "project", place.home / "project/codex.toml"):
        os.chown(path, place.home.stat().st_uid, -1)
    done = place.codex("run", "--require-guard", "kernel", cwd="project")
    assert done.returncode == 1, done.stderr
    assert "looked up a.example" in done.stdout
    assert not place.ran_outside()
