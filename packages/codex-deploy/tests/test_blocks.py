from __future__ import annotations

import json

import pytest

from codex_core.digest import canonical_json
from codex_core.errors import VerificationError
from codex_core.policy import Decision
from codex_core.status import Condition, Spec, StatusBlock, Step, TargetFallback
from codex_deploy.blocks import block_bytes, observed_block, read_block

BLOCK = observed_block(
    StatusBlock(
        Spec("prod", "registry", "https://a.example/lm", "sha256:b", "sha256:p", "sha256:q", 3),
        (Step("refuse", "https://a.example:443/", None, "sha256:b", "no rule"),),
        (Condition("Ready", "False", "Refused", "nothing was sent", 3),),
        (Decision("refuse", None, "no rule", "a rule", "https://a.example:443/", "write", "s", "sha256:p"),),
        (TargetFallback(1, "local", True, "it is here"),),
    ),
    {"host": "h", "pid": 7, "ledger": {"entries": 1, "head": "sha256:h"}},
)


def test_a_block_is_read_back_from_its_bytes() -> None:
    assert read_block(block_bytes(BLOCK)) == BLOCK


def test_the_same_block_gives_the_same_bytes_a_thousand_times() -> None:
    assert {block_bytes(observed_block(BLOCK, {"pid": 7})) for _ in range(1000)} == {
        block_bytes(observed_block(BLOCK, {"pid": 7}))
    }


def test_every_flipped_byte_is_found() -> None:
    content = block_bytes(BLOCK)
    for position in range(len(content)):
        with pytest.raises(VerificationError):
            read_block(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])


@pytest.mark.parametrize("member", ["spec", "plan", "conditions", "decisions", "fallbacks", "observed", "digest"])
def test_what_lacks_a_member_or_has_another_is_no_block(member: str) -> None:
    data = json.loads(block_bytes(BLOCK))
    for change in ({member: 7}, {member: None}, {member: [7]}, {"more": 1}):
        with pytest.raises(VerificationError):
            read_block(canonical_json({**data, **change}) + b"\n")
    del data[member]
    with pytest.raises(VerificationError):
        read_block(canonical_json(data) + b"\n")
