from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from codex_deploy.config import ApplyParams, PackageParams

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_example_runs_and_prints_what_stands_below_it() -> None:
    example = re.search(r"```python\n(.*?)```\n\n((?:    [^\n]*\n)+)", README, re.DOTALL)
    assert example is not None
    done = subprocess.run([sys.executable, "-c", example[1]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == example[2].replace("    ", "")


def test_the_stages_and_targets_shown_are_valid() -> None:
    shown = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", README, re.DOTALL)))
    assert PackageParams.model_validate(shown["stages"]["package"]["with"]).name == "my-model"
    for name in ("deploy", "offer"):
        assert ApplyParams.model_validate(shown["stages"][name]["with"]).target in shown["targets"]
