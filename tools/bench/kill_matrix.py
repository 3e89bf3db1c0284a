"""Kill the training stage of a small pipeline again and again, and see that it ends in the same bundle digest.

    tools/hatchw run bench:kills [--kills N]

It is tests-integration/test_bits.py with as many kills as one likes; three of four are kill -9, one is SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: list[str]) -> int:
    """Run the test with this many kills; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="default: 100")
    options = parser.parse_args(arguments)
    words = [sys.executable, "-m", "pytest", "-q", "-k", "killed", "--timeout", "0", "tests-integration/test_bits.py"]
    environment = {**os.environ, "CODEX_KILLS": str(options.kills)}
    return subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
