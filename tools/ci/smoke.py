"""Install each built wheel alone, with its dependencies, in an empty environment outside the repository, and look.

Siblings come from the wheels just built and from nowhere else: every installed file is compared with the wheel. What a
package must not bring is absent, and importing it loads the standard library only.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tools.ci.projects import Project, Wheel, build_wheels, closure, constraints, projects, uv

HEAVY = {"torch", "mlflow", "numpy", "pandas"}
TRAINING = {"torch", "numpy"}
COMMAND_LINE = {"typer", "click", "rich"}

# Runs in the environment; prints what is there, without importing it, and what the import brought.
PROBE = """
import importlib.metadata, importlib.util, json, sys
module, *suspects = sys.argv[1:]
origins = {}
for found in importlib.metadata.distributions():
    if found.metadata["Name"].startswith("codex-"):
        origins[found.metadata["Name"]] = json.loads(found.read_text("direct_url.json") or "{}").get("url", "an index")
present = [name for name in suspects if importlib.util.find_spec(name)]
before = set(sys.modules)
loaded = __import__(module)
brought = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(json.dumps({"origins": origins, "present": present, "brought": sorted(brought),
                  "purelib": loaded.__path__[0].rpartition("/")[0]}))
"""


@dataclass(frozen=True)
class Case:
    """One installation: a package, with extras or without."""

    name: str
    extras: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """As one would write it for an installer."""
        return self.name + (f"[{','.join(self.extras)}]" if self.extras else "")


def main() -> int:
    """Try every case; 1 if any of them has a problem."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    ours = projects()
    cases = [*(Case(project.name) for project in ours), Case("codex-cli", ("all",))]
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        wheels = build_wheels(Path(scratch) / "wheels")
        for number, case in enumerate(cases):
            problems = try_case(case, ours, wheels, Path(scratch) / f"environment {number}", environ)
            print(
                f"{case.requirement}: {'; '.join(problems) or 'installs alone, is ours, brings what it may'}",
                flush=True,
            )
            failed = failed or bool(problems)
    return 1 if failed else 0


def try_case(
    case: Case, ours: list[Project], wheels: dict[str, Wheel], place: Path, environ: dict[str, str]
) -> list[str]:
    """What is wrong with one installation."""
    needed = closure(wheels, case.name, case.extras)
    extras = f"[{','.join(case.extras)}]" if case.extras else ""
    asked = [f"{case.name}{extras} @ {needed[0].path.as_uri()}", *(str(wheel.path) for wheel in needed[1:])]
    python = place / "bin" / "python"
    pinned = ["--constraint", str(constraints(place.parent))]
    for command in (
        [uv(), "venv", "--quiet", "--python", sys.executable, str(place)],
        [uv(), "pip", "install", "--quiet", "--no-config", "--python", str(python), *pinned, *asked],
        [uv(), "pip", "check", "--quiet", "--python", str(python)],
    ):
        done = subprocess.run(command, cwd=place.parent, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return [f"{' '.join(command[1:3])} failed: {done.stderr.strip()}"]
    (project,) = (project for project in ours if project.name == case.name)
    absent = forbidden(case, ours, needed)
    probe = [str(python), "-I", "-c", PROBE, project.module, *sorted(absent)]
    done = subprocess.run(probe, cwd=place.parent, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [f"importing {project.module} failed: {done.stderr.strip()}"]
    found = json.loads(done.stdout)
    problems = [f"{name} is installed" for name in found["present"]]
    problems += [f"the import loads {name}" for name in found["brought"] if not name.startswith("codex_")]
    problems += foreign(found["origins"], needed, Path(found["purelib"]))
    return problems + (front_door(place, environ) if case.name == "codex-cli" else [])


def forbidden(case: Case, ours: list[Project], needed: list[Wheel]) -> set[str]:
    """The modules that this installation must not bring."""
    brought = {wheel.path.name.partition("-")[0] for wheel in needed}
    siblings = {project.module for project in ours} - brought
    heavy = HEAVY - TRAINING if "codex_train" in brought else HEAVY
    return heavy | siblings | (set() if case.name == "codex-cli" else COMMAND_LINE)


def foreign(origins: dict[str, str], needed: list[Wheel], purelib: Path) -> list[str]:
    """Which siblings, or files of siblings, did not come from our wheels."""
    wanted = {wheel.path.as_uri() for wheel in needed}
    problems = [f"{name} came from {url}" for name, url in origins.items() if url not in wanted]
    if len(origins) != len(needed):
        problems.append(f"installed {sorted(origins)}, wanted {sorted(wheel.path.name for wheel in needed)}")
    for wheel in needed:
        with zipfile.ZipFile(wheel.path) as archive:
            for name in archive.namelist():
                path = purelib / name
                if not name.endswith("/RECORD") and not (path.is_file() and path.read_bytes() == archive.read(name)):
                    problems.append(f"{name} is not the file of {wheel.path.name}")
    return problems


def front_door(place: Path, environ: dict[str, str]) -> list[str]:
    """What is wrong with the installed command."""
    problems = []
    for argument in ("--version", "--help"):
        command = [str(place / "bin" / "codex"), argument]
        done = subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not done.stdout.strip():
            problems.append(f"codex {argument} ended with {done.returncode}: {done.stderr.strip()}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
