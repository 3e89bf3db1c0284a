"""What works inside a seal as it does outside, and without a warning of our making."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Codex

SEALED = [sys.executable, "-m", "codex_cli", "sealed", "--require-guard", "kernel", "--"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

ALL_REDUCE = """
import torch
from torch import distributed

distributed.init_process_group("gloo")
number = torch.tensor([float(distributed.get_rank() + 1)])
distributed.all_reduce(number)
if distributed.get_rank() == 0:
    print("sum", number.item())
distributed.destroy_process_group()
"""
LOADER = """
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset


class Squares(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.tensor(index**2)


def total(context):
    loader = DataLoader(Squares(), batch_size=8, num_workers=2, multiprocessing_context=context)
    return sum(int(batch.sum()) for batch in loader)


def stage(ctx, params):
    Path(ctx.outputs[0]).write_text(str(total(params["context"])))


if __name__ == "__main__":
    print(total(sys.argv[1]))
"""
TOTAL = str(sum(index**2 for index in range(64)))
PIPELINE = """
[pipeline]
name = "inside"

[stages.load]
uses = "loader:stage"
outputs = ["total.txt"]
with = {{ context = "{context}" }}
env = {{ OMP_NUM_THREADS = "1", OMP_WAIT_POLICY = "PASSIVE" }}
"""
TRACKING = """
import sys
import mlflow

mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/mlflow.db")
with mlflow.start_run() as run:
    mlflow.log_param("rate", 0.1)
    mlflow.log_metric("loss", 0.5, step=1)
data = mlflow.get_run(run.info.run_id).data
print(data.params, data.metrics)
"""
SERVER = """
import http.server, socket, sys, threading, urllib.request


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


server = Server((sys.argv[1], 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
import subprocess
code = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
subprocess.run([sys.executable, "-c", code, f"http://{sys.argv[2]}:{server.server_port}/"], check=True)
"""


def both(words: list[str], folder: Path) -> list[tuple[int, str, str]]:
    """How a command ends without a seal and in one: exit, stdout and stderr."""
    environ = {**QUIET, "XDG_STATE_HOME": str(folder)}
    ended = [
        subprocess.run([*sealed, *words], cwd=folder, env=environ, capture_output=True, text=True, check=False)
        for sealed in ([], SEALED)
    ]
    return [(done.returncode, done.stdout, told(done.stderr)) for done in ended]


def told(text: str) -> str:
    """``text`` without what Python's own tracker of multiprocessing says, which on a busy machine is late."""
    return "".join(line for line in text.splitlines(keepends=True) if "resource_tracker" not in line)


def test_torchrun_with_two_ranks_of_gloo(folder: Path) -> None:
    (folder / "reduce.py").write_text(ALL_REDUCE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "reduce.py"]
    outside, inside = both(torchrun, folder)
    assert inside == (0, "sum 3.0\n", "")
    assert outside[:2] == inside[:2]


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_workers_of_a_data_loader(context: str, folder: Path) -> None:
    (folder / "loader.py").write_text(LOADER)
    outside, inside = both([sys.executable, "loader.py", context], folder)
    assert inside == outside == (0, f"{TOTAL}\n", "")


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_workers_of_a_data_loader_in_a_stage(context: str, codex: Codex, folder: Path) -> None:
    (folder / "loader.py").write_text(LOADER)
    (folder / "codex.toml").write_text(PIPELINE.format(context=context))
    answer = codex("run", "--require-guard", "kernel", cwd=folder)
    log = (folder / ".codex/logs/load.log").read_text()
    assert (answer.exit, answer.err, told(log)) == (0, "", "")
    assert (folder / "total.txt").read_text() == TOTAL


def test_mlflow_on_sqlite(folder: Path) -> None:
    words = [*SEALED, sys.executable, "-W", "default", "-c", TRACKING, str(folder)]
    environ = {**QUIET, "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "{'rate': '0.1'} {'loss': 0.5}\n"), done.stderr
    assert "codex" not in done.stderr
    assert "refused" not in done.stderr
    assert (folder / "codex/ledger.ndjson").read_bytes() == b""  # nothing was refused


@pytest.mark.parametrize(
    ("address", "name"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "[::1]")]
)
def test_a_local_server_and_its_client(address: str, name: str, folder: Path) -> None:
    _, inside = both([sys.executable, "-c", SERVER, address, name], folder)
    assert inside == (0, "hello\n", "")


def test_a_server_that_is_known_by_the_machine_s_own_name(folder: Path) -> None:
    _, inside = both([sys.executable, "-c", SERVER, "0.0.0.0", os.uname().nodename], folder)
    assert inside == (0, "hello\n", "")
