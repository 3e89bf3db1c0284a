"""Freshness: whether a stage's record still describes what would be made today, and if not, why not."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from codex_cli.pipeline.job import actor_of
from codex_cli.pipeline.order import overlap
from codex_cli.pipeline.records import Identity
from codex_cli.pipeline.uses import code_digest, load_plug_in, validate_params
from codex_core.digest import digest_path
from codex_core.errors import CodexError
from codex_core.fallbacks import fallback_names
from codex_core.policy import Request, decide
from codex_core.stage import EnvironmentReader, StoreReader, TargetReader
from codex_core.storage import parse_place
from codex_core.store_urls import is_local_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from codex_cli.pipeline.model import Pipeline, StageSpec
    from codex_cli.pipeline.records import Record


NEVER_RAN = "it has no record of a finished run"


@dataclass(frozen=True)
class Today:
    """What a record is compared with: the pipeline, the time, and whether remote sources are to be read again.

    ``digests`` are those already known of what stands in the pipeline's folder, so that each is computed once.
    """

    pipeline: Pipeline
    now: datetime
    refresh: bool = False
    digests: dict[str, str | None] = field(default_factory=dict)

    def digest(self, name: str) -> str | None:
        """The digest of what stands at ``name``; None if nothing does, or nothing that has one."""
        if name not in self.digests:
            self.digests[name] = digest_or_none(self.pipeline.root / name)
        return self.digests[name]

    def forget(self, name: str) -> None:
        """Something else stands at ``name`` now."""
        for known in [known for known in self.digests if overlap(known, name)]:
            del self.digests[known]

    def identity(self, stage: StageSpec, inputs: Mapping[str, str]) -> Identity:
        """What the stage is now, for inputs with these digests."""
        sources = self._sources(stage)
        return Identity(
            work=stage.work,
            code=code_digest(stage.uses, self.pipeline.root) if stage.uses else None,
            params=stage.params,
            env=stage.env,
            seed=self.pipeline.seed,
            on_refusal=stage.on_refusal,
            environment=self._environment(stage),
            inputs=inputs,
            sources=sources,
            tables=dict(self._tables(stage, sources)),
        )

    def why_stale(self, stage: StageSpec, record: Record | None) -> tuple[str, ...]:
        """Every reason to run the stage again; empty if it is fresh."""
        if record is None:
            return (NEVER_RAN,)
        inputs = {name: digest for name in stage.inputs if (digest := self.digest(name))}
        return (
            *_differences(record.identity, self.identity(stage, inputs), refresh=self.refresh),
            *self._changed_outputs(stage, record),
            *self._changed_decisions(stage, record),
        )

    def _sources(self, stage: StageSpec) -> Mapping[str, str | None]:
        reader = load_plug_in(stage.uses, self.pipeline.root)
        if reader is None or not isinstance(reader, StoreReader):
            return {}
        return reader.sources(validate_params(reader, stage.params), self.pipeline.stores)

    def _tables(self, stage: StageSpec, places: Iterable[str]) -> Iterator[tuple[str, object]]:
        """What the file says of the targets that the stage goes to, the stores of ``places``, and their fallbacks.

        Where a local store lies is this machine's and does not count: the digests of what it holds do.
        """
        stores, reader = self.pipeline.stores, load_plug_in(stage.uses, self.pipeline.root)
        for place in places:
            store = stores[parse_place(place).store]
            for name in (store.name, *fallback_names(store, stores)):
                one = stores[name]
                yield f"stores.{name}.fallbacks", list(one.fallbacks)
                if not is_local_store(one.url):
                    yield from ((f"stores.{name}.{key}", getattr(one, key)) for key in ("url", "endpoint"))
        if reader is not None and isinstance(reader, TargetReader):
            read = reader.targets(validate_params(reader, stage.params), self.pipeline.targets)
            for name, target in read.items():
                table = {**asdict(target), "fallbacks": list(target.fallbacks)}
                yield from ((f"targets.{name}.{key}", value) for key, value in table.items())

    def _environment(self, stage: StageSpec) -> dict[str, str]:
        reader = load_plug_in(stage.uses, self.pipeline.root)
        own = reader.environment() if reader is not None and isinstance(reader, EnvironmentReader) else {}
        return {**environment_identity(), **own}

    def _changed_outputs(self, stage: StageSpec, record: Record) -> Iterator[str]:
        if set(stage.outputs) != set(record.outputs):
            yield f"its outputs were {_names(record.outputs)}"
            return
        for name, digest in record.outputs.items():
            found = self.digest(name)
            if found != digest:
                yield f"output {name!r} {'is missing' if found is None else 'was changed since it was made'}"

    def _changed_decisions(self, stage: StageSpec, record: Record) -> Iterator[str]:
        for before in record.decisions:
            request = Request(before.verb, before.url, before.stage, actor_of(stage.uses))
            after = decide(self.pipeline.policy, request, now=self.now, enforced_by=before.enforced_by)
            if not before.same_answer(after):
                yield f"the policy now answers {before.verb} of {before.url} with {_answer(after.verdict, after.rule)}"


def environment_identity() -> dict[str, str]:
    """What of this machine can change a stage's bits without any file of the project changing."""
    return {
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def digest_or_none(path: Path) -> str | None:
    """The digest of what stands at ``path``; None if nothing does, or nothing that has one."""
    try:
        return digest_path(path)
    except (OSError, CodexError):
        return None


def _differences(before: Identity, after: Identity, *, refresh: bool) -> Iterator[str]:
    if before.work != after.work:
        yield f"it was {before.work!r}"
    elif before.code != after.code:
        yield "its code changed"
    for title, name in (
        ("parameter", "params"),
        ("variable", "env"),
        ("environment", "environment"),
        ("table", "tables"),
    ):
        yield from _changed(title, getattr(before, name), getattr(after, name))
    if before.seed != after.seed:
        yield f"seed: {before.seed} -> {after.seed}"
    if before.on_refusal != after.on_refusal:
        yield f"on_refusal: {before.on_refusal!r} -> {after.on_refusal!r}"
    yield from _changed_digests("input", before.inputs, after.inputs)
    if refresh:
        yield from (f"store {place!r} is read again" for place, digest in after.sources.items() if digest is None)
    pinned = {place: digest or before.sources.get(place) for place, digest in after.sources.items()}
    yield from _changed_digests("store", before.sources, pinned)


def _changed(title: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one != other:
            yield f"{title} {name}: {one!r} -> {other!r}"


def _changed_digests(title: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if name not in before or name not in after:
            yield f"{title} {name!r} was {'added' if name in after else 'removed'}"
        elif before[name] != after[name]:
            yield f"{title} {name!r} changed"


def _names(outputs: Mapping[str, str]) -> str:
    return ", ".join(repr(name) for name in outputs) or "none"


def _answer(verdict: str, rule: str | None) -> str:
    return verdict + (f" (rule {rule!r})" if rule else " (no rule)")
