"""The stage connectors.pull."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from codex_connectors.config import PullParams
from codex_connectors.stages import pull
from codex_core.digest import digest_folder
from codex_core.errors import CodexError, ConfigError, ObjectMissing, PolicyRefused, StorageError, UsageError
from codex_core.policy import Decision, Policy
from codex_core.stage import Attestation, Stage, StageContext, StoreReader
from codex_core.storage import Fallback, StoreConfig

NOW = datetime(2027, 1, 1, tzinfo=UTC)


class Bench:
    """A folder with a mirror, stores, and a stage context that keeps what the stage told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pins: dict[str, str] = {}
        self.decisions: list[Decision] = []
        for path in ("corpus/a.txt", "corpus/d/b.txt", "corpus/d/c.md"):
            (folder / "mirror" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "mirror" / path).write_text(path)
        self.stores = {
            "mirror": StoreConfig("mirror", (folder / "mirror").as_uri()),
            "remote": StoreConfig("remote", "s3://m", "https://h:9", ("gone", "mirror")),
            "gone": StoreConfig("gone", (folder / "gone").as_uri(), fallbacks=("mirror",)),
        }

    def run(self, outputs: tuple[str, ...] = ("out",), **table: object) -> Path:
        paths = tuple(self.folder / "work" / name for name in outputs)
        (self.folder / "work").mkdir(exist_ok=True)
        context = StageContext(
            "corpus",
            self.folder / "work",
            (),
            paths,
            7,
            self.stores,
            Policy(),
            NOW,
            self.decisions.append,
            self.pins.__setitem__,
            root=self.folder,
            runs=self.folder / "runs",
            forced=False,
            targets={},
            attestation=Attestation("python", Policy().digest, 0, None),
        )
        pull(context, params(**table))
        return paths[0]


def params(**table: object) -> PullParams:
    return PullParams.model_validate({key.rstrip("_"): value for key, value in table.items()})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_keeps_both_contracts() -> None:
    assert isinstance(pull, Stage)
    assert isinstance(pull, StoreReader)
    assert pull.contract == 1
    assert pull.params() is PullParams


def test_the_output_holds_what_is_there_and_its_digest_is_pinned_and_foretold(bench: Bench) -> None:
    table: dict[str, Any] = {"from_": "store://mirror/corpus", "include": ["**/*.txt"]}  # Any: values of several types
    output = bench.run(**table)
    assert sorted(path.name for path in output.rglob("*.*")) == ["a.txt", "b.txt"]
    pinned = {"store://mirror/corpus": digest_folder(output)}
    assert bench.pins == pinned == pull.sources(params(**table), bench.stores)
    (bench.folder / "mirror/corpus/d/c.md").write_text("not included")
    assert pull.sources(params(**table), bench.stores) == pinned
    (bench.folder / "mirror/corpus/a.txt").write_text("changed")
    assert pull.sources(params(**table), bench.stores) != pinned


def test_the_standard_library_can_be_pulled(bench: Bench) -> None:
    bench.stores["std"] = StoreConfig("std", "python:stdlib")
    output = bench.run(from_="store://std/json")
    assert (output / "decoder.py").is_file()
    assert bench.pins == {"store://std/json": digest_folder(output)}


def test_a_refused_pull_carries_its_decision_and_its_fallbacks_and_makes_nothing(bench: Bench) -> None:
    with pytest.raises(PolicyRefused) as caught:
        bench.run(from_="store://remote/corpus")
    assert caught.value.decision == bench.decisions[0]
    assert (caught.value.decision.verb, caught.value.decision.url) == ("list", "https://h:9/m/corpus")
    assert caught.value.fallbacks == (
        Fallback("gone", False, "its folder does not exist"),
        Fallback("mirror", True, "its folder holds 'corpus'"),
    )
    assert list((bench.folder / "work").iterdir()) == []
    assert bench.pins == {}


