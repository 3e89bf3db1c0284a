from __future__ import annotations

import pytest
from pydantic import ValidationError

from codex_analysis.audit import KINDS
from codex_analysis.config import AuditParams


def test_parameters_may_be_left_out_or_name_every_kind() -> None:
    assert AuditParams.model_validate({}) == AuditParams(fail_on=(), exclude=())
    params = AuditParams.model_validate({"fail_on": list(KINDS), "exclude": ["**/tests"]})
    assert (params.fail_on, params.exclude) == (KINDS, ("**/tests",))


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"fail_on": ["markers"]}, ("fail_on", 0)),
        ({"fail_on": "marker"}, ("fail_on",)),
        ({"exclude": [1]}, ("exclude", 0)),
        ({"failon": []}, ("failon",)),
    ],
)
def test_a_wrong_parameter_is_refused_at_its_place(table: dict[str, object], place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        AuditParams.model_validate(table)
    assert [error["loc"] for error in caught.value.errors()] == [place]
