"""A wheelhouse installs on a machine with no index, by the very line that was printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import wheelhouse
from tools.ci.projects import ROOT

SIX = "codex-analysis, codex-cli, codex-connectors, codex-core, codex-deploy, codex-train"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("codex-colour", f"there is no package 'codex-colour' here; write one of {SIX}"),
        ("codex-cli[gpu]", "codex-cli has no extra 'gpu'; its extras are all, analysis, connectors, deploy, train"),
        ("codex-core[all]", "codex-core has no extra 'all'; it has no extras"),
        ("codex-core>=2", "its version is the one in this repository: write 'codex-core'"),
        ("codex core", f"'codex core' is no package name; write one of {SIX}"),
    ],
)
def test_what_is_not_a_package_here_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], argument: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        wheelhouse.main([argument])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_other_things_is_never_emptied(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        wheelhouse.main(["codex-core", "--output", str(tmp_path)])
    assert stopped.value.code == 2
    assert "holds something other than wheels" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_connectors_installs_from_its_wheelhouse_with_the_index_switched_off(tmp_path: Path) -> None:
    folder = tmp_path / "a house of wheels"
    command = [sys.executable, "-m", "tools.wheelhouse", "codex-connectors", "--output", str(folder)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    line = made.stdout.splitlines()[-1]
    assert line == f"pip install --no-index --find-links '{folder}' \"codex-connectors\""

    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", str(empty)], check=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environ |= {"PATH": f"{empty / 'bin'}{os.pathsep}{os.environ['PATH']}", "PIP_CONFIG_FILE": os.devnull}
    installed = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr

    program = "import codex_connectors, codex_core, pydantic; print(codex_connectors.__path__[0])"
    python = [str(empty / "bin" / "python"), "-I", "-c", program]
    imported = subprocess.run(python, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert Path(imported.stdout.strip()).is_relative_to(empty)
