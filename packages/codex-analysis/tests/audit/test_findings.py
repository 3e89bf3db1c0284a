from __future__ import annotations

import re
from textwrap import dedent

from codex_analysis.audit import KINDS, VERDICTS, Audit, Finding, Skipped, audit_source
from codex_core.digest import canonical_json, digest_json

SOURCE = dedent(
    """\
    class A:
        def f(self):
            # TODO one
            raise NotImplementedError("later")
        def g(self): pass
    # TODO two
    # TODO two
    """
)


def prints(source: str, path: str = "m.py") -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for item in audit_source(source.encode(), path).findings:
        found.setdefault((item.kind, item.qualname, item.message), []).append(item.fingerprint)
    return found


def test_a_fingerprint_is_the_digest_of_kind_path_name_text_and_occurrence() -> None:
    assert prints(SOURCE)["marker", "", "TODO two"] == [
        digest_json(["marker", "m.py", "", "TODO two", 0]),
        digest_json(["marker", "m.py", "", "TODO two", 1]),
    ]
    assert prints(SOURCE)["empty-body", "A.g", "only pass"] == [digest_json(["empty-body", "m.py", "A.g", "pass", 0])]


def test_fingerprints_stay_while_lines_move_and_other_code_changes() -> None:
    changed = SOURCE.replace("class A:", "class A(os.PathLike):\n    x = 1\n")
    moved = "import os\n\n\ndef other(): pass  # TODO other\n\n" + changed
    before, after = prints(SOURCE), prints(moved)
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 2


def test_fingerprints_do_not_depend_on_white_space() -> None:
    spaced = SOURCE.replace("# TODO one", "#   TODO    one  ").replace('("later")', '(\n            "later"\n        )')
    assert prints(spaced) == prints(SOURCE)


def test_fingerprints_differ_by_path_name_and_text() -> None:
    every = [value for values in prints(SOURCE).values() for value in values]
    renamed = [value for values in prints(SOURCE, "n.py").values() for value in values]
    assert len({*every, *renamed}) == 2 * len(every)
    other = prints(SOURCE.replace("class A", "class B"))
    assert not set(every) & {value for (_, name, _), values in other.items() if name for value in values}
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in every)


def test_findings_are_in_the_order_of_their_places() -> None:
    found = audit_source(SOURCE.encode(), "m.py").findings
    assert [(item.line, item.kind) for item in found] == [
        (3, "marker"),
        (4, "not-implemented"),
        (5, "empty-body"),
        (6, "marker"),
        (7, "marker"),
    ]


def finding(kind: str, verdict: str) -> Finding:
    assert kind in KINDS
    assert verdict in VERDICTS
    return Finding(kind, "m.py", 1, verdict, "sha256:0", "", "", "")


def test_only_contracts_and_no_ops_are_settled() -> None:
    settled = {verdict for verdict in VERDICTS if finding("empty-body", verdict).settled}
    assert settled == {"contract", "no-op"}
    findings = tuple(finding("empty-body", verdict) for verdict in VERDICTS)
    audit = Audit("sha256:0", 1, 1, (*findings, finding("marker", "note")))
    assert [item.verdict for item in audit.unsettled(["empty-body"])] == ["stub", "note", "unknown"]
    assert audit.unsettled(["unreadable"]) == ()


def test_the_audit_as_json_counts_every_kind_and_the_verdicts_that_occur() -> None:
    findings = (finding("marker", "note"), finding("empty-body", "stub"), finding("empty-body", "contract"))
    audit = Audit("sha256:0", 2, 30, findings, (Skipped("to", "a link"),))
    written = audit.to_json()
    assert written | {"findings": []} == {
        "digest": "sha256:0",
        "files": 2,
        "lines": 30,
        "counts": {"marker": 1, "not-implemented": 0, "empty-body": 2, "unreadable": 0},
        "verdicts": {
            "marker": {"note": 1},
            "not-implemented": {},
            "empty-body": {"stub": 1, "contract": 1},
            "unreadable": {},
        },
        "findings": [],
        "skipped": [{"path": "to", "reason": "a link"}],
    }
    shown = written["findings"]
    assert isinstance(shown, list)
    assert set(shown[0]) == {"kind", "path", "line", "verdict", "fingerprint", "qualname", "message", "why"}
    assert canonical_json(written)
