"""What origins promise: a name alone is not believed; the distribution must bring the module that is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import codex_core
from codex_cli.doctor import check_packages
from codex_cli.origins import find_origins, module_file

OURS = Path(str(codex_core.__file__)).resolve()


def add_distribution(site: Path, name: str, version: str, *, record: str = "", source: Path | None = None) -> str:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(record)
    if source is not None:
        direct = {"url": source.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(direct))
    return str(site)


def test_editable_install_of_this_source_is_ours(tmp_path: Path) -> None:
    site = add_distribution(tmp_path, "Codex_Core", codex_core.__version__, source=OURS.parents[2])
    (origin,) = find_origins([site])
    assert (origin.name, origin.editable, origin.folder, origin.ours) == ("codex-core", True, OURS.parents[2], True)


def test_wheel_that_holds_the_imported_module_is_ours(tmp_path: Path) -> None:
    (tmp_path / "codex_core").symlink_to(OURS.parent)
    record = "codex_core/__init__.py,,\ncodex_core/errors.py,,\n"
    (origin,) = find_origins([add_distribution(tmp_path, "codex-core", codex_core.__version__, record=record)])
    assert (origin.name, origin.editable, origin.folder, origin.ours) == ("codex-core", False, tmp_path, True)


@pytest.mark.parametrize("version", ["0.3.0", "1.0.0"])
def test_package_of_the_same_name_that_is_not_ours_is_told(tmp_path: Path, version: str) -> None:
    (tmp_path / "codex_core").mkdir()
    (tmp_path / "codex_core/__init__.py").touch()
    record = "codex_core/__init__.py,,\n"
    (origin,) = find_origins([add_distribution(tmp_path, "codex-core", version, record=record)])
    assert not origin.ours


def test_editable_install_whose_version_is_outdated_is_told(tmp_path: Path) -> None:
    (origin,) = find_origins([add_distribution(tmp_path, "codex-core", "0.9.0", source=OURS.parents[2])])
    assert not origin.ours


def test_stranger_beside_our_package_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(add_distribution(tmp_path, "codex-core", "0.3.0"))
    checks = [check for check in check_packages() if check.name == "codex-core"]
    assert [check.status for check in checks] == ["warn", "ok"]
    assert checks[0].message == f"0.3.0, {tmp_path}: this is not the package that provides {OURS}"
    assert checks[0].hint == "pip uninstall codex-core, and install it again from a wheelhouse"


def test_module_file_is_found_without_importing_it() -> None:
    assert module_file("codex-core") == OURS
