"""The journal: steps beyond a checkpoint go, what tells of the run stays, and nothing is lost by closing."""

from __future__ import annotations

import io
from pathlib import Path

from codex_core.events import Event, read_events
from codex_train.journal import Journal, cut_back, last_values


def journal(path: Path, kept: int = 0) -> Journal:
    return Journal(path, kept=kept, total=10, stream=io.StringIO(), clock=lambda: 1.0)


def seen(path: Path) -> list[tuple[str, int | None]]:
    return [(event.kind, event.step) for event in read_events(path)]


def test_steps_beyond_a_checkpoint_are_cut_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    first = journal(path)
    first.tell("start", 0, {})
    first.log(1, {"loss": 1.0})
    size = first.durable_size()
    first.log(2, {"loss": 2.0})
    first.tell("damage", 2, {"reason": "kind step, step 2"})
    first.log(3, {"loss": 3.0})
    first.close()
    second = journal(path, size)
    second.log(2, {"loss": 2.5})
    second.close()
    assert seen(path) == [("start", 0), ("step", 1), ("damage", 2), ("step", 2)]
    assert last_values(path) == {"step": 2, "loss": 2.5}


def test_a_cut_line_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b'{"at":1.0,"kind":"start","step":0,"values":{}}\n{"at":1.0,"kind":"resu')
    cut_back(path, 0)
    assert path.read_bytes() == b'{"at":1.0,"kind":"start","step":0,"values":{}}\n'


def test_a_file_that_is_shorter_than_the_checkpoint_knows_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"short\n")
    cut_back(path, 100)
    assert path.read_bytes() == b"short\n"
    cut_back(tmp_path / "absent", 100)
    assert not (tmp_path / "absent").exists()


def test_after_the_loop_nothing_is_kept_back(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    one = journal(path)
    one.log(1, {"loss": 1.0})
    assert seen(path) == []
    one.log(1, {"accuracy": 0.5}, at_once=True)
    assert list(read_events(path)) == [Event("step", 1, {"loss": 1.0}, 1.0), Event("step", 1, {"accuracy": 0.5}, 1.0)]
    one.close()


def test_where_no_step_was_logged_there_are_no_last_values(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    assert last_values(path) == {}
    path.write_bytes(b'no json\n{"at":1.0,"kind":"start","step":0,"values":{}}\n')
    assert last_values(path) == {}
