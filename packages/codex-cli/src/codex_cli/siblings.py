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
    "train": {
        "train start": "Train a task on a folder of data, in a new run folder",
        "train resume": "Go on with a run from its newest checkpoint",
        "train list": "List the runs below a folder",
        "train show": "Show a run: what it is made from, how far it came",
    },
    "analysis": {
        "analyze audit": "Find what is unfinished in Python code",
    },
    "deploy": {
        "verify": "Check every byte of a bundle, a deployment, a run or a checkpoint",
        "bundle create": "Pack a model folder and further files as an OCI layout",
        "bundle inspect": "Check a bundle, and show what it holds and what attests to it",
        "bundle verify": "The same as verify",
        "deploy plan": "Show what deploying a bundle to a target would do, and why",
        "deploy apply": "Deploy a bundle to a target",
        "deploy status": "Show what stands at a target, verified",
    },
}
"""Extra of codex-cli to the commands that it brings, so that they are listed where it is absent."""
