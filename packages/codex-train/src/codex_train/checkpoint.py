"""Checkpoints: folders that hold a run's whole state after a step, written whole or not at all, verified when read.

    checkpoints/step-00000120/NAME.safetensors   the tensors of each tracked object, and the run's own: run.safetensors
                              state.json         what of the states is no tensor, and a digest of each tensor
                              manifest.json      the digest of each file (codex_core.checkpoint)

No pickle is written or read.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file

from codex_core.checkpoint import MANIFEST, CheckpointManifest, check_files, manifest_bytes, read_manifest
from codex_core.digest import digest_json, list_folder
from codex_core.errors import DigestError, VerificationError
from codex_train.checkpoint_folder import place_of
from codex_train.durable import draft_of, make_folder, publish_folder
from codex_train.identity import Identity
from codex_train.states import join, part
from codex_train.tensor_files import first_damage, tensor_digests, write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_train.states import Tensors

SCHEMA = "codex.run-state/1"
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A run after ``step``: ``states`` by the names under which they were tracked, and ``facts`` of the run itself.

    ``identity`` is what the run was when the checkpoint was written.
    """

    step: int
    states: Mapping[str, Any]  # Any: what each object's state_dict gave
    facts: Mapping[str, Any]  # Any: numbers and text that the run notes of itself
    identity: Identity


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``checkpoint`` below ``folder`` and return its place; after a crash it is there whole, or not at all.

    ConfigError if a state holds what cannot be kept, OSError if it cannot be written; either leaves nothing behind.
    """
    place = place_of(folder, checkpoint.step)
    draft = draft_of(place)
    make_folder(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        _write_states(draft, checkpoint)
        made_from, environment = checkpoint.identity.made_from, checkpoint.identity.environment
        manifest = CheckpointManifest(checkpoint.step, list_folder(draft), made_from, environment)
        (draft / MANIFEST).write_bytes(manifest_bytes(manifest))
        publish_folder(draft, place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return place


def read_checkpoint(place: Path) -> Checkpoint:
    """The checkpoint in the folder ``place``; VerificationError, naming the tensor or the file, if it is damaged."""
    manifest = read_manifest(place)
    try:
        wrong = next(check_files(place, manifest), None)
    except DigestError as error:
        raise VerificationError(f"{place.name} is damaged: {error.message}") from error
    if wrong is not None:
        path, problem = wrong
        raise VerificationError(f"{place.name} is damaged: {_explain(place, path) or problem.message}")
    try:
        told = json.loads((place / STATE).read_bytes())
        if told["identity"] != _digest(manifest.step, manifest.made_from, manifest.environment):
            raise VerificationError(f"{place.name} is damaged: {MANIFEST} is not what was written")
        states = {name: join(state, _read_tensors(place, name)) for name, state in told["states"].items()}
        return Checkpoint(manifest.step, states, told["facts"], Identity(manifest.made_from, manifest.environment))
    except VerificationError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise VerificationError(f"{place.name} holds together, but is no state of a run: {error}") from error


def _write_states(draft: Path, checkpoint: Checkpoint) -> None:
    told: dict[str, object] = {}
    digests: dict[str, dict[str, str]] = {}
    for name, state in checkpoint.states.items():
        told[name], tensors = part(state, name)
        path = _tensor_file(draft, name)
        write_tensors(path, tensors)
        digests[path.name] = tensor_digests(path)
    whole = {
        "schema": SCHEMA,
        "identity": _digest(checkpoint.step, checkpoint.identity.made_from, checkpoint.identity.environment),
        "facts": dict(checkpoint.facts),
        "states": told,
        "tensors": digests,
    }
    (draft / STATE).write_text(json.dumps(whole, allow_nan=False, separators=(",", ":")) + "\n")


def _digest(step: int, made_from: Mapping[str, object], environment: Mapping[str, object]) -> str:
    """What state.json knows of the manifest, which holds the digests of all other files, but none of its own."""
    return digest_json({"step": step, "made_from": made_from, "environment": environment})


def _tensor_file(place: Path, name: str) -> Path:
    return place / f"{name}.safetensors"


def _read_tensors(place: Path, name: str) -> Tensors:
    return load_file(_tensor_file(place, name))


def _explain(place: Path, path: str) -> str | None:
    """Which tensor of the file ``path`` is damaged; None if that cannot be said of it."""
    if not path.endswith(".safetensors") or not (place / path).is_file():
        return None
    try:
        digests = json.loads((place / STATE).read_bytes())["tensors"][path]
        return f"{first_damage(place / path, digests)} in {path} is not what was written"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # state.json is damaged too
