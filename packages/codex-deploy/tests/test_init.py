"""The package's face: its names, what importing it costs, and what it says about itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points, version

import codex_deploy
from codex_deploy.command_list import COMMANDS
from codex_deploy.stages import ApplyStage, PackageStage
from codex_deploy.targets.dir import DirTarget
from codex_deploy.targets.registry import RegistryTarget


def loaded_by(code: str) -> set[str]:
    """What of other distributions, and of the slow standard library, is loaded after ``code``."""
    report = (
        f"import json, sys; before = set(sys.modules)\n{code}\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "slow = {'asyncio', 'socket', 'ssl', 'logging'} & names\n"
        "print(json.dumps(sorted(names - sys.stdlib_module_names | slow)))"
    )
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_version_is_what_the_metadata_says() -> None:
    assert codex_deploy.__version__ == version("codex-deploy")


def test_all_names_what_is_importable_and_nothing_else() -> None:
    assert codex_deploy.__all__ == [
        "Content",
        "Flaw",
        "Verification",
        "__version__",
        "create_bundle",
        "examine",
        "open_bundle",
        "open_target",
        "read_layout",
        "verify",
    ]
    for name in codex_deploy.__all__:
        assert getattr(codex_deploy, name) is not None
    assert not hasattr(codex_deploy, "nothing")


def test_importing_loads_the_standard_library_only_and_little_of_it() -> None:
    assert loaded_by("import codex_deploy") == {"codex_deploy"}


def test_the_stages_load_pydantic_only_when_asked_for_their_parameters() -> None:
    assert "pydantic" not in loaded_by("import codex_deploy.stages, codex_deploy.command_list")
    assert "pydantic" in loaded_by("import codex_deploy.stages as s; s.package.params()")


def test_entry_points_name_the_commands_the_stages_and_the_targets() -> None:
    def load(group: str, name: str) -> object:
        (found,) = entry_points(group=group, name=name)
        return found.load()

    assert load("codex.commands", "deploy") is COMMANDS
    assert isinstance(load("codex.stages", "deploy.package"), PackageStage)
    assert isinstance(load("codex.stages", "deploy.apply"), ApplyStage)
    assert load("codex.targets", "dir") is DirTarget
    assert load("codex.targets", "registry") is RegistryTarget
