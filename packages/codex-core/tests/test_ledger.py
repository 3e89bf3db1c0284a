from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_core.digest import canonical_json, digest_bytes, digest_json
from codex_core.errors import DigestError, LedgerDamaged, LedgerUnavailable
from codex_core.ledger import TORN, Ledger, LedgerEntry, LedgerReport, read, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
WHOLE = os.environ.get("CODEX_MATRIX") == "full"
# Other tests of the same session may have left threads behind; the children forked here use none of their locks.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

fork = multiprocessing.get_context("fork")

bodies = st.dictionaries(
    st.text(),
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.text()),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.ndjson"


def _fill(path: Path, count: int = 3) -> list[bytes]:
    ledger = Ledger(path)
    for number in range(count):
        ledger.append("decision", {"number": number}, at=NOW)
    return path.read_bytes().splitlines(keepends=True)


def _rewrite(path: Path, lines: list[bytes]) -> LedgerReport:
    path.write_bytes(b"".join(lines))
    return verify(path)


def test_an_entry_is_one_line_of_canonical_json_chained_to_the_line_before(path: Path) -> None:
    ledger = Ledger(path)
    first = ledger.append("decision", {"url": "https://a.example:443/", "n": 1.0}, at=NOW)
    second = ledger.append("note", {}, at=NOW.astimezone(timezone(timedelta(hours=5))))
    one = {
        "at": "2026-03-04T05:06:07.000089Z",
        "body": {"n": 1, "url": "https://a.example:443/"},
        "kind": "decision",
        "prev": None,
        "seq": 1,
    }
    one["hash"] = digest_json(one)
    two = {"at": "2026-03-04T05:06:07.000089Z", "body": {}, "kind": "note", "prev": one["hash"], "seq": 2}
    two["hash"] = digest_json(two)
    assert path.read_bytes() == canonical_json(one) + b"\n" + canonical_json(two) + b"\n"
    assert [first.to_json(), second.to_json()] == [one, two]
    assert list(read(path)) == [first, second]


def test_a_chain_that_holds_is_reported_with_its_length_and_head(path: Path) -> None:
    last = json.loads(_fill(path)[-1])
    assert verify(path) == LedgerReport(entries=3, head=last["hash"], bad_line=None, reason=None, torn=0)
    assert Ledger(path).head() == (3, last["hash"])


def test_an_empty_ledger_holds(path: Path) -> None:
    path.touch()
    assert verify(path) == LedgerReport(entries=0, head=None)
    assert list(read(path)) == []
    assert Ledger(path).head() == (0, None)
    Ledger(path).append("decision", {}, at=NOW)
    assert verify(path).bad_line is None


def test_no_file_is_made_before_the_first_entry_which_also_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "state" / "deep" / "ledger.ndjson"
    ledger = Ledger(path)
    assert ledger.head() == (0, None)
    assert list(tmp_path.iterdir()) == []
    ledger.append("decision", {}, at=NOW)
    assert ledger.head() == (1, verify(path).head)


