from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import codex_core

LIGHT = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
HEAVY = {"asyncio", "http", "importlib.metadata", "pydantic", "socket", "ssl", "subprocess", "typer", "urllib.request"}
CONTRACTS = ["command", "digest", "errors", "events", "evidence", "ledger", "policy", "registry", "stage", "status"]
CONTRACTS += ["storage", "task", "urls"]


def _imported_by(code: str) -> set[str]:
    """The modules that ``code`` brings into a bare interpreter."""
    command = [sys.executable, "-c", LIGHT.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_all_names_what_can_be_imported_and_nothing_else() -> None:
    assert sorted(codex_core.__all__) == [
        "CodexError",
        "Decision",
        "Event",
        "Ledger",
        "NdjsonWriter",
        "Policy",
        "PolicyRefused",
        "Registry",
        "Request",
        "Rule",
        "__version__",
        "canonical_json",
        "decide",
        "digest_file",
        "digest_folder",
        "digest_json",
    ]
    for name in codex_core.__all__:
        found = getattr(codex_core, name)
        assert name == "__version__" or found.__name__ == name
    homes = codex_core._HOMES
    assert sorted({*homes, "__version__"}) == sorted(codex_core.__all__)
    assert all(getattr(codex_core, name).__module__ == f"codex_core.{home}" for name, home in homes.items())


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'codex_core' has no attribute 'Nothing'"):
        _ = codex_core.Nothing
    assert not hasattr(codex_core, "pydantic")


def test_importing_the_package_loads_two_modules_of_it_and_no_heavy_one() -> None:
    loaded = _imported_by("import codex_core")
    assert {name for name in loaded if name.startswith("codex_core")} == {"codex_core", "codex_core.__about__"}
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("module", CONTRACTS)
def test_a_contract_loads_the_standard_library_alone(module: str) -> None:
    loaded = _imported_by(f"import codex_core.{module}")
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert foreign == {"codex_core"}
    assert loaded.isdisjoint(HEAVY)
    assert not any(name.startswith("codex_core.offline") for name in loaded)


def test_every_public_name_together_loads_the_standard_library_alone() -> None:
    loaded = _imported_by("import codex_core\nfor name in codex_core.__all__: getattr(codex_core, name)")
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"codex_core"}
    assert loaded.isdisjoint(HEAVY)


def test_every_module_has_a_first_line_that_says_what_it_holds() -> None:
    for path in Path(codex_core.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"codex_core.{path.stem}" if path.stem != "__init__" else "codex_core")
        assert module.__doc__, path
        assert module.__doc__.splitlines()[0].endswith((".", ":")), path


def test_the_example_of_the_readme_prints_what_it_says(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    example, printed = re.findall(r"```(?:python|text)\n(.*?)```", readme, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", printed)
