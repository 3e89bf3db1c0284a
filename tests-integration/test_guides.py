"""What the guides show is what happens: their files are written, their commands run, and their answers compared.

A fence whose first line ends in ``file=NAME`` is a file. In a ``console`` fence, a line that begins with ``$`` is a
command, and what follows is what it prints, where ``...`` stands for anything. All fences of a guide share one folder,
which is the home of its user as well.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GUIDES = Path(__file__).resolve().parent.parent / "docs/guides"
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
BETWEEN = "\0"


def fences(guide: Path) -> Iterator[tuple[str, str]]:
    """The info string and the text of each fence, in order."""
    yield from FENCE.findall(guide.read_text())


def steps(text: str) -> list[tuple[str, str]]:
    """The commands of a console fence, each with what it prints."""
    _, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def pattern(expected: str) -> str:
    """What a fence expects as a regular expression."""
    return ".*".join(map(re.escape, expected.strip().split("...")))


def run(commands: list[str], folder: Path) -> list[str]:
    """What each command prints, in one shell."""
    script = "".join(f"{command}\ncode=$?; printf '\\0'; (exit $code)\n" for command in commands)
    kept = {name: os.environ[name] for name in ("LANG", "SSL_CERT_FILE") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**kept, "HOME": str(folder), "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.split(BETWEEN)[:-1]


@pytest.mark.parametrize("guide", sorted(GUIDES.glob("*.md")), ids=lambda guide: guide.stem)
def test_a_guide_tells_the_truth(guide: Path, folder: Path) -> None:
    shown = 0
    for info, text in fences(guide):
        if "file=" in info:
            (folder / info.partition("file=")[2]).write_text(text)
        elif info == "console":
            commands = steps(text)
            printed = run([command for command, _ in commands], folder)
            for (command, expected), actual in zip(commands, printed, strict=True):
                shown += 1
                assert re.fullmatch(pattern(expected), actual.strip(), re.DOTALL), f"$ {command}\n{actual}"
    assert shown > 0
