"""``python -m codex_cli``, the same command as ``codex``."""

import sys

from codex_cli.door import main

if __name__ == "__main__":
    sys.exit(main())
