"""Process start: the one place where a stage's process begins, so that a seal can be put around all of them here."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from codex_cli.pipeline.model import StageSpec

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def start_stage(
    stage: StageSpec, *, folder: Path, log: BinaryIO, environment: Mapping[str, str], handed: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start the stage's process in ``folder``, in a process group of its own, with its output going to ``log``.

    A ``command`` runs through the shell. A ``uses`` stage runs in a Python of its own, which finds its job in the
    first and leaves its result in the second of the ``handed`` descriptors; no other is inherited.
    """
    if stage.command is not None:
        words = ["/bin/sh", "-c", stage.command]
    else:
        words = [sys.executable, "-P", "-m", "codex_cli.pipeline.stage_process", *map(str, handed)]
    parent = os.getpid()
    return subprocess.Popen(
        words,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(handed),
        process_group=0,
        preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - this package starts no thread
    )


def signal_stage(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the stage's whole process group; nothing happens if it is gone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def end_orphans(staging: Path) -> None:
    """Kill what a killed run left behind: every process whose TMPDIR lies in ``staging``."""
    mark = b"\0TMPDIR=" + os.fsencode(staging) + b"/"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            descriptor = os.pidfd_open(int(folder.name))
        except OSError:
            continue
        try:
            if mark in b"\0" + (folder / "environ").read_bytes():
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:
            continue  # it has ended, or it is another user's
        finally:
            os.close(descriptor)


def stage_environment(stage: StageSpec, seed: int, inherited: Mapping[str, str], *, scratch: Path) -> dict[str, str]:
    """The environment of a stage: what it inherits, its own table, and what makes two runs alike.

    ``python`` in a command is the one that Codex runs in. Bytecode is not written, since a cache beside an input or
    an output would be one more file; string hashes do not change from run to run.
    """
    path = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), inherited.get("PATH", os.defpath))))
    fixed = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    own = {"CODEX_SEED": str(seed), "CODEX_STAGE": stage.name, "TMPDIR": str(scratch)}
    return {**inherited, **fixed, **stage.env, **own}


def _die_with(parent: int) -> None:
    """Ask the kernel to end this process with its parent (prctl(2)), which may have ended already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)
