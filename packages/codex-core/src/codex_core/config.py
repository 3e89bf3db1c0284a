"""The border of a pipeline file: its policy, stores and targets, checked and read into core's dataclasses.

Each function returns what it read and every mistake that it found, so that a caller can check the rest of the file
before it raises one ConfigError for all. What is returned beside a mistake is fit only to check that rest against.
"""

from __future__ import annotations

import json
import re
from datetime import date
from operator import methodcaller
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from codex_core.errors import ConfigError, Problem
from codex_core.fallbacks import check_fallbacks
from codex_core.policy import OWN_STAGES, Layer, Rule, Verb, is_misspelt
from codex_core.status import TargetConfig, TargetKind
from codex_core.storage import StoreConfig
from codex_core.store_urls import ENDPOINT_SCHEMES, STORE_SCHEMES, absolute_store_url, check_http_url
from codex_core.urls import parse_pattern
from codex_core.wording import describe, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from codex_core.toml import KeyPath, TomlSource

Model = TypeVar("Model", bound=BaseModel)
Table = dict[str, Any]  # Any: the values that TOML has

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_NAME_HINT = "use letters, digits, '_' and '-', and do not begin with '-'"


def check_table(
    model: type[Model], data: object, source: TomlSource, at: KeyPath, where: str, *, context: object = None
) -> tuple[Model | None, list[Problem]]:
    """``data``, the table at ``at`` of ``source``, as ``model``; or None, and a Problem for each mistake in it.

    ``where`` names the table for a person: ``stage 'train'``. TOML's types hold: no text becomes a number. A list may
    become a tuple or a set, and text a path, a date or a member of an enumeration. ``context`` is for validators.
    """
    try:
        text = json.dumps(data, default=methodcaller("isoformat"))  # strict JSON converts just what TOML cannot say
        return model.model_validate_json(text, strict=True, context=context), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    said = describe(details, data, where, lambda path: _keys_at(model, path))
    return None, [source.problem((*at, *one.path), one.message, one.hint) for one in said]


def named_tables(source: TomlSource, key: str) -> tuple[dict[str, Table], list[Problem]]:
    """The tables ``[key.NAME]`` by their names, without those whose NAME is none."""
    found = source.data.get(key, {})
    if not isinstance(found, dict):
        return {}, [source.problem((key,), f"{key!r} must be a table, not {shown(found)}", f"write [{key}.NAME]")]
    tables: dict[str, Table] = {}
    problems: list[Problem] = []
    for name, table in found.items():
        if not isinstance(table, dict):
            message = f"{name!r} in {key!r} must be a table, not {shown(table)}"
            problems.append(source.problem((key, name), message, f"write [{key}.NAME] above what it holds"))
        elif not _NAME.fullmatch(name):
            problems.append(source.problem((key, name), f"{name!r} in {key!r} is not a name", _NAME_HINT))
        else:
            tables[name] = table
    return tables, problems


def read_layer(source: TomlSource) -> tuple[Layer, list[Problem]]:
    """The policy of a pipeline file: its rules, in their order."""
    layer, problems = _read_layer(source, _PolicyTable)
    return layer, problems + _foreign_stages(source)


def read_policy_file(source: TomlSource) -> tuple[Layer, list[Problem]]:
    """The policy of a policy file, which holds nothing else, and which may be locked."""
    foreign = sorted(set(source.data) - {"policy"})
    problems = [
        source.problem((key,), f"a policy file has no {key!r}", "it holds [[policy.allow]] and [[policy.deny]] tables")
        for key in foreign
    ]
    layer, mistakes = _read_layer(source, _LockablePolicyTable)
    return layer, problems + mistakes


def _read_layer(source: TomlSource, model: type[_PolicyRules]) -> tuple[Layer, list[Problem]]:
    data = source.data.get("policy", {})
    table, problems = check_table(model, data, source, ("policy",), "the policy")
    rules: dict[str, tuple[Rule, ...]] = {"allow": (), "deny": ()}
    places: dict[str, KeyPath] = {}  # of each id
    for kind, index, rule in _raw_rules(data):
        at, name = ("policy", kind, index), rule.get("id") if isinstance(rule, dict) else None
        checked, mistakes = check_table(_RuleTable, rule, source, at, _called(kind, index, rule))
        problems += mistakes
        if checked:
            rules[kind] = (*rules[kind], checked.rule())
        if isinstance(name, str) and places.setdefault(name, at) != at:
            first = source.problem(places[name], "").line
            hint = f"give it another: the rule on line {first} has this one"
            problems.append(source.problem((*at, "id"), f"two rules have the id {name!r}", hint))
    return Layer(source.name, rules["allow"], rules["deny"], bool(table and table.locked)), problems


def stage_names(source: TomlSource) -> tuple[str, ...]:
    """The names of the stages of a pipeline file, whether each is that of a stage without a mistake or not."""
    stages = source.data.get("stages")
    return tuple(stages) if isinstance(stages, dict) else ()


def _foreign_stages(source: TomlSource) -> list[Problem]:
    """A rule for a stage that is not there would never hold: most likely the stage's name is misspelt."""
    known = stage_names(source)
    problems = []
    for kind, index, rule in _raw_rules(source.data.get("policy", {})):
        named = rule.get("stages") if isinstance(rule, dict) else None
        for at, name in enumerate(named if isinstance(named, list) else ()):
            if isinstance(name, str) and is_misspelt(name, known):
                message = f"{_called(kind, index, rule)} is for the stage {name!r}, which is not there"
                problems.append(
                    source.problem(("policy", kind, index, "stages", at), message, nearest(name, [*known, *OWN_STAGES]))
                )
    return problems


