"""evaluation.json: canonical, the same bytes each time, and about the very files it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_core.digest import canonical_json, digest_file
from codex_core.errors import ConfigError, PluginUnknown
from codex_train import Run
from codex_train.config import LmParams
from codex_train.evaluation import compressed_bits, evaluate_model
from codex_train.tasks import lm


def test_it_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(4):
        (data / str(number)).write_bytes(b"one two three\n" * 10)
    with Run(tmp_path / "run", data=data) as run:
        lm.train(run, LmParams(steps=2, batch_size=2, context=8, layers=1, width=8, heads=1))
    model = run.folder.model
    found = evaluate_model(model, data, limit=100, threads=1)
    assert found == evaluate_model(model, data, limit=100, threads=1)
    told = json.loads(found)
    assert found == canonical_json(told) + b"\n"
    assert (told["schema"], told["task"], told["figures"]["bytes"]) == ("codex.evaluation/1", "lm", 100)
    assert told["model"] == {name: digest_file(model / name) for name in ("config.json", "model.safetensors")}


def test_a_folder_that_is_no_model_or_of_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no model folder"):
        evaluate_model(tmp_path, tmp_path, limit=1, threads=1)
    (tmp_path / "config.json").write_text('{"schema":"codex.model/1","task":"chess"}')
    with pytest.raises(PluginUnknown, match="no task 'chess' is installed"):
        evaluate_model(tmp_path, tmp_path, limit=1, threads=1)


def test_compressors_are_named_with_their_levels() -> None:
    found = compressed_bits(b"abc" * 1000)
    assert list(found) == ["zlib_9_bits_per_byte", "lzma_9_bits_per_byte"]
    assert all(0 < bits < 8 * 3000 for bits in found.values())
