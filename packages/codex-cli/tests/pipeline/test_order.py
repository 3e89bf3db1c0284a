from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_cli.pipeline.order import dependencies, find_cycle, overlap, sort_stages
from codex_core.errors import ConfigError


def test_paths_overlap_when_one_holds_the_other_and_not_by_their_letters() -> None:
    assert overlap("model", "model")
    assert overlap("model", "model/config.json")
    assert overlap("data/raw/a", "data")
    assert not overlap("model", "models")
    assert not overlap("data/a", "data/b")


def test_a_stage_needs_those_whose_outputs_it_reads_wholly_or_in_part() -> None:
    inputs = {"pull": (), "train": ("corpus",), "check": ("model/config.json",), "all": ("data",), "lone": ("x",)}
    outputs = {"pull": ("corpus",), "train": ("model",), "check": (), "all": (), "lone": ("data/clean",)}
    assert dependencies(inputs, outputs) == {
        "pull": (),
        "train": ("pull",),
        "check": ("train",),
        "all": ("lone",),
        "lone": (),
    }


def test_stages_keep_the_order_of_the_file_where_nothing_forces_another() -> None:
    assert sort_stages({"c": (), "a": ("b",), "b": (), "d": ("a",)}) == ("c", "b", "a", "d")


def test_a_circle_is_named_from_its_first_stage_back_to_it() -> None:
    cycle = find_cycle({"a": ("c",), "b": ("a",), "c": ("b",), "d": ()})
    assert cycle[0] == cycle[-1]
    assert sorted(cycle[:-1]) == ["a", "b", "c"]
    with pytest.raises(ConfigError, match="circle"):
        sort_stages({"a": ("b",), "b": ("a",)})


@given(st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 9))))
def test_every_stage_comes_after_those_it_needs(graph: dict[int, set[int]]) -> None:
    needs = {str(n): tuple(str(m) for m in sorted(ms) if m < n and m in graph) for n, ms in graph.items()}
    placed = sort_stages(needs)
    assert sorted(placed) == sorted(needs)
    assert all(placed.index(need) < placed.index(stage) for stage in needs for need in needs[stage])
