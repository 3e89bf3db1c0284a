from __future__ import annotations

import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_core.events import LONGEST_WAIT, MOST_WAITING, Event, NdjsonWriter, Scalar, Writer, read_events

if TYPE_CHECKING:
    from collections.abc import Sequence

# Other tests of the same session may have left threads behind; the children forked here use none of their locks.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

fork = get_context("fork")

SPELLED = {"NaN", "Infinity", "-Infinity"}
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text().filter(lambda text: text not in SPELLED)
)
events = st.builds(
    Event,
    kind=st.text(),
    step=st.none() | st.integers(0, 2**63),
    values=st.dictionaries(st.text(), scalars),
    at=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def _write(path: Path, *events: Event) -> None:
    with NdjsonWriter(path) as writer:
        writer.write(events)


def _step(number: int, at: float | None = None) -> Event:
    return Event("step", number, {"loss": 1 / (number + 1)}, at)


def test_an_event_is_one_line_of_json(path: Path) -> None:
    _write(path, Event("step", 7, {"loss": 0.25, "lr": 3e-4, "note": 'a "b"\n€', "n": 3, "ok": True, "no": None}, 1.5))
    assert path.read_text() == (
        '{"at":1.5,"kind":"step","step":7,"values":'
        '{"loss":0.25,"lr":0.0003,"note":"a \\"b\\"\\n\\u20ac","n":3,"ok":true,"no":null}}\n'
    )


@given(st.lists(st.lists(events, max_size=5), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_events_are_read_back_as_they_were_written(path: Path, batches: list[list[Event]]) -> None:
    path.unlink(missing_ok=True)
    with NdjsonWriter(path) as writer:
        for batch in batches:
            writer.write(batch)
            writer.flush()
    assert list(read_events(path)) == [event for batch in batches for event in batch]
    assert path.read_bytes().count(b"\n") == sum(map(len, batches))


def test_a_text_that_looks_like_the_end_of_a_line_does_not_end_one(path: Path) -> None:
    odd = '}},{"at":1,"kind":"x"}}\n{"at":'
    written = [Event(odd, 1, {odd: odd}), Event("k", 2, {"a": "}}", "b": '{"at":'})]
    _write(path, *written)
    assert list(read_events(path)) == written


def test_numbers_that_json_has_not_are_written_as_texts_and_read_back_as_numbers(path: Path) -> None:
    values: dict[str, Scalar] = {"loss": math.nan, "most": math.inf, "least": -math.inf, "fine": 0.5, "text": "nan"}
    _write(path, _step(1), Event("step", 2, values, math.nan), _step(3))
    lines = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert lines[1] == {
        "at": None,
        "kind": "step",
        "step": 2,
        "values": {"loss": "NaN", "most": "Infinity", "least": "-Infinity", "fine": 0.5, "text": "nan"},
    }
    first, second, third = read_events(path)
    assert (first, third) == (_step(1), _step(3))
    loss = second.values["loss"]
    assert isinstance(loss, float)
    assert math.isnan(loss)
    assert {**second.values, "loss": None} == {**values, "loss": None}


def test_subclasses_of_scalars_are_written_as_what_they_are(path: Path) -> None:
    class Number(float):
        def __repr__(self) -> str:
            return "Number()"

    class Text(str):
        __slots__ = ()

    _write(path, Event("step", 1, {"loss": Number(0.5), "bad": Number("nan"), "text": Text("t")}, Number(2)))
    assert path.read_text() == '{"at":2.0,"kind":"step","step":1,"values":{"loss":0.5,"bad":"NaN","text":"t"}}\n'


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", 1j, object()], ids=lambda value: type(value).__name__)
def test_a_value_that_is_no_scalar_is_refused_with_its_whole_batch(path: Path, value: Scalar) -> None:
    with NdjsonWriter(path) as writer:
        with pytest.raises(TypeError, match=f"'loss' of an event is a {type(value).__name__}"):
            writer.write([_step(1), Event("step", 2, {"loss": value})])
        with pytest.raises(TypeError, match="'step' of an event"):
            writer.write([Event("step", value, {})])  # type: ignore[arg-type]  # what a training loop may well hand in
        writer.write([_step(3)])
    assert list(read_events(path)) == [_step(3)]


def test_scalars_are_what_the_error_names() -> None:
    assert {kind.__name__ for kind in get_args(Scalar)} == {"float", "int", "str", "bool", "NoneType"}


def test_values_are_those_of_the_time_of_writing(path: Path) -> None:
    values: dict[str, Scalar] = {"loss": 1.0}
    with NdjsonWriter(path) as writer:
        writer.write([Event("step", 1, values)])
        values["loss"] = 2.0
        writer.write([Event("step", 2, values)])
    assert [event.values for event in read_events(path)] == [{"loss": 1.0}, {"loss": 2.0}]


def test_events_are_kept_back_until_there_are_many(path: Path) -> None:
    with NdjsonWriter(path) as writer:
        for number in range(MOST_WAITING - 1):
            writer.write([_step(number)])
        assert path.read_bytes() == b""
        writer.write([_step(MOST_WAITING)])
        assert len(list(read_events(path))) == MOST_WAITING


def test_events_are_kept_back_no_longer_than_their_own_times_allow(path: Path) -> None:
    with NdjsonWriter(path) as writer:
        writer.write([_step(1, 100.0)])
        writer.write([_step(2, 100.0 + LONGEST_WAIT / 2)])
        assert path.read_bytes() == b""
        writer.write([_step(3, 100.0 + LONGEST_WAIT)])
        assert len(list(read_events(path))) == 3
        writer.write([_step(4, 50.0)])  # a clock that was set back
        writer.write([_step(5)])
        assert len(list(read_events(path))) == 3
    assert [event.step for event in read_events(path)] == [1, 2, 3, 4, 5]


def test_flush_puts_out_what_is_kept_back(path: Path) -> None:
    with NdjsonWriter(path) as writer:
        writer.flush()
        writer.write([])
        writer.write([_step(1)])
        writer.flush()
        assert list(read_events(path)) == [_step(1)]


def test_a_batch_goes_out_in_one_write_of_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = [], os.write

    def spy(descriptor: int, data: bytes) -> int:
        written.append(bytes(data))
        return write(descriptor, data)

    with monkeypatch.context() as patched, NdjsonWriter(path) as writer:
        patched.setattr(os, "write", spy)
        writer.write([_step(number) for number in range(1000)])
        assert [data.count(b"\n") for data in written] == [1000]


def test_a_closed_writer_takes_no_more_and_can_be_closed_again(path: Path) -> None:
    writer = NdjsonWriter(path)
    writer.write([_step(1)])
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write([_step(2)])
    assert list(read_events(path)) == [_step(1)]


def test_a_second_writer_goes_on_where_the_first_ended(path: Path) -> None:
    _write(path, _step(1))
    _write(path, _step(2))
    assert list(read_events(path)) == [_step(1), _step(2)]
    assert path.read_bytes().count(b"\n") == 2


def test_a_folder_that_is_missing_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        NdjsonWriter(tmp_path / "missing" / "events.ndjson")


def test_the_ndjson_writer_keeps_the_contract_of_writers(path: Path) -> None:
    with NdjsonWriter(path) as writer:
        assert isinstance(writer, Writer)
        assert NdjsonWriter.contract == 1


def test_threads_write_whole_lines_each_in_its_order(path: Path) -> None:
    writer = NdjsonWriter(path)

    def work(who: int) -> None:
        for number in range(500):
            writer.write([Event(str(who), number, {})])

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = list(read_events(path))
    assert len(found) == 2000
    for who in range(4):
        assert [event.step for event in found if event.kind == str(who)] == list(range(500))


# Damage


def test_a_line_cut_at_any_byte_is_ended_by_the_next_writer_and_lost_alone(path: Path) -> None:
    _write(path, _step(1), _step(2))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first + 1, len(whole)):
        path.write_bytes(whole[:length])
        _write(path, _step(3))
        lost: list[int] = []
        found = list(read_events(path, on_damage=lost.append))
        is_whole = length == len(whole) - 1
        assert found == ([_step(1), _step(2), _step(3)] if is_whole else [_step(1), _step(3)])
        assert lost == ([] if is_whole else [2])


def test_opening_a_writer_changes_nothing(path: Path) -> None:
    path.write_bytes(b'{"cut')
    with NdjsonWriter(path):
        assert path.read_bytes() == b'{"cut'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b"[" * 100_000,
        b"9" * 10_000,
        b'{"at":null,"kind":"k","step":1}',
        b'{"at":null,"kind":"k","step":1,"values":[]}',
        b'{"at":null,"kind":"k","step":1,"values":{"a":[1]}}',
        b'{"at":null,"kind":"k","step":1.5,"values":{}}',
        b'{"at":null,"kind":"k","step":true,"values":{}}',
        b'{"at":"x","kind":"k","step":1,"values":{}}',
        b'{"at":null,"kind":7,"step":1,"values":{}}',
    ],
    ids=lambda line: line[:50].decode(errors="replace"),
)
def test_a_line_that_is_no_event_is_skipped_and_told(path: Path, line: bytes) -> None:
    _write(path, _step(1))
    with path.open("ab") as file:
        file.write(line + b"\n")
    _write(path, _step(2))
    damaged: list[int] = []
    assert list(read_events(path, on_damage=damaged.append)) == [_step(1), _step(2)]
    assert damaged == [2]
    assert list(read_events(path)) == [_step(1), _step(2)]


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_content_can_be_read_and_written_after(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _write(path, _step(1))
    assert list(read_events(path)) == [_step(1)]


def test_a_missing_file_cannot_be_read(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_events(path))


def test_what_finds_no_room_is_kept_and_goes_out_whole_when_there_is_room(path: Path) -> None:
    def work() -> None:
        writer = NdjsonWriter(path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        writer.write([_step(1), _step(2), _step(3)])
        for _ in range(2):
            with pytest.raises(OSError, match="too large") as caught:
                writer.flush()
            assert caught.value.errno == errno.EFBIG
        assert path.stat().st_size == 100
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.write([_step(4)])
        writer.close()

    child = fork.Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert list(read_events(path)) == [_step(1), _step(2), _step(3), _step(4)]


def test_a_full_device_is_an_error_and_the_writer_still_closes() -> None:
    writer = NdjsonWriter("/dev/full")
    writer.write([_step(1)])
    with pytest.raises(OSError, match="No space left") as caught:
        writer.close()
    assert caught.value.errno == errno.ENOSPC
    writer.close()


WRITER = """
import sys
from codex_core.events import Event, NdjsonWriter
writer, number = NdjsonWriter(sys.argv[1]), 0
while True:
    writer.write([Event("step", number, {"loss": 0.5, "long": "x" * int(sys.argv[2])})])
    number += 1
"""


@pytest.mark.parametrize("size", [0, 50_000])
def test_a_killed_writer_loses_what_it_kept_back_and_no_more(path: Path, size: int) -> None:
    for rounds in range(1, 4):
        before = path.stat().st_size if path.exists() else 0
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path, str(size)])
        while writer.poll() is None and (not path.exists() or path.stat().st_size < before + 1_000_000):
            os.sched_yield()
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        _write(path, Event("end", rounds, {}))
        damaged: list[int] = []
        found = list(read_events(path, on_damage=damaged.append))
        runs = _split(found)
        assert len(runs) == rounds
        assert len(damaged) <= rounds  # each writer cuts one line at most
        for run in runs:
            assert [event.step for event in run] == list(range(len(run)))
    assert path.read_bytes().endswith(b"\n")


def _split(events: Sequence[Event]) -> list[list[Event]]:
    """The steps of each run, which an ``end`` closes."""
    runs: list[list[Event]] = [[]]
    for event in events:
        if event.kind == "end":
            runs.append([])
        else:
            runs[-1].append(event)
    assert runs.pop() == []
    return runs
