"""Hosts are looked up by what was there before, whatever a program puts where the C library looks for more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import socket, sys
from codex_core.offline import resolvers
resolvers._NSSWITCH = sys.argv[1]
resolvers.load()
print(resolvers._loaded)
resolvers.keep_to_loaded()
print(socket.getaddrinfo("127.0.0.1", 80)[0][4][0], socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0])
"""


@pytest.mark.parametrize(
    ("text", "loaded"),
    [
        ("hosts: files nothere [NOTFOUND=return] dns # mdns4\n", ["files", "dns"]),
        ("passwd: nothere\nhosts:\tfiles\n", ["files"]),
        ("passwd: files\n", ["files", "dns"]),
        ("hosts: nothere\n", ["files", "dns"]),
        ("hosts: ../files [!UNAVAIL=return]\n", ["files", "dns"]),
    ],
)
def test_only_what_is_there_is_asked(tmp_path: Path, text: str, loaded: list[str]) -> None:
    (tmp_path / "nsswitch.conf").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "nsswitch.conf")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{loaded}\n127.0.0.1 127.0.0.1\n", "")


def test_without_a_file_it_is_what_the_c_library_takes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("['files', 'dns']\n")
