"""What common tools try to reach by themselves: each runs in a seal, with the switches of Codex off and on.

    tools/hatchw run phone-home [TOOL...] [--environments FOLDER] [--page FILE]

Each tool is installed from the package index into an environment of its own below FOLDER, which is kept, and does its
most ordinary work in a seal of the level kernel. The keeper counts what it tried: the requests that Python's sockets
were refused, the names that native code looked up, and the packets for which there was no route. Nothing gets out.
With all tools measured, FILE (default: docs/reference/phone-home.md) is written anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codex_core.offline.environment import sealed_environment
from codex_core.offline.keeper import Keeper
from codex_core.offline.mounts import View
from codex_core.offline.recorder import Recorder
from codex_core.offline.seal import Program, execute
from codex_core.offline.switches import SWITCHES
from codex_core.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_core.offline.attestation import Observation

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/phone-home.md"
PATIENCE = 180
"""Seconds that one tool may take."""


@dataclass(frozen=True)
class Tool:
    """A tool: what to install, what it is asked to do, in words, and the Python program that does it."""

    name: str
    requirements: tuple[str, ...]
    work: str
    program: str


TOOLS = (
    Tool(
        "mlflow-skinny",
        ("mlflow-skinny", "sqlalchemy", "alembic"),
        "logs a metric of a run to SQLite",
        """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run():
    mlflow.log_metric("loss", 1.0)
""",
    ),
    Tool(
        "wandb",
        ("wandb",),
        "logs a metric of a run in offline mode",
        """
import wandb
run = wandb.init(project="p", mode="offline", dir=".")
run.log({"loss": 1.0})
run.finish()
""",
    ),
    Tool(
        "huggingface_hub",
        ("huggingface_hub",),
        "is asked for a file of a model that is not in its cache",
        """
from huggingface_hub import hf_hub_download
try:
    hf_hub_download("org/model", "config.json")
except Exception as error:
    print(type(error).__name__)
""",
    ),
    Tool(
        "lightning",
        ("lightning",),
        "trains a model for two steps",
        """
import lightning
from lightning.pytorch.demos.boring_classes import BoringModel
lightning.Trainer(max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False).fit(BoringModel())
""",
    ),
    Tool(
        "gradio",
        ("gradio",),
        "starts an interface on loopback, and closes it",
        """
import gradio
demo = gradio.Interface(lambda text: text, "text", "text")
demo.launch(prevent_thread_lock=True, quiet=True)
demo.close()
""",
    ),
    Tool(
        "streamlit",
        ("streamlit",),
        "serves a page on loopback for some seconds",
        """
import pathlib, subprocess, sys
pathlib.Path("app.py").write_text("import streamlit\\nstreamlit.write('words')\\n")
server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"])
try:
    server.wait(15)
except subprocess.TimeoutExpired:
    server.terminate()
    server.wait()
""",
    ),
    Tool(
        "dvc",
        ("dvc",),
        "adds a file to a new repository",
        """
import pathlib, subprocess, sys, time
pathlib.Path("data").write_text("data")
for words in (["init", "--no-scm"], ["add", "data"], ["status"]):
    subprocess.run([pathlib.Path(sys.executable).with_name("dvc"), *words], check=True)
time.sleep(10)  # what it sends, it sends from a process that goes on in the background
""",
    ),
    Tool(
        "ray",
        ("ray",),
        "runs one task in a cluster of its own",
        """
import ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
print(ray.get(ray.remote(lambda: 1).remote()))
ray.shutdown()
""",
    ),
)


@dataclass(frozen=True)
class Tries:
    """What one run of a tool tried, and how it ended.

    ``refused`` are the requests of Python's sockets by their endpoints; ``names`` were looked up by native code;
    ``packets`` are those without a route.
    """

    refused: Mapping[str, int]
    names: Mapping[str, int]
    packets: int
    status: int


@dataclass(frozen=True)
class Finding:
    """One tool, in the version that was measured, without the switches and with them."""

    tool: Tool
    version: str
    off: Tries
    on: Tries


def main() -> int:
    """Measure the tools that are asked for; write the page if these are all."""
    parser = argparse.ArgumentParser(description="What common tools try to reach by themselves.")
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="measure these alone, and write no page")
    parser.add_argument(
        "--environments", type=Path, default=ROOT / ".hatch/phone-home", help="where they are installed"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="what is written")
    options = parser.parse_args()
    known = {tool.name: tool for tool in TOOLS}
    if unknown := set(options.tools) - set(known):
        parser.error(f"there is no tool {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    findings = []
    for tool in [known[name] for name in options.tools] or TOOLS:
        print(f"{tool.name}: installing", file=sys.stderr, flush=True)
        python = install(tool, options.environments)
        print(f"{tool.name}: running", file=sys.stderr, flush=True)
        off, on = (run(python, tool.program, switches=switches) for switches in (False, True))
        findings.append(Finding(tool, installed_version(python, tool.requirements[0]), off, on))
        print("\n".join(rows(findings[-1])), flush=True)
    if not options.tools:
        options.page.write_text(page(findings, datetime.now(UTC)))
        print(f"wrote {options.page}", file=sys.stderr)
    return 0


def install(tool: Tool, folder: Path) -> Path:
    """The Python of an environment with ``tool``; torch, where it comes along, is the one that is installed here."""
    python = folder / tool.name / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / tool.name], check=True)
    pinned = []
    try:
        pinned = [f"torch=={version('torch').partition('+')[0]}"] if tool.name == "lightning" else []
    except PackageNotFoundError:
        print("torch is not installed here, so the newest is fetched", file=sys.stderr)
    subprocess.run([python, "-m", "pip", "install", "-qq", *pinned, *tool.requirements], check=True)
    return python


def installed_version(python: Path, distribution: str) -> str:
    """The version of a distribution in another environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({distribution!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def run(python: Path, program: str, *, switches: bool) -> Tries:
    """What ``program`` tries in a seal, in an empty folder and with an empty home."""
    with tempfile.TemporaryDirectory(prefix="phone-home-") as name:
        script = Path(name, "program.py")
        script.write_text(program)
        environment = {**sealed_environment(os.environ), "HOME": name, "PATH": f"{python.parent}:{os.environ['PATH']}"}
        if not switches:
            environment = {
                key: value for key, value in environment.items() if key not in {one.name for one in SWITCHES}
            }
        return sealed([str(python), str(script)], Path(name), environment)


def sealed(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Tries:
    """What a command tries in a seal of the level kernel."""
    refused: Counter[str] = Counter()

    def note(kind: str, body: Mapping[str, object]) -> None:
        if kind in {"decision", "repeated"}:
            refused[endpoint(str(body["url"]))] += int(str(body.get("times", 1)))

    recorder = Recorder("phone-home", Policy, note)
    endings: list[tuple[int, Observation]] = []
    keeper = Keeper(required="kernel")
    with open(folder / "output", "wb") as output:
        program = Program(
            lambda: execute(["timeout", str(PATIENCE), *words]),
            folder=str(folder),
            environment=environment,
            view=View(kept=[str(folder), str(ROOT), sys.prefix, sys.base_prefix, words[0]]),
            output=output.fileno(),
            own_group=True,
        )
        try:
            seal = keeper.start(program, recorder, lambda *ending: endings.append(ending))
            keeper.serve(seal, lambda: bool(endings))
        finally:
            keeper.close()
    ((status, seen),) = endings
    code = os.waitstatus_to_exitcode(status)
    if code:
        print((folder / "output").read_text(errors="replace")[-2000:], file=sys.stderr)
    return Tries(dict(refused), dict(recorder.names), seen.attempts or 0, code)


def endpoint(url: str) -> str:
    """Host and port of a URL, or what stands for it."""
    return urlsplit(url).netloc or url


def page(findings: Sequence[Finding], at: datetime) -> str:
    """The page of the reference."""
    table = "\n".join(row for finding in findings for row in rows(finding))
    return f"""# What phones home

Tools that do their most ordinary work, each in a seal of the level `kernel`, once without the
[switches](offline-switches.md) that Codex sets and once with them. Measured by `tools/hatchw run phone-home` on
{at.date().isoformat()}, Python {sys.version_info.major}.{sys.version_info.minor}. Nothing of it got out.

Counted is what the keeper saw: requests that Python's sockets were refused, by their endpoints; names that native code
looked up; and packets for which there was no route. A program that tries again is counted again, so the figures differ
a little from run to run. With a network that answers there may be more: a request that follows another is not made
where the first one fails.

| tool | what it did | switches | requests refused | names looked up by native code | packets |
|---|---|---|---|---|---|
{table}
"""


def rows(finding: Finding) -> list[str]:
    """The two rows of one tool."""
    name, work = f"{finding.tool.name} {finding.version}", finding.tool.work
    return [_row(name, work, "off", finding.off), _row("", "", "on", finding.on)]


def _row(name: str, work: str, switches: str, tries: Tries) -> str:
    failed = f" (it ended with {tries.status})" if tries.status else ""
    cells = (name, work, f"{switches}{failed}", _counted(tries.refused), _counted(tries.names), str(tries.packets))
    return f"| {' | '.join(cells)} |"


def _counted(found: Mapping[str, int]) -> str:
    return ", ".join(f"{times} of `{name}`" for name, times in sorted(found.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
