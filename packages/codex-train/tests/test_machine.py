"""The machine: threads and switches are set, and told as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codex_core.errors import ConfigError
from codex_train.machine import cpu_model, installed_environment, observe_environment, prepare_machine


def prepared(before: str) -> dict[str, object]:
    program = (
        f"{before}\nimport json, os\nfrom codex_train.machine import prepare_machine, observe_environment\n"
        "waiting = prepare_machine(2)\nimport torch\n"
        "print(json.dumps({'waiting': waiting, 'omp': os.environ.get('OMP_NUM_THREADS'),"
        " 'policy': os.environ.get('OMP_WAIT_POLICY'), **observe_environment()}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={})
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_variables_are_set_before_torch_is_imported() -> None:
    told = prepared("")
    assert [told[name] for name in ("waiting", "omp", "policy", "threads")] == ["PASSIVE", "2", "PASSIVE", 2]


def test_where_torch_was_imported_before_that_is_told() -> None:
    told = prepared("import torch")
    assert [told[name] for name in ("omp", "policy", "threads")] == [None, None, 2]
    assert told["waiting"] == "as OpenMP chose: torch was imported before the run"


def test_kernels_are_deterministic_and_the_compiler_is_told() -> None:
    environ: dict[str, str] = {}
    prepare_machine(1, environ)
    assert torch.are_deterministic_algorithms_enabled()
    assert environ["TORCHINDUCTOR_DETERMINISTIC"] == "1"


def test_what_chooses_kernels_is_part_of_the_environment_where_it_is_set() -> None:
    assert "MKL_CBWR" not in observe_environment({})
    assert observe_environment({"MKL_CBWR": "COMPATIBLE"})["MKL_CBWR"] == "COMPATIBLE"


def test_no_threads_are_refused() -> None:
    with pytest.raises(ConfigError):
        prepare_machine(0, {})


def test_the_processor_is_named_as_linux_names_it(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: Other\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Some CPU @ 3 GHz"
    assert cpu_model(tmp_path / "absent") != ""


def test_what_is_installed_is_told_without_torch() -> None:
    program = (
        "import sys\nfrom codex_train.stages import evaluate, train\n"
        "told = {**train.member('lm').environment(), **evaluate.environment()}\n"
        "print(sorted(told), told['torch'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={})
    assert done.stdout == f"['cpu', 'numpy', 'torch', 'zlib'] {torch.__version__} False\n"
    assert installed_environment({"MKL_CBWR": "AVX2", "HOME": "/"})["MKL_CBWR"] == "AVX2"
