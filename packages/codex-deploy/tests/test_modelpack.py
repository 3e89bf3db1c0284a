from __future__ import annotations

import json

import pytest

from codex_core.digest import digest_json
from codex_deploy.content import Content
from codex_deploy.layout import Descriptor
from codex_deploy.modelpack import config_bytes, layer, layer_type, made_from_digests, model_manifest
from codex_deploy.weights import Weights

DIGEST = f"sha256:{'1' * 64}"


def config_of(weights: list[Weights], made_from: dict[str, object] | None = None) -> dict[str, dict[str, object]]:
    found = json.loads(config_bytes([Descriptor("w", DIGEST, 1)], weights, made_from or {}))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("count", "size"),
    [
        (0, "0K"),
        (499, "0.5K"),
        (1000, "1K"),
        (849_920, "849.9K"),
        (999_960, "1000K"),
        (1_250_000, "1.3M"),
        (6_738_415_616, "6.7B"),
        (1_000_000_000_000, "1T"),
        (10**15, "1Q"),
    ],
)
def test_the_size_is_a_decimal_with_one_digit_and_a_letter(count: int, size: str) -> None:
    assert config_of([Weights(count, ("F32",))])["config"]["paramSize"] == size


def test_the_config_says_what_all_weights_have() -> None:
    found = config_of([Weights(1500, ("F32", "I8")), Weights(1000, ("BF16", "F32"))])
    assert found == {
        "descriptor": {},
        "config": {"format": "safetensors", "paramSize": "2.5K", "precision": "bfloat16,float32,int8"},
        "modelfs": {"type": "layers", "diffIds": [DIGEST]},
    }


def test_the_config_says_what_the_weights_were_made_from_where_the_specification_has_a_member() -> None:
    made_from: dict[str, object] = {"data": "sha256:d", "code": "sha256:c", "params": "sha256:p", "seed": 7}
    assert config_of([], made_from)["descriptor"] == {
        "datasetsURL": ["sha256:d"],
        "revision": "sha256:c",
        "version": digest_json(made_from),
    }
    assert config_of([], {"data": None})["descriptor"] == {"version": digest_json({"data": None})}


def test_parameters_stand_in_the_manifest_by_their_digest() -> None:
    assert made_from_digests({"params": {"steps": 3}, "seed": 7}) == {"params": digest_json({"steps": 3}), "seed": 7}
    assert made_from_digests({"params": DIGEST}) == {"params": DIGEST}
    assert made_from_digests({"seed": 7}) == {"seed": 7}


def test_layers_stand_in_the_order_of_the_bytes_of_their_paths() -> None:
    layers = [layer(path, "t", DIGEST, 1) for path in ("b", "a/c", "ä", "Z", "a.b")]
    manifest = model_manifest(layers, b"{}", {})
    assert [one.annotations for one in manifest.layers] == [
        {"org.cncf.model.filepath": path} for path in ("Z", "a.b", "a/c", "b", "ä")
    ]
    assert model_manifest(reversed(layers), b"{}", {}) == manifest


def test_weights_are_weights_wherever_they_come_from_and_the_rest_is_config_or_documentation() -> None:
    weights, text = Content("safetensors", Weights(1, ("F32",))), Content("text")
    assert layer_type(weights, of_model=False) == "application/vnd.cncf.model.weight.v1.raw"
    assert layer_type(text, of_model=True) == "application/vnd.cncf.model.weight.config.v1.raw"
    assert layer_type(text, of_model=False) == "application/vnd.cncf.model.doc.v1.raw"
