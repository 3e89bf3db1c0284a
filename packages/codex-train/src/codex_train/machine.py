"""The machine that a run is on: threads and deterministic switches set before torch works, and what bits depend on.

This is the one place that changes settings of the whole process. The variables that OpenMP and the matrix libraries
read are set before torch is first imported, if that can still be.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from codex_core.errors import ConfigError
from codex_train.__about__ import __version__

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DISPATCH_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
)
"""What chooses among kernels that round differently; part of an identity where it is set."""


def prepare_machine(threads: int, environ: MutableMapping[str, str] = os.environ) -> str:
    """Make this process compute with ``threads`` threads, and deterministically; says how OpenMP's threads wait.

    They wait passively, which on a busy machine is many times faster, unless torch was imported before the run: then
    they wait as the environment said at that time.
    """
    if threads < 1:
        raise ConfigError(f"a run with {threads} threads computes nothing", hint="give 1 or more threads")
    if "torch" in sys.modules:
        waiting = environ.get("OMP_WAIT_POLICY", "as OpenMP chose: torch was imported before the run")
    else:
        environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)), OMP_WAIT_POLICY="PASSIVE")
        waiting = "PASSIVE"
    import torch

    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), which imports the compiler
    environ["TORCHINDUCTOR_DETERMINISTIC"] = "1"  # so the compiler is told when a user's own code imports it
    deterministic: Any = torch.utils.deterministic  # Any: its attribute is made when the module is imported
    deterministic.fill_uninitialized_memory = False  # filling costs a pass over every new tensor
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return waiting


def observe_environment(environ: MutableMapping[str, str] = os.environ) -> dict[str, object]:
    """What the bits of a run depend on besides its inputs, as it is now."""
    import numpy as np
    import torch

    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "codex-train": __version__,
        "cpu": cpu_model(Path("/proc/cpuinfo")),
        "hash_seed": environ.get("PYTHONHASHSEED", "random") if sys.flags.hash_randomization else "0",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "machine": platform.machine(),
        "mkl": torch.backends.mkl.is_available(),  # type: ignore[no-untyped-call]  # torch's has no types
        "mkldnn": torch.backends.mkldnn.enabled,
        "numpy": np.__version__,
        "precision": torch.get_float32_matmul_precision(),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        **{name: environ[name] for name in DISPATCH_VARIABLES if name in environ},
    }


def installed_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What of a machine the bits of a model depend on, as far as it can be told without importing torch."""
    from importlib.metadata import version

    return {
        "cpu": cpu_model(Path("/proc/cpuinfo")),
        **{name: version(name) for name in ("numpy", "torch")},
        **{name: environ[name] for name in DISPATCH_VARIABLES if name in environ},
    }


def cpu_model(cpuinfo: Path) -> str:
    """The processor's name, as Linux tells it in ``cpuinfo``; the architecture where it tells none."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
