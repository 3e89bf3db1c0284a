"""The leak matrix: every way out is tried inside a seal, and the listeners outside say what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from sys import executable
from typing import TYPE_CHECKING, Literal

from codex_core.errors import CodexError
from codex_core.offline.leaks.outside import Outside
from codex_core.offline.leaks.ways import INHERITED, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Finding:
    """What came of one attempt: ``held``, ``open``, or ``not tried``; ``said`` is what stood in its way, or why.

    ``promised``: at the level of the seal, nothing may go this way.
    """

    name: str
    about: str
    verdict: Literal["held", "open", "not tried"]
    said: str
    promised: bool

    @property
    def is_leak(self) -> bool:
        """Whether something went a way that the seal promises to hold."""
        return self.verdict == "open" and self.promised

    def to_json(self) -> dict[str, object]:
        """The object that ``self_test`` of ``doctor`` shows."""
        return dict(vars(self))


def run(
    start: Callable[[Sequence[str], Sequence[int]], str], *, away: bool = True, inherited: bool = False
) -> tuple[str | None, list[Finding]]:
    """The level that the attempts ran at, None without a seal, and what came of each.

    ``start`` runs a command in a seal and returns its stdout; the descriptors are open and inheritable, for the seal to
    close. ``away``: also try addresses outside of this machine. ``inherited``: the network was gone before the seal.
    CodexError if an attempt is missing from the answer.
    """
    with Outside() as outside:
        spec = {**outside.spec, "away": away}
        out = start([executable, "-m", "codex_core.offline.leaks.attempts", json.dumps(spec)], outside.handed)
        first, *said = map(json.loads, out.splitlines()) if out else [{}]
        arrived = outside.arrived()
        absent = dict(outside.absent)
    level = first.get("level")
    told = {one["name"]: one for one in said}
    expected = [way for way in WAYS if away or way.target != "away"]
    if missing := [way.name for way in expected if way.name not in told and way.name not in absent]:
        raise CodexError(
            f"the leak matrix ended before it had tried {missing[0]!r} and {len(missing) - 1} more",
            hint="what it printed to stderr says why",
        )
    promised = INHERITED if inherited else level or "python"
    findings = []
    for way in expected:
        one = told.get(way.name, {"let": None, "said": absent.get(way.name)})
        judged_inside = way.target in {"inside", "away"}
        is_open = one["let"] if judged_inside else way.name in arrived
        verdict: Literal["held", "open", "not tried"] = "open" if is_open else "held"
        if one["let"] is None and not is_open:
            verdict = "not tried"
        text = "it was reached" if is_open else one["said"] if one["let"] is not True else "nothing arrived"
        findings.append(Finding(way.name, way.about, verdict, str(text), way.is_held_at(promised)))
    return level, findings
