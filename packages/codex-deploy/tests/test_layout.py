from __future__ import annotations

import json

import pytest

from codex_core.digest import canonical_json
from codex_core.errors import UsageError, VerificationError
from codex_deploy.layout import EMPTY, Descriptor, Manifest, check_name, index_bytes, read_index, read_manifest

DIGEST = f"sha256:{'0' * 64}"
LAYER = Descriptor("text/plain", DIGEST, 3, annotations={"title": "a"})
MANIFEST = Manifest("application/x", EMPTY, (LAYER,), Descriptor("b", DIGEST, 1), {"k": "v"})


def test_a_manifest_and_an_index_are_read_back_from_their_bytes() -> None:
    assert read_manifest(MANIFEST.to_bytes()) == MANIFEST
    index = (MANIFEST.descriptor(), LAYER)
    assert read_index(index_bytes(index)) == index


def test_the_empty_config_is_the_one_of_the_specification() -> None:
    assert EMPTY.to_json() == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
    }


def changed(**members: object) -> bytes:
    return canonical_json({**json.loads(MANIFEST.to_bytes()), **members})


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "no OCI image manifest"),
        (b"{}", "it has no 'artifactType'"),
        (json.dumps(json.loads(MANIFEST.to_bytes())).encode(), "canonical"),
        (MANIFEST.to_bytes() + b"\n", "canonical"),
        (MANIFEST.to_bytes().replace(b'"schemaVersion":2', b'"schemaVersion":2,"schemaVersion":2'), "canonical"),
        (changed(more=1), "canonical"),
        (changed(schemaVersion=1), "canonical"),
        (changed(mediaType="text/plain"), "canonical"),
        (changed(annotations={}), "canonical"),
        (changed(annotations={"k": 1}), "is no text"),
        (changed(layers=[{"mediaType": "a", "digest": "sha256:0", "size": 1}]), "no sha256 digest"),
        (changed(layers=[{"mediaType": "a", "digest": DIGEST, "size": -1}]), "is no size"),
        (changed(layers=[{"mediaType": "a", "digest": DIGEST, "size": True}]), "is no size"),
        (changed(layers=[{"mediaType": "a", "digest": 5, "size": 1}]), "is no text"),
        (changed(layers=[1]), "no OCI image manifest"),
        (changed(config=None), "no OCI image manifest"),
    ],
)
def test_any_other_bytes_are_no_manifest(content: bytes, what: str) -> None:
    with pytest.raises(VerificationError, match=what):
        read_manifest(content)


def test_any_other_bytes_are_no_index() -> None:
    for content in (b"{}", b'{"manifests":{}}', index_bytes(()) + b" ", b"7"):
        with pytest.raises(VerificationError):
            read_index(content)


@pytest.mark.parametrize("name", ["lm", "My-Model_1.0", "a" * 128, "7"])
def test_a_name_pleases_a_reference_and_a_tag(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "../a", "-a", "a-", "a..b", "ü", "a\n", "a" * 129])
def test_another_name_is_a_usage_error_with_a_hint(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a bundle") as caught:
        check_name(name)
    assert caught.value.hint
