"""ModelPack: the media types of a model's files, and its config, which follows from the files alone.

Source: github.com/modelpack/model-spec v0.0.7, docs/spec.md, docs/config.md and docs/annotations.md (Apache-2.0). No
createdAt and no file metadata (mode, owner, time) are written: they are not content. Where the specification has a
member for it, the config says what the weights were made from: ``datasetsURL`` has the digest of the data, ``revision``
that of the code, and ``version`` that of everything together. The whole of it stands in the manifest's annotation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.digest import canonical_json, digest_json
from codex_deploy.layout import Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from codex_deploy.content import Content
    from codex_deploy.weights import Weights

ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
WEIGHT_TYPE = "application/vnd.cncf.model.weight.v1.raw"
WEIGHT_CONFIG_TYPE = "application/vnd.cncf.model.weight.config.v1.raw"
DOC_TYPE = "application/vnd.cncf.model.doc.v1.raw"
LAYER_TYPES = (WEIGHT_TYPE, WEIGHT_CONFIG_TYPE, DOC_TYPE)
FILE_PATH = "org.cncf.model.filepath"
MADE_FROM = "vnd.codex.made-from"

_PRECISIONS = {
    "BF16": "bfloat16",
    "BOOL": "bool",
    "C64": "complex64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3",
    "F8_E5M2": "float8_e5m2",
    **{
        f"{letter}{bits}": f"{name}{bits}" for letter, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
    },
}
_SCALES = ((10**15, "Q"), (10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def layer_type(content: Content, *, of_model: bool) -> str:
    """The media type of a file: weights by their content, the model folder's other files, and what came beside it."""
    if content.kind == "safetensors":
        return WEIGHT_TYPE
    return WEIGHT_CONFIG_TYPE if of_model else DOC_TYPE


def layer(path: str, media_type: str, digest: str, size: int) -> Descriptor:
    """The layer that holds the file ``path``."""
    return Descriptor(media_type, digest, size, annotations={FILE_PATH: path})


def model_manifest(layers: Iterable[Descriptor], config: bytes, made_from: Mapping[str, object]) -> Manifest:
    """The model's manifest; its digest is the bundle's. Layers stand in the order of their paths' bytes."""
    ordered = sorted(layers, key=lambda one: one.annotations[FILE_PATH].encode())
    annotations = {MADE_FROM: canonical_json(made_from).decode()} if made_from else {}
    return Manifest(ARTIFACT_TYPE, Descriptor.of(CONFIG_TYPE, config), tuple(ordered), annotations=annotations)


def made_from_digests(made_from: Mapping[str, object]) -> dict[str, object]:
    """What a model was made from as the manifest says it: as it is, but parameters by their digest."""
    params = made_from.get("params")
    is_digest = isinstance(params, str) and params.startswith("sha256:")
    return dict(made_from) if params is None or is_digest else {**made_from, "params": digest_json(params)}


def config_bytes(layers: Sequence[Descriptor], weights: Iterable[Weights], made_from: Mapping[str, object]) -> bytes:
    """The config of the model with these layers, which are in the manifest's order."""
    found = list(weights)
    technical = {
        "format": "safetensors",
        "paramSize": _scaled(sum(one.parameters for one in found)),
        "precision": ",".join(sorted({_precision(dtype) for one in found for dtype in one.dtypes})),
    }
    diff_ids = [layer.digest for layer in layers]  # raw layers: the content's digest is the layer's
    modelfs = {"type": "layers", "diffIds": diff_ids}
    return canonical_json({"descriptor": _described(made_from), "config": technical, "modelfs": modelfs})


def _described(made_from: Mapping[str, object]) -> dict[str, object]:
    if not made_from:
        return {}
    data, code = (made_from.get(name) for name in ("data", "code"))
    known: dict[str, object] = {"version": digest_json(made_from)}
    if isinstance(data, str):
        known["datasetsURL"] = [data]
    if isinstance(code, str):
        known["revision"] = code
    return known


def _precision(dtype: str) -> str:
    return _PRECISIONS.get(dtype, dtype.lower())


def _scaled(count: int) -> str:
    """``count`` as docs/config.md writes it: at most one digit after the point, and a letter."""
    scale, letter = next((pair for pair in _SCALES if count >= pair[0]), _SCALES[-1])
    tenths = (20 * count + scale) // (2 * scale)
    return f"{tenths // 10}.{tenths % 10}{letter}" if tenths % 10 else f"{tenths // 10}{letter}"
