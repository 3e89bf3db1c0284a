"""The stage ``connectors.pull``: what a store holds at a place, as a folder."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, ClassVar

from codex_connectors.fallbacks import enumerate_fallbacks, first_local, look, read_or_fall_back
from codex_connectors.refusal import Judge
from codex_connectors.selection import Selection
from codex_connectors.stores import connect, connect_local, find_store
from codex_connectors.transfer import copy_folder, list_objects
from codex_core.digest import digest_entries
from codex_core.shape import Shape
from codex_core.storage import parse_place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_connectors.config import PullParams
    from codex_core.stage import StageContext
    from codex_core.storage import Connector, Fallback, Place, StoreConfig


class PullStage:
    """Copies what is at ``from`` into the stage's one output, and pins its digest, which is the output's digest too."""

    contract: ClassVar[int] = 1
    shape: ClassVar[Shape] = Shape((), ("folder",))

    def params(self) -> type[PullParams]:
        """``from``, ``include`` and ``fallback``."""
        from codex_connectors.config import PullParams

        return PullParams

    def sources(self, params: PullParams, stores: Mapping[str, StoreConfig]) -> Mapping[str, str | None]:
        """The digest of what a local store holds there today; None for a remote one.

        None as well for a local store that is not there while a fallback may stand in for it. In both cases, with
        ``fallback``, the first local fallback that has something there counts too, with its digest.
        """
        place = parse_place(params.from_)
        store = find_store(stores, place.store)
        local = connect_local(store)
        if local and (look(store, place.key).usable or not params.fallback):
            return {str(place): _digest(local, place, params)}
        found: dict[str, str | None] = {str(place): None}
        instead = first_local(place, stores) if params.fallback else None
        if instead and (local := connect_local(stores[instead.store])):
            found[str(instead)] = _digest(local, instead, params)
        return found

    def __call__(self, ctx: StageContext, params: PullParams) -> None:
        """Pull; with ``fallback``, from the first usable one if the place itself is refused or cannot be reached."""
        ctx.check(self.shape)
        (output,) = ctx.outputs
        place = parse_place(params.from_)
        read_or_fall_back(
            place,
            lambda tried: _pull(ctx, tried, params, output),
            lambda: _fallbacks(ctx, place),
            use=params.fallback,
            say=print,
        )


pull = PullStage()


def _digest(connector: Connector, place: Place, params: PullParams) -> str:
    """The digest of what a pull from a local store would make today."""
    selection = Selection(place.key, params.include)
    objects = asyncio.run(list_objects(connector, selection))
    return digest_entries(selection.entries(objects))


def _pull(ctx: StageContext, place: Place, params: PullParams, output: Path) -> None:
    judge = Judge(ctx.policy, ctx.stage, lambda: ctx.now, ctx.record)
    connector = connect(find_store(ctx.stores, place.store), judge)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        entries = asyncio.run(copy_folder(connector, Selection(place.key, params.include), output))
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)  # what came before: the next attempt begins with nothing
        raise
    digest = digest_entries(entries)
    ctx.pin(str(place), digest)
    print(f"pulled {len(entries)} files, {sum(entry.size for entry in entries)} bytes, from {place}: {digest}")


def _fallbacks(ctx: StageContext, place: Place) -> tuple[Fallback, ...]:
    store = find_store(ctx.stores, place.store)
    return enumerate_fallbacks(store, ctx.stores, ctx.policy, now=ctx.now, stage=ctx.stage, key=place.key)
