"""The six packages as the checks see them: where each lies, what it is called, and how to build it."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent

# The time inside every archive: hatchling's own default, fixed here so that the environment cannot change it.
BUILD_TIME = "1580601600"


@dataclass(frozen=True)
class Project:
    """One package of this repository."""

    name: str
    folder: Path

    @property
    def module(self) -> str:
        """The import name."""
        return self.name.replace("-", "_")


@dataclass(frozen=True)
class Wheel:
    """One built wheel."""

    path: Path

    def requirements(self) -> list[Requirement]:
        """What its metadata asks for, markers and all."""
        with zipfile.ZipFile(self.path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            headers = HeaderParser().parsestr(archive.read(name).decode())
        return [Requirement(text) for text in headers.get_all("Requires-Dist", [])]

    def siblings(self, extras: Sequence[str] = ()) -> dict[str, set[str]]:
        """The packages of this repository that it needs with these extras, and with which extras of theirs."""
        wanted: dict[str, set[str]] = {}
        for requirement in self.requirements():
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or ("",)):
                name = canonicalize_name(requirement.name)
                if name.startswith("codex-"):
                    wanted.setdefault(name, set()).update(requirement.extras)
        return wanted


def projects() -> list[Project]:
    """All packages, sorted by name."""
    found = []
    for path in sorted(ROOT.glob("packages/*/pyproject.toml")):
        name = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]
        found.append(Project(name, path.parent))
    return found


def build(folder: Path, out: Path, *, umask: int = 0o022) -> None:
    """Build the wheel and the sdist of the package in `folder` into `out`, without a network."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": BUILD_TIME, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=folder, env=environ, umask=umask, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"could not build {folder.name}:\n{done.stdout}{done.stderr}")


def copy(folder: Path, to: Path) -> Path:
    """Copy a package without what a clone would not hold."""
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__", "dist", ".*_cache", ".hypothesis"))


def build_wheels(out: Path) -> dict[str, Wheel]:
    """Build every package into `out`; its wheels by distribution name."""
    for project in projects():
        build(project.folder, out)
    wheels = {canonicalize_name(path.name.partition("-")[0]): Wheel(path) for path in sorted(out.glob("*.whl"))}
    return {str(name): wheel for name, wheel in wheels.items()}


def closure(wheels: dict[str, Wheel], name: str, extras: Sequence[str] = ()) -> list[Wheel]:
    """The wheel of `name` and those of every package of this repository that it needs, itself first."""
    done: dict[str, set[str]] = {}
    waiting = [(name, set(extras))]
    while waiting:
        current, wanted = waiting.pop()
        if current in done and wanted <= done[current]:
            continue
        done.setdefault(current, set()).update(wanted)
        waiting.extend(wheels[current].siblings(sorted(done[current])).items())
    return [wheels[found] for found in done]


def constraints(folder: Path) -> Path:
    """A file for an installer's --constraint: the versions that hatch.toml pins for this repository's environment."""
    wanted = tomllib.loads((ROOT / "hatch.toml").read_text(encoding="utf-8"))["envs"]["default"]["dependencies"]
    path = folder / "constraints.txt"
    path.write_text("".join(f"{requirement}\n" for requirement in wanted if "==" in requirement), encoding="utf-8")
    return path


def uv() -> str:
    """The pinned uv that tools/hatchw brought."""
    found = os.environ.get("HATCH_ENV_TYPE_VIRTUAL_UV_PATH") or shutil.which("uv")
    if not found:
        sys.exit("no uv here; start this through tools/hatchw run, which brings it")
    return found