def test_a_new_ledger_is_readable_by_its_owner_alone_and_later_modes_are_left_alone(path: Path) -> None:
    _fill(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    _fill(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_missing_ledger_can_be_neither_verified_nor_read(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify(path)
    with pytest.raises(FileNotFoundError):
        list(read(path))


@given(st.lists(bodies, min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_body_is_read_back_as_it_was_given(path: Path, bodies: list[Mapping[str, object]]) -> None:
    path.unlink(missing_ok=True)
    appended = [Ledger(path).append("decision", body, at=NOW) for body in bodies]
    assert list(read(path)) == appended
    assert verify(path).bad_line is None


def test_a_body_without_canonical_json_is_refused_and_nothing_is_written(path: Path) -> None:
    before = _fill(path)
    with pytest.raises(DigestError):
        Ledger(path).append("decision", {"loss": float("nan")}, at=NOW)
    assert path.read_bytes() == b"".join(before)


def test_the_kind_of_marks_is_the_ledgers_own(path: Path) -> None:
    with pytest.raises(ValueError, match="marks damaged lines"):
        Ledger(path).append(TORN, {}, at=NOW)
    assert not path.exists()


# Changes


@given(st.integers(0), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_a_changed_byte_is_found_in_its_line(path: Path, where: int, flip: int) -> None:
    if not path.exists():
        _fill(path.with_suffix(".good"), 5)
    good = path.with_suffix(".good").read_bytes()
    where %= len(good)
    path.write_bytes(good[:where] + bytes([good[where] ^ flip]) + good[where + 1 :])
    line = good[:where].count(b"\n") + 1
    report = verify(path)
    assert (report.bad_line, report.entries) == (line, line - 1)
    with pytest.raises(LedgerDamaged) as caught:
        list(read(path))
    assert caught.value.bad_line == line


@pytest.mark.parametrize("line", range(1, 6))
def test_a_lost_line_is_found_but_for_the_last(path: Path, line: int) -> None:
    lines = _fill(path, 5)
    report = _rewrite(path, lines[: line - 1] + lines[line:])
    assert report.bad_line == (line if line < 5 else None)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 4), (4, 5)])
def test_exchanged_lines_are_found(path: Path, one: int, other: int) -> None:
    lines = _fill(path, 5)
    lines[one - 1], lines[other - 1] = lines[other - 1], lines[one - 1]
    assert _rewrite(path, lines).bad_line == one


@pytest.mark.parametrize("line", range(1, 6))
def test_a_repeated_line_is_found(path: Path, line: int) -> None:
    lines = _fill(path, 5)
    report = _rewrite(path, lines[:line] + lines[line - 1 :])
    assert (report.bad_line, report.reason) == (line + 1, f"entry {line} does not follow entry {line}")


@pytest.mark.parametrize(
    "junk", [b"\n", b"{}\n", b"null\n", b"\xff\x00\n", b"[" * 10**6 + b"\n", b"9" * 10_000 + b"\n"]
)
@pytest.mark.parametrize("line", [1, 3, 6])
def test_an_inserted_line_is_found(path: Path, line: int, junk: bytes) -> None:
    lines = _fill(path, 5)
    assert _rewrite(path, [*lines[: line - 1], junk, *lines[line - 1 :]]).bad_line == line


def test_an_entry_that_hashes_right_but_has_another_spelling_is_found(path: Path) -> None:
    lines = _fill(path)
    spelled = json.dumps(json.loads(lines[1])).encode() + b"\n"
    assert spelled != lines[1]
    assert _rewrite(path, [lines[0], spelled, lines[2]]).bad_line == 2


@pytest.mark.parametrize(
    "change",
    [{"seq": True}, {"seq": 1.5}, {"at": 5}, {"kind": None}, {"body": []}, {"prev": 0}, {"prev": ""}, {"more": 1}],
    ids=str,
)
def test_an_entry_of_the_wrong_shape_is_bad_however_it_hashes(path: Path, change: dict[str, object]) -> None:
    entry = {"at": "2026-03-04T05:06:07.000000Z", "body": {}, "kind": "decision", "prev": None, "seq": 1, **change}
    entry["hash"] = digest_json(entry)
    assert _rewrite(path, [canonical_json(entry) + b"\n"]).bad_line == 1


def test_an_entry_changed_and_hashed_anew_breaks_the_chain_at_the_next_line(path: Path) -> None:
    lines = _fill(path)
    entry = json.loads(lines[1])
    del entry["hash"]
    entry["body"] = {"number": 100}
    entry["hash"] = digest_json(entry)
    assert _rewrite(path, [lines[0], canonical_json(entry) + b"\n", lines[2]]).bad_line == 3


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_content_gives_a_report(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    report = verify(path)
    if content == b"":
        assert report == LedgerReport(0, None)
    else:
        assert (report.entries, report.head, report.bad_line) == (0, None, 1)
        assert report.reason is not None
        assert (report.reason == TORN) == (not content.endswith(b"\n"))


def test_a_line_without_end_is_reported_in_little_memory(path: Path) -> None:
    lines = _fill(path)
    with path.open("r+b") as file:
        file.truncate(2**28)  # a hole reads as zeros
        file.seek(2**28)
        file.write(b"\n" + lines[0])
    code = (
        "import resource, sys; from codex_core.ledger import verify\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28)); print(verify(sys.argv[1]).bad_line)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


# Cuts


def test_a_cut_at_any_byte_of_the_last_line_is_reported_survived_and_marked(path: Path) -> None:
    lines = _fill(path)
    kept, last = b"".join(lines[:2]), lines[2]
    for length in range(1, len(last)):
        cut = last[:length]
        assert _rewrite(path, [kept, cut]) == LedgerReport(2, json.loads(lines[1])["hash"], 3, "torn")
        Ledger(path).append("decision", {"after": "cut"}, at=NOW)
        entries = list(read(path))
        if length == len(last) - 1:  # only the newline was missing: the entry is whole
            assert path.read_bytes().startswith(b"".join(lines))
            assert [entry.kind for entry in entries] == ["decision"] * 4
            continue
        assert path.read_bytes().startswith(kept + cut + b"\n")
        assert [(entry.seq, entry.kind) for entry in entries[2:]] == [(3, "torn"), (4, "decision")]
        assert entries[2].body == {
            "bytes": length + 1,
            "sha256": digest_bytes(cut + b"\n").removeprefix("sha256:"),
        }
        assert verify(path) == LedgerReport(4, entries[3].hash, torn=1)


def test_a_ledger_whose_only_line_is_cut_begins_with_a_mark(path: Path) -> None:
    (line,) = _fill(path, 1)
    for length in range(1, len(line) - 1):
        path.write_bytes(line[:length])
        assert Ledger(path).head() == (0, None)
        Ledger(path).append("decision", {}, at=NOW)
        assert [(entry.seq, entry.kind) for entry in read(path)] == [(1, "torn"), (2, "decision")]


def test_a_mark_that_is_cut_itself_is_marked_with_what_it_marked(path: Path) -> None:
    lines = _fill(path)
    before = b"".join(lines)[:-40]
    path.write_bytes(before)
    Ledger(path).append("decision", {"after": "cut"}, at=NOW)
    after = path.read_bytes()
    for length in range(len(before), len(after)):
        path.write_bytes(after[:length])
        ledger = Ledger(path)
        ledger.append("decision", {"after": "both"}, at=NOW)
        report = verify(path)
        assert report.bad_line is None, report
        assert report.torn in {1, 2}
        assert (report.entries, report.head) == ledger.head()


def test_a_damaged_last_line_is_kept_and_marked(path: Path) -> None:
    lines = _fill(path)
    damaged = lines[2].replace(b'"number":2', b'"number":7')
    assert _rewrite(path, [*lines[:2], damaged]).bad_line == 3
    Ledger(path).append("decision", {}, at=NOW)
    assert path.read_bytes().startswith(b"".join([*lines[:2], damaged]))
    assert (verify(path).bad_line, verify(path).torn) == (None, 1)


def test_damage_between_good_lines_is_not_healed_by_an_append(path: Path) -> None:
    lines = _fill(path)
    path.write_bytes(lines[0] + b"x" + lines[1][1:] + lines[2])
    Ledger(path).append("decision", {}, at=NOW)
    assert verify(path).bad_line == 2


def _marked(path: Path) -> list[bytes]:
    lines = _fill(path)
    path.write_bytes(b"".join(lines)[:-9])
    Ledger(path).append("decision", {}, at=NOW)
    return path.read_bytes().splitlines(keepends=True)


def test_a_mark_vouches_for_exactly_the_bytes_before_it(path: Path) -> None:
    lines = _marked(path)
    assert [verify(path).bad_line, len(lines)] == [None, 5]
    for where in range(len(lines[2]) + len(lines[3]) - 1):  # the damaged line, and its mark up to the newline
        both = bytearray(lines[2] + lines[3])
        both[where] ^= 1
        assert _rewrite(path, [*lines[:2], bytes(both), lines[4]]).bad_line == 3


def test_a_mark_without_the_lines_that_it_marks_is_bad(path: Path) -> None:
    lines = _marked(path)
    assert _rewrite(path, [*lines[:2], *lines[3:]]) == LedgerReport(
        2, json.loads(lines[1])["hash"], 3, "the damaged lines that it marks are not there"
    )
    assert _rewrite(path, [*lines[:3], lines[2], *lines[3:]]).bad_line == 3
    assert _rewrite(path, [*lines[:3], *lines[4:]]).bad_line == 3


@given(st.binary(min_size=1, max_size=200), st.integers(0, 2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_at_the_end_an_append_makes_the_chain_hold(path: Path, tail: bytes, count: int) -> None:
    path.unlink(missing_ok=True)
    good = b"".join(_fill(path, count)) if count else b""
    path.write_bytes(good + tail)
    ledger = Ledger(path)
    ledger.append("decision", {}, at=NOW)
    ledger.append("decision", {}, at=NOW)
    report = verify(path)
    assert (report.bad_line, report.torn, report.entries) == (None, 1, count + 3)
    assert path.read_bytes().startswith(good + tail)


def test_a_tail_longer_than_any_entry_is_marked_too(path: Path) -> None:
    good = b"".join(_fill(path))
    with path.open("r+b") as file:
        file.truncate(2**24 + len(good) + 5)
    Ledger(path).append("decision", {}, at=NOW)
    assert (verify(path).bad_line, verify(path).entries) == (None, 5)


# Faults of the system


def _in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked child; its exit code is 0 if ``work`` returned."""
    child = fork.Process(target=work)
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def _expect_unavailable(path: Path, code: int, body: Mapping[str, object], *, sync: bool = False) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger(path).append("decision", body, at=NOW, sync=sync)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == code
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("room", [0, 1, 300])
def test_a_write_that_finds_no_room_raises_and_leaves_the_file_as_it_was(path: Path, room: int) -> None:
    before = b"".join(_fill(path))

    def work() -> None:
        size = len(before) + room
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        _expect_unavailable(path, errno.EFBIG, {"long": "x" * 1000})

    assert _in_child(work) == 0
    assert path.read_bytes() == before
    Ledger(path).append("decision", {}, at=NOW)
    assert verify(path).entries == 4


def test_a_sync_that_fails_raises_and_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = b"".join(_fill(path))

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        _expect_unavailable(path, errno.EIO, {}, sync=True)
    assert path.read_bytes() == before
    Ledger(path).append("decision", {}, at=NOW, sync=True)
    assert verify(path).entries == 4


def test_an_entry_too_long_to_be_checked_in_little_memory_is_refused(path: Path) -> None:
    before = _fill(path)
    _expect_unavailable(path, errno.EFBIG, {"long": "x" * 2**24})
    assert path.read_bytes() == b"".join(before)
    Ledger(path).append("decision", {"long": "x" * (2**24 - 1000)}, at=NOW)
    assert verify(path).entries == 4


def test_a_ledger_is_a_regular_file_that_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for name, code in {
        "folder": errno.EISDIR,
        "fifo": errno.EINVAL,
        "link": errno.ELOOP,
        "file/x": errno.ENOTDIR,
    }.items():
        _expect_unavailable(tmp_path / name, code, {})
    _expect_unavailable(Path("/dev/full"), errno.EINVAL, {})
    assert (tmp_path / "file").read_bytes() == b""


def test_a_ledger_that_was_removed_or_replaced_is_begun_anew(path: Path) -> None:
    ledger = Ledger(path)
    ledger.append("decision", {}, at=NOW)
    path.unlink()
    assert ledger.append("decision", {}, at=NOW).seq == 1
    path.rename(path.with_suffix(".old"))
    Ledger(path).append("decision", {"other": 1}, at=NOW)
    assert ledger.append("decision", {}, at=NOW).seq == 2
    assert [verify(path).bad_line, verify(path.with_suffix(".old")).entries] == [None, 1]


def test_an_append_that_waits_while_the_ledger_is_removed_goes_to_the_new_one(path: Path) -> None:
    _fill(path)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=_append_many, args=(path, 1, 1))
        waiting.start()
        deadline = time.monotonic() + 30
        while [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()].count(str(path)) < 2:
            assert time.monotonic() < deadline
        path.unlink()
    waiting.join()
    assert [entry.seq for entry in read(path)] == [1]


def test_a_line_that_was_replaced_by_one_of_its_length_is_seen(path: Path) -> None:
    ledger, other = Ledger(path), path.with_suffix(".other")
    ledger.append("decision", {"n": 1}, at=NOW)
    Ledger(other).append("decision", {"n": 2}, at=NOW)
    path.write_bytes(other.read_bytes())
    ledger.append("decision", {}, at=NOW)
    assert verify(path).bad_line is None


# Many writers


def _append_many(path: Path, who: int, count: int) -> None:
    ledger = Ledger(path)
    for number in range(count):
        ledger.append("decision", {"who": who, "number": number}, at=NOW, sync=number == 0)


def test_processes_append_to_one_chain_and_none_loses_an_entry(path: Path) -> None:
    children = [fork.Process(target=_append_many, args=(path, who, 150)) for who in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(children)
    entries = list(read(path))
    assert verify(path) == LedgerReport(150 * len(children), entries[-1].hash)
    for who in range(len(children)):
        assert [entry.body["number"] for entry in entries if entry.body["who"] == who] == list(range(150))


def test_threads_share_one_ledger(path: Path) -> None:
    ledger = Ledger(path)

    def work(who: int) -> None:
        for number in range(100):
            ledger.append("decision", {"who": who, "number": number}, at=NOW)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(path).entries == 800
    assert verify(path).bad_line is None


def test_a_forked_child_and_its_parent_append_through_the_same_ledger(path: Path) -> None:
    ledger = Ledger(path)
    ledger.append("decision", {"who": "before"}, at=NOW)

    def work(who: str) -> None:
        for number in range(200):
            ledger.append("decision", {"who": who, "number": number}, at=NOW)

    children = [fork.Process(target=work, args=(who,)) for who in "ab"]
    for child in children:
        child.start()
    work("parent")
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert (verify(path).entries, verify(path).bad_line) == (601, None)


def test_a_child_forked_in_the_midst_of_an_append_keeps_no_one_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, children, write = fork.Event(), [], os.write

    def write_and_fork(descriptor: int, data: bytes) -> int:
        child = fork.Process(target=held.wait)
        child.start()
        children.append(child)
        return write(descriptor, data)

    _fill(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_and_fork)
        Ledger(path).append("decision", {}, at=NOW)
    other = fork.Process(target=_append_many, args=(path, 1, 1))
    other.start()
    other.join(30)
    held.set()
    children[0].join()
    assert other.exitcode == 0
    assert verify(path).entries == 5


def test_verify_waits_for_an_append_in_progress_and_sees_no_half_of_it(path: Path) -> None:
    _fill(path)

    def work() -> None:
        ledger = Ledger(path)
        for _ in range(150):
            ledger.append("decision", {"long": "x" * 300_000}, at=NOW)

    child = fork.Process(target=work)
    child.start()
    reports = []
    while child.is_alive():
        reports.append(verify(path))
    child.join()
    assert child.exitcode == 0
    assert reports
    assert {report.bad_line for report in reports} == {None}


WRITER = """
import sys
from datetime import UTC, datetime
from codex_core.ledger import Ledger
ledger, number = Ledger(sys.argv[1]), 0
while True:
    ledger.append("decision", {"long": "x" * int(sys.argv[2]), "number": number}, at=datetime.now(UTC))
    number += 1
"""


def _kill_writers(path: Path, chance: random.Random) -> bool:
    """Kill two writers in the midst of their work, soon after the long lines of one begin to come; was a line cut?"""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, size]) for size in ("100", "12000000")]
    deadline = time.monotonic() + 60
    while (not path.exists() or path.stat().st_size < 1_000_000) and time.monotonic() < deadline:
        os.sched_yield()
    for _ in range(chance.choice([0, 0, chance.randrange(10_000)])):
        os.sched_yield()
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    assert [writer.wait() for writer in writers] == [-signal.SIGKILL] * 2
    before = verify(path)
    assert before.reason in {None, "torn"}, before
    Ledger(path).append("decision", {"after": "kill"}, at=NOW, sync=True)
    after = verify(path)
    assert (after.bad_line, after.torn) == (None, before.reason == "torn")
    return before.reason == "torn"


def test_writers_killed_at_any_moment_leave_a_ledger_that_goes_on(path: Path) -> None:
    _kill_writers(path, random.Random(7))


@pytest.mark.matrix
@pytest.mark.slow
@pytest.mark.skipif(not WHOLE, reason="CODEX_MATRIX=full kills many writers")
def test_many_writers_killed_at_any_moment_leave_a_ledger_that_goes_on(tmp_path: Path) -> None:
    chance = random.Random(7)
    cut = sum(_kill_writers(tmp_path / str(number), chance) for number in range(20))
    assert cut >= 1, "no writer was killed in the midst of a line, so this has shown nothing"


def test_an_append_opens_no_second_chain_when_it_finds_another_ones_tail(path: Path) -> None:
    one, other = Ledger(path), Ledger(path)
    entries: list[LedgerEntry] = []
    for _ in range(3):
        entries += [one.append("decision", {}, at=NOW), other.append("decision", {}, at=NOW)]
    assert [entry.prev for entry in entries] == [None, *(entry.hash for entry in entries[:-1])]
    assert one.head() == other.head() == (6, entries[-1].hash)
