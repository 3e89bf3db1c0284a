from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from codex_core.members import from_members
from codex_core.policy import Decision
from codex_core.stage import Attestation
from codex_core.status import Condition, Spec, Step, TargetFallback


@dataclass(frozen=True)
class Made:
    name: str
    count: int
    kind: Literal["a", "b"]
    note: str | None = None
    sure: bool = True


def test_members_of_the_annotated_types_make_the_dataclass() -> None:
    assert from_members(Made, {"name": "n", "count": 3, "kind": "b", "note": None}) == Made("n", 3, "b")
    assert from_members(Made, {"name": "", "count": -1, "kind": "a", "note": "x", "sure": False}).note == "x"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": 3}, "'name' cannot be 3"),
        ({"name": None}, "'name' cannot be None"),
        ({"count": "many"}, "'count' cannot be 'many'"),
        ({"count": True}, "'count' cannot be True"),
        ({"count": 1.0}, "'count' cannot be 1.0"),
        ({"kind": "c"}, "'kind' cannot be 'c'"),
        ({"kind": ["a"]}, "'kind' cannot be"),
        ({"note": 0}, "'note' cannot be 0"),
        ({"sure": 1}, "'sure' cannot be 1"),
        ({"more": 1}, "more"),
    ],
)
def test_a_member_of_another_type_is_named(changed: dict[str, object], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        from_members(Made, {"name": "n", "count": 3, "kind": "b", **changed})


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_what_has_no_such_members_is_refused(data: object) -> None:
    with pytest.raises(TypeError):
        from_members(Made, data)


@pytest.mark.parametrize(
    "made",
    [
        Attestation("python", "sha256:0", 0, None),
        Condition("Ready", "True", "Deployed", "it stands", 1),
        Decision("refuse", None, "because", None, "https://h:1/", "read", "cli", "sha256:0"),
        Spec("t", "dir", "file:x", "sha256:0", "sha256:1", "sha256:2", 1),
        Step("keep", "manifest", None, "sha256:0", "why"),
        TargetFallback(1, "t", True, "why"),
    ],
)
def test_what_is_read_from_files_can_be_made_from_its_members(made: object) -> None:
    assert from_members(type(made), vars(made)) == made
