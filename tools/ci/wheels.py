"""Build every package twice, from two copies that differ in all but content, and compare the bytes.

The copies differ in place, file times, modes and umask. A wheel is also built from the sdist, and must be the same.
"""

import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tools.ci.projects import ROOT, Project, build, copy, projects

OUT = ROOT / "dist" / "packages"


def main() -> int:
    """Build all packages into dist/packages; 1 if any build depends on more than its content."""
    shutil.rmtree(OUT, ignore_errors=True)
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        for project in projects():
            found = check(project, Path(scratch) / project.name)
            problems += found
            print(f"{project.name}: {'not reproducible' if found else 'the same bytes three times'}", flush=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"wheels: {len(list(OUT.glob('*.whl')))} in {OUT.relative_to(ROOT)}")
    return 1 if problems else 0


def check(project: Project, scratch: Path) -> list[str]:
    """What differs between builds of one package."""
    first, second, third = scratch / "first", scratch / "a second place", scratch / "third"
    build(copy(project.folder, first / "source"), OUT)
    disturb(copy(project.folder, second / "source"))
    build(second / "source", second / "out", umask=0o077)
    third.mkdir()
    (sdist,) = (second / "out").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(third, filter="data")
    (unpacked,) = third.iterdir()
    build(unpacked, third / "out")
    problems = missing_members(project, next((second / "out").glob("*.whl")))
    for other in (second / "out", third / "out"):
        for path in sorted(other.iterdir()):
            problems += differences(OUT / path.name, path)
    return problems


def disturb(folder: Path) -> None:
    """Change what a clone on another machine may change: times and modes."""
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))


def differences(one: Path, other: Path) -> list[str]:
    """Why two archives are not the same bytes; empty when they are."""
    if not one.exists():
        return [f"{other.name}: built by one of the builds only"]
    if one.read_bytes() == other.read_bytes():
        return []
    before, after = members(one), members(other)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [f"{one.name}: differs in {', '.join(changed) or 'the archive around its members'}"]


def members(path: Path) -> dict[str, tuple[object, ...]]:
    """Each member of a wheel or an sdist with its content, time and mode."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename: (archive.read(info), info.date_time, info.external_attr) for info in archive.infolist()
            }
    with tarfile.open(path) as tar:
        return {info.name: (_content(tar, info), info.mtime, info.mode, info.uid, info.uname) for info in tar}


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(info)
    return stream.read() if stream else b""


def missing_members(project: Project, wheel: Path) -> list[str]:
    """What a wheel of ours must hold and this one does not, or must not hold and does."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    wanted = [f"{project.module}/__about__.py", f"{project.module}/py.typed"]
    problems = [f"{wheel.name}: has no {name}" for name in wanted if name not in names]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        problems.append(f"{wheel.name}: has no license")
    strange = {name.partition("/")[0] for name in names} - {project.module}
    problems += [f"{wheel.name}: installs {name}" for name in sorted(strange) if not name.endswith(".dist-info")]
    return problems


if __name__ == "__main__":
    sys.exit(main())
