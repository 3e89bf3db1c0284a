"""The package's face: its names, what importing it costs, and what it says about itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import codex_connectors
from codex_connectors.command_list import COMMANDS
from codex_connectors.stages import PullStage

HEAVY = ["typing", "asyncio", "pydantic", "typer", "click", "logging", "socket", "codex_core.config"]


def loaded_by(code: str) -> set[str]:
    report = f"import json, sys\n{code}\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_all_names_what_is_importable_and_nothing_else() -> None:
    assert codex_connectors.__all__ == [
        "LocalStore",
        "RemoteStore",
        "Selection",
        "StdlibStore",
        "Store",
        "__version__",
        "copy_folder",
        "enumerate_fallbacks",
        "get_object",
        "open_connector",
        "open_store",
        "put_file",
    ]
    for name in codex_connectors.__all__:
        assert getattr(codex_connectors, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(codex_connectors, "nothing")


def test_importing_loads_the_standard_library_only_and_little_of_it() -> None:
    assert loaded_by("import codex_connectors") == set()


def test_opening_a_store_loads_no_event_loop() -> None:
    assert "asyncio" not in loaded_by("import codex_connectors; codex_connectors.open_store('file:///tmp')")


def test_the_stage_loads_pydantic_only_when_asked_for_its_parameters() -> None:
    assert "pydantic" not in loaded_by("import codex_connectors.stages")
    assert "pydantic" in loaded_by("import codex_connectors.stages as s; s.pull.params()")


def test_entry_points_name_the_commands_and_the_stage() -> None:
    (commands,) = entry_points(group="codex.commands", name="connectors")
    (pull,) = entry_points(group="codex.stages", name="connectors.pull")
    assert commands.load() is COMMANDS
    assert isinstance(pull.load(), PullStage)
