"""What the keeper needs of Python and of ours is held in memory, whole, whatever version this is."""

from __future__ import annotations

import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

EVERYTHING = """
import codex_core.errors, codex_core.ledger, codex_core.members, codex_core.offline.names, codex_core.policy
import codex_core.offline.reporter
from codex_core.policy import Policy, Request, decide
from datetime import UTC, datetime
from dataclasses import replace
replace(decide(Policy(), Request("read", "https://a.example/%7Eb", "s"), now=datetime.now(UTC)), remedy=None)
ledger = codex_core.ledger.Ledger(sys.argv[1])
ledger.append("decision", {"one": 1}, at=datetime.now(UTC), sync=True)
print(ledger.head()[0], Policy().digest[:7], codex_core.offline.names.answer(bytes(12)))
decide(Policy(), Request("read", "https://\u0130.example/", "s"), now=datetime.now(UTC))
codex_core.errors.PolicyRefused(decide(Policy(), Request("read", "https://a.example/", "s"), now=datetime.now(UTC)))
"""
SOCKETS = """
import codex_core.offline.broker, resource, socket, threading
try:
    socket.getaddrinfo("no\\u00ebl.invalid", 80)
except OSError:
    pass
codex_core.offline.broker.parse_head(b"GET http://a.example/ HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n")
"""
START = """
import sys
from codex_core.offline import attestation, environment, job, keeper, levels, mounts, pinned, recorder, seal
"""


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", START + code, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("sockets", "more"), [(False, ""), (True, SOCKETS)])
def test_what_is_pinned_is_all_that_is_needed(tmp_path: Path, sockets: bool, more: str) -> None:
    done = run(f"pinned.pin(sockets={sockets})" + EVERYTHING + more, str(tmp_path / "ledger.ndjson"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 sha256: None\n", "")


def test_nothing_else_is_imported_until_it_is_unpinned() -> None:
    code = """
pinned.pin(sockets=False)
try:
    import wave
except ModuleNotFoundError as error:
    print(error)
pinned.pin(sockets=True)  # no more is read
try:
    import selectors
except ModuleNotFoundError as error:
    print(error)
pinned.unpin()
import wave, selectors
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "No module named 'wave'\nNo module named 'selectors'\n"), done.stderr


def test_modules_are_as_python_itself_would_have_made_them(tmp_path: Path) -> None:
    """From source, from bytecode, and from bytecode that is not of this source any more."""
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "source.py").write_text("here = __file__, __name__, __package__, __spec__.cached\n")
    (package / "stale.py").write_text("said = 'old'\n")
    (package / "inner").mkdir()
    (package / "inner/__init__.py").write_text("from . import deep\n")
    (package / "inner/deep.py").write_text("value = __package__\n")
    code = """
import py_compile, os
sys.path.insert(0, sys.argv[1])
import own
py_compile.compile(sys.argv[1] + "/own/stale.py")
with open(sys.argv[1] + "/own/stale.py", "w") as file:
    file.write("said = 'what is new'")
pinned.pin(["own.source", "own.stale", "own.inner", "own.inner.deep"], sockets=False)
for name in ("source.py", "stale.py", "inner/deep.py", "inner/__init__.py"):
    with open(f"{sys.argv[1]}/own/{name}", "w") as file:
        file.write("raise SystemExit('written later')")
from own import inner, source, stale
print(source.here[0] == f"{sys.argv[1]}/own/source.py", source.here[1:3], stale.said, inner.deep.value)
print(os.path.basename(os.path.dirname(source.here[3])), inner.__path__ == [f"{sys.argv[1]}/own/inner"])
"""
    done = run(code, str(tmp_path))
    assert done.stderr == ""
    assert done.stdout == "True ('own.source', 'own') what is new own.inner\n__pycache__ True\n"


def test_a_package_without_source_is_held_too(tmp_path: Path) -> None:
    package = tmp_path / "own/inner"
    package.mkdir(parents=True)
    (tmp_path / "own/__init__.py").write_text("")
    (package / "__init__.py").write_text("from .deep import value\n")
    (package / "deep.py").write_text("value = __package__\n")
    for source in package.glob("*.py"):
        py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")))
        source.unlink()
    code = """
import shutil
sys.path.insert(0, sys.argv[1])
import own
pinned.pin(["own.inner", "own.inner.deep"], sockets=False)
shutil.rmtree(sys.argv[1] + "/own")
from own import inner
print(inner.value, inner.__path__ == [sys.argv[1] + "/own/inner"])
"""
    done = run("import shutil" + code, str(tmp_path))
    assert (done.stdout, done.stderr) == ("own.inner True\n", "")


def test_where_python_has_no_sha_256_of_its_own_it_is_openssl_s(tmp_path: Path) -> None:
    code = """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {"_sha2", "_sha256"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
pinned.pin(sockets=False)
from codex_core.digest import digest_bytes
print(digest_bytes(b""))
"""
    done = run(code)
    assert (done.stdout[:15], done.stderr) == ("sha256:e3b0c442", "")


def test_a_module_beside_the_standard_library_s_is_not_taken_for_one_that_this_version_lacks(tmp_path: Path) -> None:
    for name in ("_local", "_abc", "_colorize", "_opcode_metadata"):
        (tmp_path / f"{name}.py").write_text("this is no Python")
    done = run("sys.path.insert(0, sys.argv[1]); pinned.pin(sockets=True)", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_library_in_a_zip_file_is_held_too(tmp_path: Path) -> None:
    code = """
import zipfile
with zipfile.ZipFile(sys.argv[1] + "/own.zip", "w") as file:
    file.writestr("own/__init__.py", "")
    file.writestr("own/there.py", "said = 'zipped'")
sys.path.insert(0, sys.argv[1] + "/own.zip")
import own
pinned.pin(["own.there"], sockets=False)
with open(sys.argv[1] + "/own.zip", "w"):
    pass
from own import there
print(there.said)
"""
    done = run(code, str(tmp_path))
    assert (done.stdout, done.stderr) == ("zipped\n", "")
