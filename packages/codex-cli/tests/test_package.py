"""What the package promises: its version, its public names, and an import that costs nothing."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import codex_cli
import codex_cli.pipeline


def test_version_is_what_the_metadata_says() -> None:
    assert codex_cli.__version__ == importlib.metadata.version("codex-cli")


def test_public_names_are_pinned() -> None:
    assert codex_cli.__all__ == ["__version__", "main"]
    assert all(hasattr(codex_cli, name) for name in codex_cli.__all__)


def test_import_loads_its_own_version_and_nothing_else() -> None:
    program = (
        "import sys; before = {*sys.modules, '__future__'}; import codex_cli\nprint(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['codex_cli', 'codex_cli.__about__']\n"


def test_pipeline_is_importable_without_the_command_line() -> None:
    program = (
        "import sys, codex_cli.pipeline as pipeline\n"
        "for name in pipeline.__all__: getattr(pipeline, name)\n"
        "print(sorted({'typer', 'click', 'rich', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
