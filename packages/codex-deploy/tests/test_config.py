from __future__ import annotations

import json

import pytest

from codex_core.digest import canonical_json
from codex_core.errors import VerificationError
from codex_deploy.config import check_model_config

# The members of schema/config-schema.json of the ModelPack specification, v0.0.7, each with a value that it allows.
FULL: dict[str, dict[str, object]] = {
    "descriptor": {
        "createdAt": "2025-01-01T00:00:00Z",
        "authors": ["a@example.org"],
        "vendor": "V",
        "family": "f",
        "name": "n",
        "version": "3.1",
        "title": "t",
        "description": "d",
        "docURL": "https://docs.example/",
        "sourceURL": "https://source.example/",
        "datasetsURL": ["https://data.example/"],
        "revision": "1234",
        "licenses": ["Apache-2.0"],
    },
    "config": {
        "architecture": "transformer",
        "format": "safetensors",
        "paramSize": "8b",
        "precision": "float16",
        "quantization": "gptq",
        "capabilities": {
            "inputTypes": ["text"],
            "outputTypes": ["text", "image"],
            "knowledgeCutoff": "2024-05-21T00:00:00Z",
            "reasoning": True,
            "toolUsage": False,
            "reward": False,
            "languages": ["en", "zh"],
        },
    },
    "modelfs": {"type": "layers", "diffIds": ["sha256:12", "sha256:ab"]},
}
SMALL: dict[str, dict[str, object]] = {
    "descriptor": {},
    "config": {},
    "modelfs": {"type": "layers", "diffIds": ["sha256:12"]},
}


@pytest.mark.parametrize("config", [FULL, SMALL])
def test_the_members_of_the_specification_are_a_config(config: object) -> None:
    check_model_config(canonical_json(config))


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("descriptor", {"createdAt": "yesterday"}),
        ("descriptor", {"createdAt": None}),
        ("descriptor", {"createdAt": 1735689600}),
        ("descriptor", {"name": ""}),
        ("descriptor", {"authors": "a"}),
        ("descriptor", {"licenses": [1]}),
        ("descriptor", {"codeURL": "x"}),
        ("config", {"paramSize": 8}),
        ("config", {"layers": 3}),
        ("config", {"capabilities": {"inputTypes": ["smell"]}}),
        ("config", {"capabilities": {"languages": ["english"]}}),
        ("config", {"capabilities": {"reasoning": "yes"}}),
        ("config", {"capabilities": {"swims": True}}),
        ("modelfs", {"type": "rootfs"}),
        ("modelfs", {"diffIds": []}),
        ("modelfs", {"diffIds": [1]}),
        ("modelfs", {"more": 1}),
    ],
)
def test_what_the_schema_does_not_have_is_refused(part: str, changes: dict[str, object]) -> None:
    with pytest.raises(VerificationError, match=next(iter(changes))):
        check_model_config(canonical_json({**SMALL, part: {**SMALL[part], **changes}}))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", canonical_json({**SMALL, "more": {}}), b'{"descriptor":1}']
)
def test_what_is_no_config_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(VerificationError):
        check_model_config(content)


def test_every_mistake_is_told() -> None:
    wrong = {**SMALL, "config": {"format": 1}, "modelfs": {"type": "layers"}}
    with pytest.raises(VerificationError) as caught:
        check_model_config(json.dumps(wrong).encode())
    assert "format" in str(caught.value)
    assert "diffIds" in str(caught.value)
