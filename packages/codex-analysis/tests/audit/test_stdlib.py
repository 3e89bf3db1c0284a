"""The audit of the running interpreter's own library: real code, with facts that every version of it has."""

from __future__ import annotations

import ast
import sysconfig
import time
import warnings
from pathlib import Path

import pytest

from codex_analysis.audit import Audit, audit_paths

pytestmark = pytest.mark.slow

STDLIB = Path(sysconfig.get_path("stdlib"))
EXCLUDE = ("site-packages", "dist-packages", "test", "**/tests", "**/test", "**/idle_test", "config-*")


@pytest.fixture(scope="module")
def audit() -> Audit:
    return audit_paths([STDLIB], exclude=EXCLUDE)


def verdicts(audit: Audit, path: str, kind: str) -> dict[str, str]:
    return {item.qualname: item.verdict for item in audit.findings if item.path == path and item.kind == kind}


def test_the_whole_library_is_read(audit: Audit) -> None:
    assert audit.files > 400
    assert audit.lines > 200_000
    assert audit.counts()["unreadable"] == 0
    assert audit.counts()["marker"] > 50


def test_members_of_protocols_and_abstract_classes_are_contracts(audit: Audit) -> None:
    numbers = verdicts(audit, "numbers.py", "not-implemented")
    assert len(numbers) > 30
    assert set(numbers.values()) == {"contract"}
    typing = verdicts(audit, "typing.py", "empty-body")
    assert {typing[name] for name in ("SupportsInt.__int__", "IO.read", "BinaryIO.write")} == {"contract"}
    assert verdicts(audit, "selectors.py", "not-implemented")["BaseSelector.select"] == "contract"


def test_hooks_and_silenced_methods_are_no_ops(audit: Audit) -> None:
    logging = verdicts(audit, "logging/__init__.py", "empty-body")
    assert (logging["Handler.flush"], logging["NullHandler.handle"]) == ("no-op", "no-op")
    assert verdicts(audit, "contextlib.py", "empty-body")["nullcontext.__exit__"] == "no-op"


def test_methods_that_a_plain_class_leaves_open_are_stubs(audit: Audit) -> None:
    events = verdicts(audit, "asyncio/events.py", "not-implemented")
    assert events["AbstractEventLoop.run_forever"] == "stub"


def test_every_fingerprint_is_its_own(audit: Audit) -> None:
    assert len({item.fingerprint for item in audit.findings}) == len(audit.findings)


def test_an_audit_takes_at_most_four_times_as_long_as_parsing_the_same_files() -> None:
    """The ratio is near 1.7; both are timed by this process's own clock, on files that are in memory by then."""
    folder = STDLIB / "asyncio"
    files = [path.read_bytes() for path in folder.glob("*.py")]

    def parse_all() -> None:
        for data in files:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(data)

    def audit_all() -> None:
        audit_paths([folder])

    best: dict[object, float] = {}
    for _ in range(20):  # on a busy machine it takes some until both have met a quiet moment
        for work in (parse_all, audit_all):
            start = time.process_time()
            work()
            best[work] = min(best.get(work, 1e9), time.process_time() - start)
        if best[audit_all] < 4 * best[parse_all]:
            return
    raise AssertionError(f"at best {best[audit_all] / best[parse_all]:.1f} times as long")
