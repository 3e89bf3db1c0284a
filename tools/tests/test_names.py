"""The check of install commands finds what it must, and leaves alone what it may.

The samples are formatted together, so that the check does not find them here.
"""

from pathlib import Path

import pytest

from tools.ci.names import files, findings

OURS = "codex-core"
MODULE = "codex_core"


@pytest.mark.parametrize(
    "command",
    [
        f"pip install {OURS}",
        f"pip3 install --upgrade {OURS}",
        f"python -m pip --quiet install '{OURS}[extra]'",
        f"pip --cache-dir /tmp/cache -q install {MODULE}",
        f'uv pip install "{OURS}>=1,<2"',
        f"pip install --find-links dist/wheelhouse {OURS}",
        f"pip download {OURS}",
        f"uv add {OURS}",
        f"uvx {OURS}",
        f"uv tool install {OURS}",
        f"uv run --with {OURS} python",
        f"pipx run {OURS}",
        f"pip install numpy \\\n    {OURS}",
    ],
)
def test_a_command_that_asks_an_index_is_found(command: str) -> None:
    assert len(findings(Path("guide.md"), f"Text.\n\n    {command}\n")) == 1


@pytest.mark.parametrize(
    "command",
    [
        f'pip install --no-index --find-links dist/wheelhouse "{OURS}"',
        f"pip install -e packages/{OURS}",
        f"pip install ./{OURS}",
        f"pip install {MODULE}-1.0.0-py3-none-any.whl",
        f"pip install '{OURS} @ file:///srv/{MODULE}-1.0.0-py3-none-any.whl'",
        f"tools/hatchw run wheelhouse {OURS}",
        "pip install numpy",
        f"pip uninstall {OURS}, and install it again from a wheelhouse",
        f"what pip installs\n\n    {OURS}",
        f"{OURS} is installed; pip install numpy",
        f"pip install numpy && echo {OURS}",
    ],
)
def test_a_command_that_names_a_path_or_no_index_is_left_alone(command: str) -> None:
    assert findings(Path("guide.md"), command) == []


def test_inline_code_that_wraps_is_read_as_one_command() -> None:
    text = f"First line.\nRun `pip install\n{OURS}` now.\n"
    assert [finding.line for finding in findings(Path("guide.md"), text)] == [2]


def test_python_strings_lists_and_comments_are_read() -> None:
    package = "codex-{package}"
    lines = [
        f"a = 'pip install '\\\n    '{OURS}'",
        f"b = ['uv', 'pip', 'install', '{OURS}']",
        f"# pip install {OURS}",
        f"c = f'pip install {package}'",
        f"d = ['pip', 'install', '--no-index', '{OURS}']",
    ]
    found = findings(Path("script.py"), "\n".join(lines))
    assert sorted({finding.line for finding in found}) == [1, 3, 4, 5]


def test_a_script_without_a_suffix_is_read_as_what_it_is() -> None:
    text = f"#!/usr/bin/env python3\nimport os\nos.execvp('pip', ['pip', 'install', '{OURS}'])\n"
    assert [finding.line for finding in findings(Path("install"), text)] == [3]


def test_this_repository_has_files_to_check() -> None:
    assert {"hatch.toml", "hatchw", "names.py"} <= {path.name for path in files()}
