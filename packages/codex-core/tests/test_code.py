from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from codex_core.code import code_digest
from codex_core.digest import FileEntry, digest_entries, digest_file, digest_json
from codex_core.errors import DigestError

PLUG_IN = """
class Work:
    pass


work = Work()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path with a package, a module alone, and one in a namespace package."""
    for name in ("coded_package/inner/__init__.py", "coded_alone.py", "coded_space/inner/work.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PLUG_IN)
    (tmp_path / "coded_package/__init__.py").write_text("")
    (tmp_path / "coded_package/data.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("coded_")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def work(module: str) -> object:
    return importlib.import_module(module).work


def test_of_a_package_it_is_that_of_its_python_files(site: Path) -> None:
    names = ("__init__.py", "inner/__init__.py")
    files = [
        FileEntry(name, (path := site / "coded_package" / name).stat().st_size, digest_file(path)) for name in names
    ]
    assert code_digest(work("coded_package.inner")) == digest_entries(files)
    (site / "coded_package/data.json").write_text("[]")
    assert code_digest(work("coded_package.inner")) == digest_entries(files)


@pytest.mark.parametrize("module", ["coded_alone", "coded_space.inner.work"])
def test_of_a_module_in_no_package_it_is_that_of_its_own_file(site: Path, module: str) -> None:
    """A single module lies beside everything installed, and a namespace package has no file of its own."""
    file = site.joinpath(*module.split(".")).with_suffix(".py")
    assert code_digest(work(module)) == digest_file(file)


def test_several_plug_ins_have_one_digest_in_any_order(site: Path) -> None:
    alone, inner = work("coded_alone"), work("coded_package.inner")
    assert code_digest(alone, inner) == code_digest(inner, alone, alone)
    assert code_digest(alone, inner) == digest_json(sorted([code_digest(alone), code_digest(inner)]))
    assert code_digest(alone, alone) == code_digest(alone)


def test_what_comes_from_no_file_is_refused() -> None:
    made = type("Made", (), {"__module__": "sys"})
    with pytest.raises(DigestError, match="the module 'sys' comes from no file"):
        code_digest(made())
