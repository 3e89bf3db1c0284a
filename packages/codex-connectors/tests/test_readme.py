"""The README's example runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs_and_prints_what_it_is_about() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("22 sha256:")
    assert lines[1:4] == [
        "['reports/first.txt']",
        "measured, not guessed",
        "no rule allows read of https://minio.example:9000/models/corpus/a.txt for stage 'cli'",
    ]
    assert lines[4] == "[[policy.allow]]"
