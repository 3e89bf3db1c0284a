"""lm: it learns, ends in the same bytes, never reads what is held out, and is judged and served by what it wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from codex_core.errors import ConfigError
from codex_core.events import read_events
from codex_train import Run
from codex_train.config import LmParams
from codex_train.tasks import language_model, lm
from codex_train.tasks.corpus import find_corpus
from codex_train.tasks.lm import Gpt, LmConfig, count_bits, cut_windows, schedule

PARAMS = LmParams(steps=20, batch_size=4, context=16, layers=1, width=16, heads=2, learning_rate=0.02, warm_up=2)
CONFIG = LmConfig(context=16, layers=1, width=16, heads=2, held_out=20)
TEXT = b"for step in range(10):\n    print(step)\n" * 8


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.py").write_bytes(TEXT[number:])
    return folder


def train(folder: Path, data: Path, params: LmParams = PARAMS) -> Path:
    with Run(folder, seed=7, data=data, task="lm") as run:
        lm.train(run, params)
        return run.folder.model


def test_the_loss_goes_down(tmp_path: Path, data: Path) -> None:
    train(tmp_path / "run", data)
    losses = [e.values["loss"] for e in read_events(tmp_path / "run" / "events.ndjson") if e.kind == "step"]
    assert len(losses) == 20
    assert losses[0] == pytest.approx(math.log(256), abs=0.2)
    assert isinstance(losses[-1], float)
    assert losses[-1] < 3.2


def test_two_trainings_end_in_the_same_bytes(tmp_path: Path, data: Path) -> None:
    one, other = (train(tmp_path / name, data) for name in ("one", "other"))
    for name in ("model.safetensors", "config.json", "manifest.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert json.loads((one / "config.json").read_bytes()) == {
        "schema": "codex.model/1",
        "task": "lm",
        "context": 16,
        "layers": 1,
        "width": 16,
        "heads": 2,
        "held_out": 20,
    }


def test_training_never_opens_a_held_out_file(tmp_path: Path, data: Path) -> None:
    before = train(tmp_path / "before", data)
    (held,) = find_corpus(data, 20).held_out
    (data / held).write_bytes(b"something else entirely\n" * 100)
    after = train(tmp_path / "after", data)
    assert (before / "model.safetensors").read_bytes() == (after / "model.safetensors").read_bytes()


def test_windows_cover_the_text_and_overlap_by_the_byte_that_is_predicted_from(data: Path) -> None:
    corpus = find_corpus(data, 20)
    text = bytes(corpus.read(corpus.training))
    windows = cut_windows(data, CONFIG)
    assert [bytes(row.tolist()) for row in windows[:3]] == [text[at : at + 17] for at in (0, 16, 32)]
    assert len(windows) == (len(text) - 1) // 16


def test_too_little_data_for_a_window_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 16)
    with pytest.raises(ConfigError, match="16 bytes in 1 files, and one window takes 17"):
        cut_windows(tmp_path, CONFIG)


def test_a_model_never_looks_ahead() -> None:
    torch.manual_seed(0)
    network = Gpt(CONFIG)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.3)
    text = torch.randint(256, (2, 16))
    changed = text.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 256
    before, after = network(text), network(changed)
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.equal(before[:, 9], after[:, 9])


def test_a_model_that_knows_nothing_needs_eight_bits_for_a_byte() -> None:
    network = Gpt(CONFIG)
    nn.init.zeros_(network.table.weight)
    for text in (b"x", TEXT[:16], TEXT[:17], TEXT):
        assert count_bits(network, CONFIG, text) == pytest.approx(8 * len(text), rel=1e-6)


def test_every_byte_is_judged_once_whatever_the_batches(tmp_path: Path, data: Path) -> None:
    from codex_train.tasks.lm import load_model

    network, config = load_model(train(tmp_path / "run", data))
    text = TEXT[:150]
    whole = b"\n" + text
    nats = 0.0
    for start in range(0, len(text), 16):
        window = torch.tensor(list(whole[start : start + 17]))[None]
        nats += network.loss(window, reduction="sum").item()
    assert count_bits(network, config, text) == pytest.approx(nats / math.log(2), rel=1e-5)
    assert count_bits(network, config, text, windows=2) == pytest.approx(nats / math.log(2), rel=1e-5)


def test_the_schedule_rises_and_falls() -> None:
    shares = [schedule(step, 20, 4) for step in range(1, 21)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[3:] == sorted(shares[3:], reverse=True)
    assert shares[-1] == pytest.approx(0.1)


def test_it_is_judged_beside_compressors_for_the_same_bytes(tmp_path: Path, data: Path) -> None:
    import lzma
    import zlib

    model = train(tmp_path / "run", data)
    (held,) = find_corpus(data, 20).held_out
    text = (data / held).read_bytes()
    figures = dict(language_model.evaluate(model, data))
    bits = figures.pop("bits_per_byte")
    assert 2 < bits < 6
    assert figures == {
        "zlib_9_bits_per_byte": round(8 * len(zlib.compress(text, 9)) / len(text), 4),
        "lzma_9_bits_per_byte": round(8 * len(lzma.compress(text, preset=9)) / len(text), 4),
        "bytes": len(text),
        "files": 1,
    }
    assert language_model.evaluate(model, data, limit=40)["bytes"] == 40
    assert language_model.evaluate(model, data)["bits_per_byte"] == bits


def test_without_a_held_out_byte_it_cannot_be_judged(tmp_path: Path, data: Path) -> None:
    model = train(tmp_path / "run", data)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "a").write_bytes(TEXT)
    with pytest.raises(ConfigError, match="holds no bytes to judge by"):
        language_model.evaluate(model, alone)


def test_what_it_wrote_predicts(tmp_path: Path, data: Path) -> None:
    predict = language_model.load(train(tmp_path / "run", data, PARAMS.model_copy(update={"steps": 60})))
    text = np.frombuffer(b"for step in ran" * 2, dtype=np.uint8).reshape(2, 15)
    logits = predict({"bytes": text})["logits"]
    assert (logits.shape, logits.dtype) == ((2, 15, 256), np.float32)
    assert logits[0].argmax(-1)[6] in b"steprang( "
    for wrong in (text[0], text[:, :0], np.zeros((1, 17)), np.full((1, 2), 256), np.full((1, 2), -1)):
        with pytest.raises(ConfigError, match="are none this model takes"):
            predict({"bytes": wrong})


def test_another_architecture_than_its_config_says_is_refused_with_the_tensor_named(tmp_path: Path, data: Path) -> None:
    model = train(tmp_path / "run", data)
    (model / "manifest.json").unlink()
    config = json.loads((model / "config.json").read_bytes())
    (model / "config.json").write_text(json.dumps({**config, "width": 32}))
    with pytest.raises(ConfigError, match=r"the model\.table\.weight is float32 \[256, 32\], and in .* \[256, 16\]"):
        language_model.load(model)
    (model / "config.json").write_text(json.dumps({**config, "task": "other"}))
    with pytest.raises(ConfigError, match="holds a model of task 'other'"):
        language_model.load(model)