def _called(kind: str, index: int, rule: object) -> str:
    name = rule.get("id") if isinstance(rule, dict) else None
    return f"rule {name!r}" if isinstance(name, str) else f"{kind} rule {index + 1}"


def read_stores(source: TomlSource, folder: Path) -> tuple[dict[str, StoreConfig], list[Problem]]:
    """The stores of a file by their names; a relative ``file:`` URL is below ``folder``, which is absolute."""
    tables, problems = named_tables(source, "stores")
    stores: dict[str, StoreConfig] = {}
    for name, data in tables.items():
        at, where = ("stores", name), f"store {name!r}"
        table, mistakes = check_table(_StoreTable, data, source, at, where, context=folder)
        problems += [*mistakes, *_endpoint_problems(data, source, at, where)]
        if table:
            stores[name] = StoreConfig(name, table.url, table.endpoint, tuple(table.fallbacks), table.credentials)
    return stores, problems + check_fallbacks(tables, source, "stores")


def read_targets(source: TomlSource) -> tuple[dict[str, TargetConfig], list[Problem]]:
    """The targets of a file by their names."""
    tables, problems = named_tables(source, "targets")
    targets: dict[str, TargetConfig] = {}
    for name, data in tables.items():
        table, mistakes = check_table(_TargetTable, data, source, ("targets", name), f"target {name!r}")
        problems += mistakes
        if table:
            targets[name] = TargetConfig(name, table.kind, table.url, tuple(table.fallbacks))
    return targets, problems + check_fallbacks(tables, source, "targets")


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise one ConfigError for ``problems``, each once and by its place; nothing if there are none."""
    ordered = sorted(set(problems), key=lambda one: (one.file or "", one.line or 0, one.column or 0, one.message))
    if ordered:
        count = "one mistake" if len(ordered) == 1 else f"{len(ordered)} mistakes"
        raise ConfigError(f"{ordered[0].file or 'the configuration'} has {count}", problems=ordered)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ConfigError(f"{shown(text)} is not a name", hint=_NAME_HINT)
    return text


def _pattern(text: str) -> str:
    parse_pattern(text)
    return text


def _store_url(text: str, info: ValidationInfo) -> str:
    return absolute_store_url(text, cast("Path", info.context))  # what read_stores passes


def _rules(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, list):
        raise ConfigError(
            f"its rules stand in a list, not in {shown(value)}", hint=f"write [[policy.{info.field_name}]]"
        )
    return value


def _not_locked(value: object) -> object:
    raise ConfigError("only policy files can be locked", hint="move it to a policy file, or remove it")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _PolicyRules(_Strict):
    allow: Annotated[list[Any], BeforeValidator(_rules)] = []  # Any: each rule is checked by itself
    deny: Annotated[list[Any], BeforeValidator(_rules)] = []  # Any: likewise
    locked: bool | None = None


class _PolicyTable(_PolicyRules):
    locked: Annotated[None, BeforeValidator(_not_locked)] = None


class _LockablePolicyTable(_PolicyRules):
    locked: bool = False


class _RuleTable(_Strict):
    id: Annotated[str, AfterValidator(_name)] = Field(examples=["models"])
    url: Annotated[str, AfterValidator(_pattern)] = Field(examples=["https://models.example:443/**"])
    verbs: tuple[Verb, ...] = Field(min_length=1, examples=[["read"]])
    stages: tuple[str, ...] | None = Field(None, min_length=1)
    expires: date | None = None
    reason: str = ""

    def rule(self) -> Rule:
        return Rule(self.id, self.url, self.verbs, self.stages, self.expires, self.reason)


class _StoreTable(_Strict):
    url: Annotated[str, AfterValidator(_store_url)] = Field(examples=["file:mirror"])
    endpoint: Annotated[str, AfterValidator(check_http_url)] | None = None
    fallbacks: tuple[str, ...] = ()
    credentials: str | None = Field(None, min_length=1)


class _TargetTable(_Strict):
    kind: TargetKind = Field(examples=["dir"])
    url: str = Field(min_length=1, examples=["file:served"])
    fallbacks: tuple[str, ...] = ()


def _keys_at(model: type[BaseModel], path: KeyPath) -> dict[str, object]:
    """The keys that the table at ``path`` below ``model`` may have, each with an example, or None."""
    models = [model]
    for key in path:
        if isinstance(key, str):
            models = [inner for one in models for inner in _models_in(_fields(one).get(key))]
    fields = {name: field for one in models for name, field in _fields(one).items()}
    return {name: field.examples[0] if field.examples else None for name, field in fields.items()}


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(field: FieldInfo | None) -> Iterator[type[BaseModel]]:
    pending = [field.annotation] if field else []
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        pending += get_args(kind)


def _raw_rules(data: object) -> Iterator[tuple[str, int, object]]:
    """Every rule of a policy table as it was written: its kind, its index, and itself."""
    for kind in ("allow", "deny"):
        rules = data.get(kind) if isinstance(data, dict) else None
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            yield kind, index, rule


def _endpoint_problems(data: Table, source: TomlSource, at: KeyPath, where: str) -> list[Problem]:
    scheme = str(data.get("url")).partition(":")[0]
    if scheme in ENDPOINT_SCHEMES and "endpoint" not in data:
        hint = 'add endpoint = "https://HOST:PORT"'
        return [source.problem(at, f"{where} has no 'endpoint', which {scheme}: URLs need", hint)]
    if scheme in STORE_SCHEMES and scheme not in ENDPOINT_SCHEMES and "endpoint" in data:
        hint = f"remove it: only {' and '.join(ENDPOINT_SCHEMES)} URLs have one"
        return [source.problem((*at, "endpoint"), f"{where} has an 'endpoint' beside a {scheme}: URL", hint)]
    return []
