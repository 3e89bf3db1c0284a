"""Make a folder from which pip installs packages of this repository on a machine with no network.

    tools/hatchw run wheelhouse codex-connectors
    tools/hatchw run wheelhouse "codex-cli[connectors,analysis]"

Our own wheels are built here. The wheels of third parties are fetched as pip is configured to, for the Python and the
kind of machine that this runs on. The folder is then proved: an empty environment resolves the packages from it alone.
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tools.ci.projects import ROOT, build_wheels, closure, constraints, projects

DEFAULT = ROOT / "dist" / "wheelhouse"


def main(arguments: list[str]) -> int:
    """Make the folder, prove it, print the line that installs from it."""
    parser = argparse.ArgumentParser(prog="tools/hatchw run wheelhouse", description=__doc__, formatter_class=_FORMAT)
    parser.add_argument(
        "package", nargs="+", metavar="PACKAGE[EXTRAS]", help="as in codex-connectors or codex-cli[all]"
    )
    parser.add_argument("--output", type=Path, default=DEFAULT, metavar="FOLDER", help="default: dist/wheelhouse")
    options = parser.parse_args(arguments)
    wanted = [checked(parser, text) for text in options.package]
    folder = options.output.resolve()
    if not replaceable(folder):
        parser.error(f"{folder} holds something other than wheels; name an empty or a new folder with --output")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheelhouse-") as scratch:
        made = Path(scratch) / "wheels"
        made.mkdir(mode=0o755)
        fill(made, wanted, Path(scratch))
        prove(made, wanted, Path(scratch))
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    report(folder, wanted)
    return 0


_FORMAT = argparse.RawDescriptionHelpFormatter


def checked(parser: argparse.ArgumentParser, text: str) -> Requirement:
    """One PACKAGE[EXTRAS] of this repository; a usage error for anything else."""
    known = {project.name: project for project in projects()}
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        parser.error(
            f"{text!r} is no package name; write one of {', '.join(known)}, with extras as in 'codex-cli[all]'"
        )
    name = canonicalize_name(requirement.name)
    if name not in known:
        parser.error(f"there is no package {requirement.name!r} here; write one of {', '.join(known)}")
    if requirement.specifier or requirement.url or requirement.marker:
        parser.error(f"{text!r} names more than a package; its version is the one in this repository: write {name!r}")
    offered = extras_of(known[name].folder)
    unknown = sorted(requirement.extras - offered)
    if unknown:
        extras = f"its extras are {', '.join(sorted(offered))}" if offered else "it has no extras"
        parser.error(f"{name} has no extra {unknown[0]!r}; {extras}")
    requirement.name = name
    return requirement


def extras_of(folder: Path) -> set[str]:
    """The extras that a package declares."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project.get("optional-dependencies", {}))


def replaceable(folder: Path) -> bool:
    """Whether the folder is absent, or holds wheels alone."""
    return not folder.exists() or (folder.is_dir() and all(path.suffix == ".whl" for path in folder.iterdir()))


def fill(made: Path, wanted: list[Requirement], scratch: Path) -> None:
    """Put our wheels and those of third parties into the folder."""
    say("building our wheels")
    built = build_wheels(scratch / "built")
    needed = {
        wheel.path for requirement in wanted for wheel in closure(built, requirement.name, sorted(requirement.extras))
    }
    named = {built[requirement.name].path: requirement for requirement in wanted}
    say("fetching the wheels of third parties")
    asked = [f"{named[path]} @ {path.as_uri()}" if path in named else str(path) for path in sorted(needed)]
    python = fresh_environment(scratch / "fetching")
    pinned = ["--constraint", str(constraints(scratch))]
    pip(python, ["wheel", "--quiet", "--wheel-dir", str(made), *pinned, *asked], dict(os.environ))
    for path in sorted(needed):
        shutil.copyfile(path, made / path.name)


def prove(made: Path, wanted: list[Requirement], scratch: Path) -> None:
    """Resolve the packages in an empty environment that knows of nothing but the folder."""
    say("proving it: an empty environment, the folder, and no index")
    python = fresh_environment(scratch / "proving")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environ["PIP_CONFIG_FILE"] = os.devnull
    arguments = ["install", "--quiet", "--dry-run", "--no-index", "--find-links", str(made), *map(str, wanted)]
    pip(python, arguments, environ)


def fresh_environment(place: Path) -> Path:
    """Make an empty environment with the pip that comes with Python; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    return place / "bin" / "python"


def pip(python: Path, arguments: list[str], environ: dict[str, str]) -> None:
    """Run pip; end with its message and the next step when it fails."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
        sys.exit(
            f"wheelhouse: pip {arguments[0]} failed:\n"
            + "\n".join(lines)
            + "\nNext: see whether pip reaches its index."
        )


def report(folder: Path, wanted: list[Requirement]) -> None:
    """Say what was made and how to use it; the last line is the command."""
    wheels = sorted(folder.glob("*.whl"))
    size = sum(path.stat().st_size for path in wheels) / 1e6
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    machine = f"Python {sys.version_info.major}.{sys.version_info.minor} on {platform.system()} {platform.machine()}"
    print(f"{shown}: {len(wheels)} wheels, {size:.1f} MB, for {machine}")
    print("Copy the folder to the machine without a network, and run there, where it has the name given here:")
    names = " ".join(f'"{requirement}"' for requirement in wanted)
    print(f"pip install --no-index --find-links {shlex.quote(str(shown))} {names}")


def say(text: str) -> None:
    print(f"wheelhouse: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