def test_a_fallback_that_was_asked_for_is_used_said_and_pinned(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    output = bench.run(from_="store://remote/corpus", fallback=True)
    assert bench.pins == {"store://mirror/corpus": digest_folder(output)}
    assert [one.verdict for one in bench.decisions] == ["refuse"]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("store://remote/corpus could not be read: no rule allows list")
    assert said[1] == "using its fallback store://mirror/corpus: its folder holds 'corpus'"
    assert said[2].startswith("pulled 3 files, 39 bytes, from store://mirror/corpus: sha256:")


def test_a_local_store_that_is_not_there_falls_back_too(bench: Bench) -> None:
    with pytest.raises(ObjectMissing, match="gone does not exist"):
        bench.run(from_="store://gone/corpus")
    output = bench.run(from_="store://gone/corpus", fallback=True)
    assert bench.pins == {"store://mirror/corpus": digest_folder(output)}


def test_no_digest_is_foretold_where_only_a_network_or_a_fallback_could_tell(bench: Bench) -> None:
    assert pull.sources(params(from_="store://remote/corpus"), bench.stores) == {"store://remote/corpus": None}
    bench.stores["alone"] = StoreConfig("alone", "s3://m", "https://h:9", ("gone-too", "far"))
    bench.stores["gone-too"] = StoreConfig("gone-too", (bench.folder / "gone").as_uri())
    bench.stores["far"] = StoreConfig("far", "s3://m", "https://h:9")
    assert pull.sources(params(from_="store://alone", fallback=True), bench.stores) == {"store://alone": None}
    with pytest.raises(CodexError, match="does not exist"):
        pull.sources(params(from_="store://gone"), bench.stores)


@pytest.mark.parametrize("name", ["remote", "gone"])
def test_a_local_fallback_that_stands_in_is_foretold_and_counts(name: str, bench: Bench) -> None:
    table: dict[str, Any] = {"from_": f"store://{name}/corpus", "fallback": True}  # Any: values of several types
    output = bench.run(**table)
    foretold = {f"store://{name}/corpus": None, "store://mirror/corpus": digest_folder(output)}
    assert pull.sources(params(**table), bench.stores) == foretold == {f"store://{name}/corpus": None, **bench.pins}
    (bench.folder / "mirror/corpus/a.txt").write_text("changed")
    assert pull.sources(params(**table), bench.stores) != foretold
    if name == "gone":  # and is back
        (bench.folder / "gone/corpus").mkdir(parents=True)
        (bench.folder / "gone/corpus/x").write_text("x")
        assert list(pull.sources(params(**table), bench.stores)) == ["store://gone/corpus"]


def test_nothing_matched_says_what_was_looked_at(bench: Bench) -> None:
    with pytest.raises(StorageError, match=r"matches none of 3 objects, such as 'a.txt', 'd/b.txt', 'd/c.md'"):
        bench.run(from_="store://mirror/corpus", include=["*.json"])
    with pytest.raises(ObjectMissing, match="nothing at or below 'corpse'"):
        bench.run(from_="store://mirror/corpse")


def test_a_failed_pull_leaves_no_half_output(bench: Bench) -> None:
    (bench.folder / "mirror/corpus/d/b.txt").chmod(0o644)
    (bench.folder / "mirror/corpus/link").symlink_to("a.txt")
    with pytest.raises(CodexError, match="symbolic link"):
        bench.run(from_="store://mirror/corpus")
    assert list((bench.folder / "work").iterdir()) == []


@pytest.mark.parametrize("outputs", [(), ("one", "two")])
def test_it_makes_exactly_one_folder(outputs: tuple[str, ...], bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"outputs?, and makes folder"):
        bench.run((*outputs, "three") if outputs else (), from_="store://mirror")


def test_an_unknown_store_is_told_with_the_nearest_name(bench: Bench) -> None:
    with pytest.raises(UsageError, match="did you mean 'mirror'"):
        bench.run(from_="store://miror/corpus")


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"from": "mirror/corpus"},
        {"from": "store://m/../x"},
        {"from": "store://m", "include": []},
        {"from": "store://m", "include": ["/x"]},
        {"from": "store://m", "more": 1},
    ],
)
def test_wrong_parameters_are_refused(table: dict[str, object]) -> None:
    with pytest.raises((ValidationError, CodexError)):
        PullParams.model_validate(table)
