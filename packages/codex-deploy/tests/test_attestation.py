from __future__ import annotations

import json

import pytest

from codex_core.digest import canonical_json
from codex_core.errors import VerificationError
from codex_core.stage import Attestation
from codex_deploy.attestation import Statement, read_statement


@pytest.mark.parametrize("enforced", [None, Attestation("python", "sha256:p", 3, "sha256:h")])
def test_a_statement_is_read_back_from_its_bytes(enforced: Attestation | None) -> None:
    statement = Statement("lm", enforced, {"python": "3.11.7"})
    assert read_statement(statement.to_bytes()) == statement


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a b"},
        {"name": 7},
        {"enforced": {}},
        {"enforced": {"guard": "python"}},
        {"environment": 7},
        {"schema": "codex.attestation/2"},
        {"more": 1},
    ],
)
def test_anything_else_is_no_statement(changes: dict[str, object]) -> None:
    data = {**json.loads(Statement("lm", None, {}).to_bytes()), **changes}
    with pytest.raises(VerificationError):
        read_statement(canonical_json(data))


def test_other_bytes_for_the_same_are_no_statement() -> None:
    content = Statement("lm", None, {}).to_bytes()
    for other in (content + b"\n", json.dumps(json.loads(content)).encode(), b"[]", b"\xff"):
        with pytest.raises(VerificationError):
            read_statement(other)
