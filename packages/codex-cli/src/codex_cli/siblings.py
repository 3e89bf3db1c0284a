"""The packages of Codex in this release, and the commands that each one brings."""

from __future__ import annotations

PACKAGES = {
    "codex-core": "codex_core",
    "codex-cli": "codex_cli",
    "codex-connectors": "codex_connectors",
    "codex-train": "codex_train",
    "codex-analysis": "codex_analysis",
    "codex-deploy": "codex_deploy",
}
"""Distribution name to import name, of all packages of Codex."""

COMMANDS = {
    "connectors": {
        "store ls": "List the objects below a place in a store",
        "store stat": "Show the size and digest of one object",
        "store get": "Copy an object, or all below a place, to a local path",
        "store put": "Copy a local file or folder to a place in a store",
        "store fallbacks": "Show which other stores hold the same things",
    },
    "analysis": {
        "analyze audit": "Find what is unfinished in Python code",
    },
}
"""Extra of codex-cli to the commands that it brings, so that they are listed where it is absent."""
