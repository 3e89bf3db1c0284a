"""The README's example does what it says, and its map names every module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()
SOURCES = Path(__file__).parent.parent / "src" / "codex_train"


def test_the_example_prints_what_it_says(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_the_map_names_every_module() -> None:
    table = README.partition("## Map")[2].partition("## Dependencies")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    modules = {path.stem for path in SOURCES.glob("*.py") if not path.stem.startswith("__")}
    assert named == modules - {"command_list"} | {"tasks"}
