"""Reading a pipeline file: every mistake at once, each with its line, its column and what to write instead."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from codex_cli.pipeline.model import Pipeline, StageSpec
from codex_cli.pipeline.order import dependencies, find_cycle, overlap, sort_stages
from codex_cli.pipeline.paths import path_mistake
from codex_cli.pipeline.uses import function_file, is_function, load_plug_in
from codex_core.digest import canonical_json
from codex_core.errors import CodexError, ConfigError, DigestError, UsageError
from codex_core.policy import OWN_STAGES, Policy
from codex_core.project import find_pipeline_file
from codex_core.stage import ShapedStage, TargetReader
from codex_core.storage import PLACE_SCHEME, parse_place
from codex_core.toml import read_toml
from codex_core.wording import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_cli.pipeline.config import StageTable
    from codex_core.errors import Problem
    from codex_core.stage import Stage
    from codex_core.status import TargetConfig
    from codex_core.toml import TomlSource

TABLES = ("pipeline", "policy", "stores", "targets", "stages")
Read = TypeVar("Read")
_OVERRIDE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_.-]+)=(.*)", re.DOTALL)


def locate(given: str | None, start: Path) -> Path:
    """The pipeline file that ``given``, a file or a folder, names; without it, the nearest one from ``start`` up."""
    if given is None:
        found = find_pipeline_file(start)
        if found is None:
            raise UsageError(f"there is no codex.toml in {start} or above", hint="name one: codex run PATH")
        return found
    path = start / given
    file = path / "codex.toml" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"there is no pipeline file at {given}", hint="name a codex.toml, or a folder that holds one")
    return file


def read_pipeline(file: Path, overrides: Sequence[str] = (), *, policy: Policy | None = None) -> Pipeline:
    """The pipeline in ``file``; ``overrides`` are ``STAGE.KEY=VALUE`` words. ConfigError holds every mistake.

    ``policy`` is what judges it; without one, the rules of the file alone.

    UsageError for mistakes that only the words bring: the file is right, and has no line of theirs.
    """
    source = read_toml(file, name=_shown(file))
    try:
        return _Reader(source, file.absolute()).read(overrides, policy)
    except ConfigError as error:
        if not overrides or isinstance(error, UsageError):
            raise
        read_pipeline(file)
        told = [replace(one, message=f"-P: {one.message}", file=None, line=None, column=None) for one in error.problems]
        raise UsageError(told[0].message, problems=told) from error


class _Reader:
    """Collects what is right and what is wrong in one pipeline file."""

    def __init__(self, source: TomlSource, file: Path) -> None:
        self.source = source
        self.file = file
        self.root = file.parent
        self.problems: list[Problem] = []
        self.targets: Mapping[str, TargetConfig] | None = None  # None where one of them holds a mistake

    def read(self, overrides: Sequence[str], policy: Policy | None) -> Pipeline:
        from codex_cli.pipeline.config import PipelineTable  # pydantic is imported here, when a file is read
        from codex_core.config import check_table, raise_problems, read_layer, read_stores, read_targets

        data = self.source.data
        self._override(overrides)
        self._check_tables()
        head = data.get("pipeline", {})
        table = self._take(check_table(PipelineTable, head, self.source, ("pipeline",), "[pipeline]"))
        layer = self._take(read_layer(self.source))
        stores = self._take(read_stores(self.source, self.root))
        targets, mistakes = read_targets(self.source)
        self.targets = None if mistakes else targets
        self.problems += mistakes
        stages = self._stages()
        raise_problems(self.problems)
        return Pipeline(
            file=self.file,
            root=self.root,
            name=table.name if table else "",
            seed=table.seed if table else 0,
            policy=Policy((layer,)) if policy is None else policy,
            stores=stores,
            targets=targets,
            stages=stages,
        )

    def _take(self, read: tuple[Read, Sequence[Problem]]) -> Read:
        self.problems += read[1]
        return read[0]

    def _add(self, path: tuple[str | int, ...], message: str, hint: str | None = None) -> None:
        self.problems.append(self.source.problem(path, message, hint))

    def _override(self, overrides: Sequence[str]) -> None:
        """Put each ``STAGE.KEY=VALUE`` into the stage's ``with`` table; VALUE is TOML, or else a plain word."""
        stages = self._tables("stages")
        for word in overrides:
            found = _OVERRIDE.fullmatch(word)
            if found is None:
                raise UsageError(f"-P {word!r} is not a parameter", hint="write -P STAGE.KEY=VALUE")
            name, key, value = found.groups()
            if not isinstance(stages.get(name), dict):
                raise UsageError(f"-P {word!r} names no stage", hint=nearest(name, stages))
            if not _set(stages[name].setdefault("with", {}), key.split("."), _toml_value(value)):
                raise UsageError(f"-P {word!r} goes into a value that is not a table")

    def _tables(self, key: str) -> dict[str, Any]:  # Any: TOML values
        """What stands below ``key``, if that is a table; what else it may be is said by ``named_tables``."""
        found = self.source.data.get(key)
        return found if isinstance(found, dict) else {}

    def _check_tables(self) -> None:
        for name in self.source.data:
            if name not in TABLES:
                self._add((name,), f"unknown table {name!r}", nearest(name, TABLES))
        if not self.source.data.get("stages"):
            self._add((), "the pipeline has no stages", "add a [stages.NAME] table")

    def _stages(self) -> dict[str, StageSpec]:
        """The stages in the order in which they run; what is returned beside a mistake is only checked further."""
        from codex_core.config import named_tables

        tables = self._take(named_tables(self.source, "stages"))
        for name in tables.keys() & set(OWN_STAGES):
            message = f"a stage may not be called {name!r}: Codex itself asks the policy by that name"
            self._add(("stages", name), message, "give it another name")
        stages = {name: self._stage(name, data) for name, data in tables.items()}
        self._check_outputs(stages)
        return self._in_running_order(stages)

    def _stage(self, name: str, data: dict[str, Any]) -> StageSpec:  # Any: TOML values
        path, table = ("stages", name), self._stage_table(name, data)
        if ("uses" in data) == ("command" in data):
            both = "both 'uses' and 'command'" if "uses" in data else "neither 'uses' nor 'command'"
            self._add(path, f"stage {name!r} has {both}", "give it exactly one")
        self._check_paths(name, table)
        return StageSpec(
            name=name,
            uses=table.uses,
            command=table.command,
            inputs=tuple(table.inputs),
            outputs=tuple(table.outputs),
            params=self._params(name, table),
            env=table.env,
            on_refusal=table.on_refusal,
        )

    def _stage_table(self, name: str, data: dict[str, Any]) -> StageTable:  # Any: TOML values
        """The stage's table, without the keys that hold a mistake, so that what is left can be checked further."""
        from codex_cli.pipeline.config import StageTable
        from codex_core.config import check_table

        def check(part: dict[str, Any]) -> tuple[StageTable | None, list[Problem]]:  # Any: TOML values
            return check_table(StageTable, part, self.source, ("stages", name), f"stage {name!r}")

        table = self._take(check(data))
        return table or check({key: value for key, value in data.items() if check({key: value})[0]})[0] or StageTable()

    def _check_paths(self, name: str, table: StageTable) -> None:
        for key, paths in (("inputs", table.inputs), ("outputs", table.outputs)):
            for index, path in enumerate(paths):
                mistake = path_mistake(path, self.root)
                if mistake:
                    self._add(("stages", name, key, index), f"{key[:-1]} {mistake[0]}", mistake[1])
                for other in paths[:index]:
                    if overlap(path, other):
                        what = f"{path!r} twice" if path == other else f"{path!r} beside {other!r}, which overlap"
                        self._add(("stages", name, key, index), f"{key!r} names {what}", "name each thing once")

    def _params(self, name: str, table: StageTable) -> Mapping[str, object]:
        """The stage's parameters as JSON values, checked by its own model and with that model's defaults."""
        from codex_core.config import check_table

        for key, value in table.with_.items():
            self._check_place(name, key, value)
        path = ("stages", name, "with")
        if table.command is not None:
            if table.with_:
                message = f"stage {name!r} is a command, which takes no 'with'"
                self._add(path, message, "write the values in the command or in 'env'")
            return {}
        try:
            stage = self._plug_in(table.uses)
            model: Any = stage and stage.params()  # Any: a pydantic model
        except CodexError as error:
            self._add_all(("stages", name, "uses"), error)
            return {}
        self._check_shape(name, table, stage)
        if stage is None or model is dict:
            return self._digestible(name, {key: _json(value) for key, value in table.with_.items()})
        params = self._take(check_table(model, table.with_, self.source, path, f"'with' of stage {name!r}"))
        if params is None:
            return {}
        if isinstance(stage, TargetReader) and self.targets is not None:
            try:
                stage.targets(params, self.targets)
            except CodexError as error:
                self._add_all(path, error)
        return self._digestible(name, params.model_dump(mode="json", by_alias=True))

    def _check_shape(self, name: str, table: StageTable, stage: Stage | None) -> None:
        if stage is None or not isinstance(stage, ShapedStage):
            return
        told = self.source.data["stages"][name]
        for key, message, hint in stage.shape.mistakes(table.inputs, table.outputs):
            if told.get(key, []) == getattr(table, key):  # otherwise it holds another mistake, which is said already
                at = ("stages", name, key) if key in told else ("stages", name)
                self._add(at, f"stage {name!r} {message}", hint)

    def _add_all(self, path: tuple[str | int, ...], error: CodexError) -> None:
        for problem in error.problems:
            self._add(path, problem.message, problem.hint)

    def _digestible(self, name: str, params: Mapping[str, object]) -> Mapping[str, object]:
        """The parameters, which go into the record: a value without a canonical form is a mistake before the work."""
        for key, value in params.items():
            try:
                canonical_json(value)
            except DigestError as error:
                self._add(
                    ("stages", name, "with", key), f"{key!r} cannot be recorded: {error.message}", "use another value"
                )
        return params

    def _plug_in(self, uses: str | None) -> Stage | None:
        """The plug-in that ``uses`` names; None for a function, whose table is free, and for no ``uses``."""
        if uses is None:
            return None
        if is_function(uses):
            function_file(uses, self.root)
        return load_plug_in(uses, self.root)

    def _check_place(self, name: str, key: str, value: object) -> None:
        if not isinstance(value, str) or not value.startswith(PLACE_SCHEME):
            return
        path = ("stages", name, "with", key)
        try:
            place = parse_place(value)
        except CodexError as error:
            self._add(path, error.message, error.hint)
            return
        stores = self._tables("stores")
        if place.store not in stores:
            self._add(path, f"there is no store {place.store!r}", nearest(place.store, stores))

    def _check_outputs(self, stages: Mapping[str, StageSpec]) -> None:
        """No two stages write the same place, and none writes what it reads, or the pipeline file."""
        made: list[tuple[str, str]] = []
        for stage in stages.values():
            for index, path in enumerate(stage.outputs):
                at = ("stages", stage.name, "outputs", index)
                for other, taken in made:
                    if overlap(path, taken):
                        what = repr(path) if path == taken else f"{path!r} and {taken!r}"
                        self._add(
                            at, f"stages {other!r} and {stage.name!r} both write {what}", "give each its own output"
                        )
                if any(overlap(path, read) for read in stage.inputs):
                    self._add(at, f"stage {stage.name!r} reads and writes {path!r}", "give the output another name")
                if path == self.file.name:
                    self._add(at, "the pipeline file cannot be an output", "give the output another name")
            made += [(stage.name, path) for path in stage.outputs]

    def _in_running_order(self, stages: Mapping[str, StageSpec]) -> dict[str, StageSpec]:
        inputs = {name: stage.inputs for name, stage in stages.items()}
        needs = dependencies(inputs, {name: stage.outputs for name, stage in stages.items()})
        cycle = find_cycle(needs)
        if cycle:
            message = f"the stages need one another in a circle: {' -> '.join(cycle)}"
            self._add(("stages", cycle[0]), message, "let one of them read something else")
        self._check_inputs(stages)
        if cycle:
            return dict(stages)
        return {name: replace(stages[name], needs=needs[name]) for name in sort_stages(needs)}

    def _check_inputs(self, stages: Mapping[str, StageSpec]) -> None:
        """An input is there already, or another stage makes it, or a folder that holds or lies in it."""
        here = [item.name for item in self.root.iterdir()]
        for stage in stages.values():
            made = [path for other in stages.values() if other is not stage for path in other.outputs]
            for index, path in enumerate(stage.inputs):
                there = os.path.lexists(self.root / path) or any(overlap(path, output) for output in made)
                if not there and path_mistake(path, self.root) is None:
                    message = f"input {path!r} of stage {stage.name!r} does not exist, and no stage makes it"
                    near = did_you_mean(path, [*made, *here])
                    hint = near or "put it there, or name it among the outputs of a stage"
                    self._add(("stages", stage.name, "inputs", index), message, hint)


def _shown(file: Path) -> str:
    """The file as a person in the working folder would write it."""
    relative = os.path.relpath(file)
    return str(file) if relative.startswith("../..") else relative


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(table: Any, keys: list[str], value: object) -> bool:  # Any: TOML values
    """Set the value below ``keys``; False if something on the way is not a table."""
    for key in keys[:-1]:
        if not isinstance(table, dict):
            return False
        table = table.setdefault(key, {})
    if isinstance(table, dict):
        table[keys[-1]] = value
    return isinstance(table, dict)


def _json(value: Any) -> Any:  # Any: TOML values in, JSON values out
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)
