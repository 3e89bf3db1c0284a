"""What codex-deploy promises today: a name, a version, and an import that costs nothing."""

import importlib.metadata
import subprocess
import sys

import codex_deploy


def test_version_is_what_the_metadata_says() -> None:
    assert codex_deploy.__version__ == importlib.metadata.version("codex-deploy")


def test_public_names_are_pinned() -> None:
    assert codex_deploy.__all__ == ["__version__"]
    assert all(hasattr(codex_deploy, name) for name in codex_deploy.__all__)


def test_import_loads_the_standard_library_only() -> None:
    program = (
        "import sys; before = set(sys.modules); import codex_deploy\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(loaded - sys.stdlib_module_names))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "['codex_deploy']\n"
