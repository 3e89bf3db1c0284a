"""Run mypy over everything: once for the sources and tools, and once for each folder of tests and each example.

Tests of different packages share module names (test_config.py, conftest.py), which one run of mypy refuses.
"""

import subprocess
import sys
from pathlib import Path

from tools.ci.projects import ROOT


def groups() -> list[list[str]]:
    """The paths of each run, relative to the root."""
    sources = [path for path in sorted(ROOT.glob("packages/*/src")) if any(path.rglob("*.py"))]
    tools = [ROOT / "tools" / "hatchw", ROOT / "tools"]
    tests = [*sorted(ROOT.glob("packages/*/tests")), ROOT / "tests-integration"]
    examples = [sorted(folder.glob("*.py")) for folder in sorted(ROOT.glob("docs/examples/*"))]
    runs = [[*sources, *tools], *([path] for path in tests if any(path.rglob("*.py"))), *filter(None, examples)]
    return [[str(path.relative_to(ROOT)) for path in run] for run in runs]


def main(arguments: list[str]) -> int:
    """Run every group, or those that contain one of the paths given; the exit code is 1 if any of them failed."""
    wanted = [run for run in groups() if not arguments or any(_within(path, arguments) for path in run)]
    code = 0
    for run in wanted:
        print(f"mypy {' '.join(run)}", flush=True)
        code |= subprocess.run([sys.executable, "-m", "mypy", *run], cwd=ROOT, check=False).returncode
    if not wanted:
        print(f"nothing to check in {' '.join(arguments)}", file=sys.stderr)
    return 1 if code or not wanted else 0


def _within(path: str, arguments: list[str]) -> bool:
    return any(Path(path).is_relative_to(argument) or Path(argument).is_relative_to(path) for argument in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
