"""lm: a small byte-level GPT, read from top to bottom: architecture, model, training, evaluation, prediction.

The model predicts each byte from those before it. It is a transformer with pre-norm blocks (Radford et al., 2019) in
today's plainer dress: RMS norm without weights (Zhang and Sennrich, 2019), rotary positions (Su et al., 2021) on
normalised queries and keys (Henry et al., 2020), squared ReLU (So et al., 2021), no biases, and one table for bytes
coming in and going out (Press and Wolf, 2017). On one thread of a small machine each of these bought bits per byte.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch import nn

from codex_core.errors import ConfigError
from codex_train.fit import check_tensors
from codex_train.model_folder import read_config, read_weights
from codex_train.tasks.corpus import find_corpus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_train.config import LmParams
    from codex_train.run import Run

TASK = "lm"
BYTES = 256
FIRST = b"\n"
"""What stands before the first byte, so that each byte has one to be predicted from."""


# Architecture: what config.json says of a model.


@dataclass(frozen=True)
class LmConfig:
    """The shape of a model; ``held_out`` is the rule by which its evaluation knows what it was not trained on."""

    context: int
    layers: int
    width: int
    heads: int
    held_out: int

    def to_json(self) -> dict[str, object]:
        """What config.json holds besides its schema."""
        return {"task": TASK, **asdict(self)}


# Model.


class Attention(nn.Module):
    """Each byte looks at itself and those before it."""

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.queries_keys_values = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """[batch, time, width] to the same."""
        batch, time, width = x.shape
        parts = self.queries_keys_values(x).view(batch, time, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(turn(norm(q), turns), turn(norm(k), turns), v, is_causal=True)
        mixed: torch.Tensor = self.out(y.transpose(1, 2).reshape(batch, time, width))
        return mixed


class Block(nn.Module):
    """Attention and a layer of four times the width, each added to what came in."""

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.up = nn.Linear(config.width, 4 * config.width, bias=False)
        self.down = nn.Linear(4 * config.width, config.width, bias=False)

    def forward(self, x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """[batch, time, width] to the same."""
        x = x + self.attention(norm(x), turns)
        added: torch.Tensor = self.down(F.relu(self.up(norm(x))).square())
        return x + added


class Gpt(nn.Module):
    """Bytes to the logits of the byte after each."""

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.table = nn.Embedding(BYTES, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        cosines, sines = rotations(config.context, config.width // config.heads)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.zeros_(weight)  # a block begins by adding nothing
            else:
                nn.init.normal_(weight, std=0.02 if name == "table.weight" else 0.7 * weight.shape[1] ** -0.5)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """[batch, time] of bytes as 64-bit integers to [batch, time, 256]; time is at most the context."""
        time = text.shape[1]
        turns = self.cosines[:time], self.sines[:time]  # type: ignore[index]  # torch types a buffer as a module, too
        x = self.table(text)
        for block in self.blocks:
            x = block(x, turns)
        return F.linear(norm(x), self.table.weight)

    def loss(self, windows: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        """Nats per byte of [batch, time + 1] bytes, each but the first predicted from those before it."""
        text = windows.long()
        logits = self(text[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten(), reduction=reduction)


def norm(x: torch.Tensor) -> torch.Tensor:
    """``x`` with a root mean square of 1 along its last axis."""
    return F.rms_norm(x, (x.shape[-1],))


def rotations(context: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of each position's angles: [context, size / 2]."""
    speeds = 10_000.0 ** (-torch.arange(size // 2, dtype=torch.float32) / (size // 2))
    angles = torch.outer(torch.arange(context, dtype=torch.float32), speeds)
    return angles.cos(), angles.sin()


def turn(x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotate each pair of halves of ``x``, [batch, heads, time, size], by its position's angles."""
    cosines, sines = turns
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cosines + right * sines, right * cosines - left * sines), dim=-1)


# Training.


def train(run: Run, params: LmParams) -> None:
    """Train on the files in ``run.data`` that are not held out, and leave the model folder."""
    if run.data is None:
        raise ConfigError("the task 'lm' needs data", hint="give the run the folder to train on")
    config = LmConfig(params.context, params.layers, params.width, params.heads, params.held_out)
    windows = cut_windows(run.data, config)
    model = Gpt(config)
    opt = torch.optim.AdamW(
        model.parameters(), lr=params.learning_rate, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    run.track(model=model, opt=opt)
    for batch in run.batches(windows, batch_size=params.batch_size, epochs=None, steps=params.steps):
        for group in opt.param_groups:
            group["lr"] = params.learning_rate * schedule(run.step, params.steps, params.warm_up)
        loss = model.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        run.log(loss=loss, learning_rate=opt.param_groups[0]["lr"])
    run.save_model(model.state_dict(), config.to_json())


def cut_windows(data: Path, config: LmConfig) -> torch.Tensor:
    """The training text as [windows, context + 1] bytes: each begins with the last byte of the one before it."""
    corpus = find_corpus(data, config.held_out)
    text = corpus.read(corpus.training)
    if len(text) <= config.context:
        told = f"{len(text)} bytes in {len(corpus.training)} files, and one window takes {config.context + 1}"
        raise ConfigError(f"there is too little data to train on: {told}", hint="add files, or lower context")
    return torch.frombuffer(text, dtype=torch.uint8).unfold(0, config.context + 1, config.context)


def schedule(step: int, steps: int, warm_up: int) -> float:
    """The share of the learning rate at ``step``, from 1: a straight rise, then a cosine down to a tenth."""
    if step <= warm_up:
        return step / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


# Evaluation.


def evaluate(model: Path, data: Path, limit: int | None) -> dict[str, float]:
    """Bits per byte on the held-out files of ``data``, beside what general compressors need for the same bytes."""
    from codex_train.evaluation import compressed_bits

    network, config = load_model(model)
    corpus = find_corpus(data, config.held_out)
    text = corpus.read(corpus.held_out, limit=limit)
    if not text:
        raise ConfigError(f"{data} holds no bytes to judge by", hint="give it a second file, which is then held out")
    bits = count_bits(network, config, bytes(text)) / len(text)
    return {
        "bits_per_byte": round(bits, 4),
        **{name: round(size / len(text), 4) for name, size in compressed_bits(bytes(text)).items()},
        "bytes": len(text),
        "files": len(corpus.held_out),
    }


@torch.inference_mode()
def count_bits(network: Gpt, config: LmConfig, text: bytes, windows: int = 32) -> float:
    """The bits that the model needs for ``text``, in windows of its context, each of which it sees alone."""
    whole = torch.frombuffer(bytearray(FIRST + text), dtype=torch.uint8)
    full = (len(whole) - 1) // config.context
    nats = 0.0
    if full:
        for batch in torch.split(whole.unfold(0, config.context + 1, config.context), windows):
            nats += network.loss(batch, reduction="sum").item()
    rest = whole[full * config.context :]
    if len(rest) > 1:
        nats += network.loss(rest[None], reduction="sum").item()
    return nats / math.log(2)


# Prediction.


def load_model(folder: Path) -> tuple[Gpt, LmConfig]:
    """The model in a model folder; ConfigError, naming the first tensor that does not fit, if it is none of lm's."""
    told = read_config(folder)
    names = [field.name for field in fields(LmConfig)]
    if told["task"] != TASK or any(type(told.get(name)) is not int for name in names):
        raise ConfigError(f"{folder} holds a model of task {told['task']!r}, not one of {TASK!r}")
    config = LmConfig(**{name: told[name] for name in names})
    network, weights = Gpt(config), read_weights(folder)
    check_tensors("the model", network.state_dict(), weights, str(folder))
    network.load_state_dict(weights)
    return network.eval(), config


@dataclass(frozen=True)
class LmPredictor:
    """``{"bytes": [batch, time]}`` of integers below 256 to ``{"logits": [batch, time, 256]}`` in float32."""

    network: Gpt
    context: int

    def __call__(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:  # Any: numpy arrays
        """ConfigError for another shape, or for more bytes than the model's context."""
        given = np.asarray(inputs["bytes"])
        is_window = given.ndim == 2 and given.size > 0 and given.shape[1] <= self.context
        if not is_window or given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= BYTES:
            raise ConfigError(
                f"'bytes' of {given.dtype} and shape {list(given.shape)} are none this model takes",
                hint=f"give integers from 0 to 255 as [batch, time], with a time of 1 to {self.context}",
            )
        with torch.inference_mode():
            return {"logits": self.network(torch.from_numpy(given.astype(np.int64))).numpy()}
