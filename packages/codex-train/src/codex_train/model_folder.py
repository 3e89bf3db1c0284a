"""The model folder: weights, architecture and manifest, as a task leaves it and a deployment takes it.

    model.safetensors   the weights; the same weights give the same bytes
    config.json         canonical JSON: {"schema": "codex.model/1", "task": NAME, and the architecture}
    manifest.json       the digests of both, and what they were made from (codex_core.checkpoint)

Nothing in the first two depends on machine, time or path, or on whether the run was interrupted.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from codex_core.checkpoint import MANIFEST, CheckpointManifest, check_files, manifest_bytes, read_manifest
from codex_core.digest import canonical_json, list_folder
from codex_core.errors import ConfigError, VerificationError
from codex_train.durable import draft_of, replace_folder
from codex_train.tensor_files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from codex_train.identity import Identity

SCHEMA = "codex.model/1"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def write_model(
    folder: Path, weights: Mapping[str, torch.Tensor], config: Mapping[str, object], *, step: int, identity: Identity
) -> None:
    """Write the model folder ``folder``, in place of one that is there; ``config`` has task and architecture."""
    draft = draft_of(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write_tensors(draft / WEIGHTS, weights)
    (draft / CONFIG).write_bytes(canonical_json({"schema": SCHEMA, **config}) + b"\n")
    manifest = CheckpointManifest(step, list_folder(draft), identity.made_from, identity.environment)
    (draft / MANIFEST).write_bytes(manifest_bytes(manifest))
    replace_folder(draft, folder)


def read_config(folder: Path) -> dict[str, Any]:  # Any: JSON
    """What config.json says; ConfigError if ``folder`` is no model folder."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        if config["schema"] != SCHEMA:
            raise ValueError(f"its schema is {config['schema']!r}, and this release reads {SCHEMA!r}")
        str(config["task"])
    except FileNotFoundError as error:
        message = f"{folder} is no model folder: it has no {CONFIG}"
        raise ConfigError(message, hint="name what train.TASK made") from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{folder} is no model folder: {CONFIG}: {error}", hint="name what train.TASK made"
        ) from error
    return dict(config)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights; VerificationError if the folder has a manifest, and a file is not what that says.

    Files beside those of the manifest, such as a README.md, do not make a model another one.
    A deployed model has none: what verified its bundle has verified it.
    """
    if (folder / MANIFEST).exists():
        for _, problem in check_files(folder, read_manifest(folder)):
            raise VerificationError(f"the model in {folder} is damaged: {problem.message}")
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise VerificationError(f"{folder / WEIGHTS} holds no weights: {error}") from error
