from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from codex_analysis.audit import audit_paths
from codex_analysis.audit.files import Tree, find_files
from codex_analysis.audit.findings import SCHEMA
from codex_core.digest import canonical_json, digest_folder

FILES = {
    "a.py": "class A:\n    def f(self): pass  # TODO\n",
    "b/a.py": "def g(): raise NotImplementedError\n",
    "b/z.pyi": "def h(): ...\n",
    "b.py": "x = (\n",
    "tool": "#!/usr/bin/env python\n# XXX\n",
    "é/ö.py": "# FIXME ünder\n",
}


def plant(root: Path, order: list[str]) -> Path:
    for path in order:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(FILES[path], encoding="utf-8")
        os.utime(root / path, (len(path), 10**9))
    return root


def test_one_file_after_another_gives_these_findings(tmp_path: Path) -> None:
    audit = audit_paths([plant(tmp_path, list(FILES))])
    assert (audit.files, audit.lines) == (6, 7)
    assert [(item.path, item.line, item.kind, item.verdict) for item in audit.findings] == [
        ("a.py", 2, "empty-body", "stub"),
        ("a.py", 2, "marker", "note"),
        ("b.py", 1, "unreadable", "unknown"),
        ("b/a.py", 1, "not-implemented", "stub"),
        ("b/z.pyi", 1, "empty-body", "contract"),
        ("tool", 2, "marker", "note"),
        ("é/ö.py", 1, "marker", "note"),
    ]


def test_the_digest_is_that_of_the_folder_with_its_python_files_alone(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", list(FILES))
    expected = digest_folder(tree)
    (tree / "data.bin").write_bytes(b"\0")
    assert audit_paths([tree]).digest == expected
    (tree / "a.py").write_text("x = 1\n")
    assert audit_paths([tree]).digest != expected


def test_the_same_tree_gives_the_same_bytes_whatever_order_clock_locale_and_hash_seed(tmp_path: Path) -> None:
    code = dedent(
        f"""
        import sys
        from pathlib import Path
        from codex_analysis import audit_paths
        from codex_core import canonical_json
        audit = audit_paths([Path(sys.argv[1])])
        sys.stdout.buffer.write(canonical_json({{"schema": "{SCHEMA}", **audit.to_json()}}))
        """
    )
    written = set()
    for seed, locale in (("0", "C.UTF-8"), ("1", "C"), ("4711", "POSIX")):
        order = list(FILES)
        random.Random(seed).shuffle(order)
        tree = plant(tmp_path / f"copy {seed}", order)
        environment = {"PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        command = [sys.executable, "-c", code, str(tree)]
        written.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    here = audit_paths([tmp_path / "copy 0"]).to_json()
    assert written == {canonical_json({"schema": SCHEMA, **here})}


def test_a_file_that_vanished_or_became_a_link_is_a_finding_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the walk and the reading, as another process would do it."""
    tree = plant(tmp_path, list(FILES))

    def change_after_walking(paths: Sequence[Path], exclude: Sequence[str]) -> Tree:
        found = find_files(paths, exclude)
        (tree / "a.py").unlink()
        (tree / "tool").unlink()
        (tree / "tool").symlink_to("b.py")
        return found

    monkeypatch.setattr("codex_analysis.audit.paths.find_files", change_after_walking)
    audit = audit_paths([tree])
    reasons = {item.path: item.message for item in audit.findings if item.kind == "unreadable"}
    assert reasons["a.py"] == "cannot be read: No such file or directory"
    assert reasons["tool"].startswith("cannot be read: ")
    assert reasons["tool"].endswith("is a link, which has no digest")
    assert set(reasons) == {"a.py", "b.py", "tool"}
    assert {"b/a.py", "é/ö.py"} <= {item.path for item in audit.findings}


def test_a_folder_that_cannot_be_listed_is_a_finding_and_stops_nothing(tmp_path: Path) -> None:
    """A path longer than the kernel takes, made from inside."""
    plant(tmp_path, ["a.py"])
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    audit = audit_paths([tmp_path])
    closed = [item for item in audit.findings if item.kind == "unreadable"]
    assert [item.message for item in closed] == ["cannot be listed: File name too long"]
    assert (audit.files, len(audit.findings)) == (1, 3)
    subprocess.run(["rm", "-rf", tmp_path / ("d" * 250)], check=True)  # pytest's own removal fails on such a path
