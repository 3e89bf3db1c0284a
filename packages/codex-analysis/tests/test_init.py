from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import codex_analysis
from codex_core.command import Commands
from codex_core.stage import Stage


def test_all_names_what_can_be_imported_and_nothing_else() -> None:
    assert codex_analysis.__all__ == [
        "KINDS",
        "VERDICTS",
        "Audit",
        "FileAudit",
        "Finding",
        "Skipped",
        "__version__",
        "audit_paths",
        "audit_source",
    ]
    for name in codex_analysis.__all__:
        assert getattr(codex_analysis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        codex_analysis.other  # noqa: B018  # the look-up is what is tested


def loaded_by(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_loads_nothing_but_itself() -> None:
    standard = loaded_by("import __future__, importlib, typing")
    assert loaded_by("import codex_analysis") - standard == {"codex_analysis"}


def test_the_audit_and_the_stage_work_without_pydantic_and_typer() -> None:
    banned = "sys.modules.update(dict.fromkeys(('pydantic', 'typer', 'click', 'rich')))\n"
    audited = "from codex_analysis import audit_source\nassert audit_source(b'def f(): pass', 'm.py').findings\n"
    assert "codex_core" in loaded_by(f"{banned}{audited}import codex_analysis.stages, codex_analysis.command_list")


def test_the_entry_points_lead_to_the_command_and_the_stage() -> None:
    [command] = (entry for entry in entry_points(group="codex.commands") if entry.name == "analysis")
    [stage] = (entry for entry in entry_points(group="codex.stages") if entry.name == "analysis.audit")
    commands = command.load()
    assert isinstance(commands, Commands)
    assert [leaf.name for leaf in commands.leaves] == ["analyze audit"]
    assert isinstance(stage.load(), Stage)
