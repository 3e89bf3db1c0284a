"""evaluation.json: a model's figures on what it was not trained on, beside those of general compressors.

It is canonical JSON and a newline, the same bytes each time on one machine:
``{"schema": "codex.evaluation/1", "task", "model": {file: digest}, "figures"}``.
"""

from __future__ import annotations

import lzma
import zlib
from typing import TYPE_CHECKING

from codex_core.digest import canonical_json, digest_file
from codex_core.registry import Registry
from codex_train.machine import prepare_machine

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "codex.evaluation/1"

ZLIB_LEVEL = 9
LZMA_PRESET = 9


def evaluate_model(model: Path, data: Path, *, limit: int, threads: int) -> bytes:
    """The bytes of evaluation.json for the model folder ``model``, judged by at most ``limit`` of ``data``."""
    prepare_machine(threads)
    from codex_train.model_folder import CONFIG, WEIGHTS, read_config

    name = str(read_config(model)["task"])
    figures = Registry("codex.tasks").load(name).evaluate(model, data, limit=limit)
    digests = {file: digest_file(model / file) for file in (CONFIG, WEIGHTS)}
    return canonical_json({"schema": SCHEMA, "task": name, "model": digests, "figures": dict(figures)}) + b"\n"


def compressed_bits(text: bytes) -> dict[str, int]:
    """The bits that zlib at level 9 and lzma at preset 9 need for ``text``, neither having seen anything before it."""
    packed = zlib.compress(text, ZLIB_LEVEL), lzma.compress(text, preset=LZMA_PRESET)
    names = f"zlib_{ZLIB_LEVEL}_bits_per_byte", f"lzma_{LZMA_PRESET}_bits_per_byte"
    return {name: 8 * len(data) for name, data in zip(names, packed, strict=True)}
