"""Promises of codex_core.config: every mistake at once, each at its key, in words a person understands."""

from __future__ import annotations

from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from codex_core.config import check_table, named_tables, raise_problems, read_layer, read_stores, read_targets
from codex_core.errors import ConfigError, Problem
from codex_core.policy import Layer, Rule
from codex_core.status import TargetConfig
from codex_core.storage import StoreConfig
from codex_core.toml import parse_toml

HOME = Path("/project")

VALID = """\
[[policy.allow]]
id = "models"
url = "https://minio.corp:9000/models/**"
verbs = ["read", "list"]
stages = ["corpus"]
expires = 2027-01-31
reason = "approved mirror"
[[policy.allow]]
id = "other"
url = "http://*.corp:80/x"
verbs = ["connect"]
expires = "2027-01-31"
[[policy.deny]]
id = "never"
url = "https://[fd00::/8]:443/**"
verbs = ["write"]

[stores.models]
url = "s3://models/v1"
endpoint = "https://minio.corp:9000"
fallbacks = ["mirror", "library"]
credentials = "env:MINIO"
[stores.mirror]
url = "file:a%20b/mirror"
[stores.library]
url = "python:stdlib"
[stores.share]
url = "file:///srv/my mirror"
[stores.blob]
url = "azure://container"
endpoint = "http://127.0.0.1:10000"
[stores.web]
url = "https://host.example/prefix"

[targets.local]
kind = "dir"
url = "file:served"
fallbacks = ["far"]
[targets.far]
kind = "registry"
url = "https://registry.corp:5000/models"
"""

MISTAKES = """\
[policy]
alow = 3
locked = "yes"

[[policy.allow]]
id = "models"
url = "https://minio.corp/**"
verbs = ["raed", "list"]
stages = []
expires = 2027-01-31T00:00:00
reasons = "x"

[[policy.deny]]
id = "models"
url = 3
verb = ["read"]

[[policy.deny]]
id = "a b"

[stores]
bad = 3
"a b" = {}
[stores.models]
url = "s3://models"
fallbacks = ["local-miror", "models", 3, "c", "c", "nothing-like-it"]
[stores.local-mirror]
url = "flie:///srv/mirror"
fallbacks = ["c"]
[stores.c]
url = "file:x"
endpoint = "minio"
fallbacks = ["local-mirror"]
[stores.d]
url = "s3://b?x"
endpoint = "https://h/?q"

[targets.t]
kind = "dirr"
"""

SAID = """\
codex.toml:2:1: unknown key 'alow' in the policy; did you mean 'allow'?
codex.toml:3:1: 'locked' in the policy: only policy files can be locked; move it to a policy file, or remove it
codex.toml:7:1: 'url' in rule 'models': the pattern 'https://minio.corp/**' names no port; \
write 'https://minio.corp:443/**'
codex.toml:8:10: item 1 of 'verbs' in rule 'models' must be 'read', 'list', 'write', 'delete' or 'connect', \
not "raed"; did you mean 'read'?
codex.toml:9:1: 'stages' in rule 'models' must have at least 1 item
codex.toml:10:1: 'expires' in rule 'models' must be a date such as 2027-01-31, not 2027-01-31T00:00:00
codex.toml:11:1: unknown key 'reasons' in rule 'models'; did you mean 'reason'?
codex.toml:13:10: rule 'models' has no 'verbs'; add verbs = ["read"]
codex.toml:14:1: two rules have the id 'models'; give it another: the rule on line 5 has this one
codex.toml:15:1: 'url' in rule 'models' must be text, not 3; write url = "https://models.example:443/**"
codex.toml:16:1: unknown key 'verb' in rule 'models'; did you mean 'verbs'?
codex.toml:18:10: rule 'a b' has no 'url'; add url = "https://models.example:443/**"
codex.toml:18:10: rule 'a b' has no 'verbs'; add verbs = ["read"]
codex.toml:19:1: 'id' in rule 'a b': "a b" is not a name; use letters, digits, '_' and '-', and do not begin with '-'
codex.toml:22:1: 'bad' in 'stores' must be a table, not 3; write [stores.NAME] above what it holds
codex.toml:23:1: 'a b' in 'stores' is not a name; use letters, digits, '_' and '-', and do not begin with '-'
codex.toml:24:9: store 'models' has no 'endpoint', which s3: URLs need; add endpoint = "https://HOST:PORT"
codex.toml:26:14: store 'models' falls back on 'local-miror', which is no store; did you mean 'local-mirror'?
codex.toml:26:29: store 'models' falls back on itself; remove it
codex.toml:26:39: item 3 of 'fallbacks' in store 'models' must be text, not 3
codex.toml:26:47: store 'models' falls back on 'c' twice; remove it
codex.toml:26:52: store 'models' falls back on 'nothing-like-it', which is no store; \
known stores: bad, a b, models, local-mirror, c, d
codex.toml:28:1: 'url' in store 'local-mirror': 'flie:///srv/mirror' is no URL of a store; \
begin it with file, python, s3, azure, https or http
codex.toml:29:1: stores fall back in a circle: local-mirror -> c -> local-mirror; remove one of these fallbacks
codex.toml:32:1: 'endpoint' in store 'c': 'minio' is not a URL; write scheme://host:port/path
codex.toml:32:1: store 'c' has an 'endpoint' beside a file: URL; remove it: only s3 and azure URLs have one
codex.toml:35:1: 'url' in store 'd': 's3://b?x' is no URL of a store; write s3://BUCKET or s3://BUCKET/PREFIX
codex.toml:36:1: 'endpoint' in store 'd': 'https://h/?q' has a query or a fragment; write 'https://h/'
codex.toml:38:10: target 't' has no 'url'; add url = "file:served"
codex.toml:39:1: 'kind' in target 't' must be 'dir', 'oci-layout', 'registry', 'process' or 'kserve', \
not "dirr"; did you mean 'dir'?"""


def test_tables_become_what_core_works_with() -> None:
    source = parse_toml(VALID, "codex.toml")
    allow = (
        Rule(
            "models",
            "https://minio.corp:9000/models/**",
            ("read", "list"),
            ("corpus",),
            date(2027, 1, 31),
            "approved mirror",
        ),
        Rule("other", "http://*.corp:80/x", ("connect",), None, date(2027, 1, 31)),
    )
    deny = (Rule("never", "https://[fd00::/8]:443/**", ("write",)),)
    assert read_layer(source) == (Layer("codex.toml", allow, deny), [])
    stores = [
        StoreConfig("models", "s3://models/v1", "https://minio.corp:9000", ("mirror", "library"), "env:MINIO"),
        StoreConfig("mirror", "file:///project/a%20b/mirror"),
        StoreConfig("library", "python:stdlib"),
        StoreConfig("share", "file:///srv/my%20mirror"),
        StoreConfig("blob", "azure://container", "http://127.0.0.1:10000"),
        StoreConfig("web", "https://host.example/prefix"),
    ]
    assert read_stores(source, HOME) == ({store.name: store for store in stores}, [])
    targets = [
        TargetConfig("local", "dir", "file:served", ("far",)),
        TargetConfig("far", "registry", "https://registry.corp:5000/models"),
    ]
    assert read_targets(source) == ({target.name: target for target in targets}, [])


def test_file_without_these_tables_has_nothing_and_no_mistakes() -> None:
    source = parse_toml("[stages.a]\n", "codex.toml")
    assert read_layer(source) == (Layer("codex.toml"), [])
    assert read_stores(source, HOME) == ({}, [])
    assert read_targets(source) == ({}, [])


def test_all_mistakes_are_said_at_once_each_at_its_key() -> None:
    source = parse_toml(MISTAKES, "codex.toml")
    problems = read_layer(source)[1] + read_stores(source, HOME)[1] + read_targets(source)[1]
    with pytest.raises(ConfigError) as raised:
        raise_problems(reversed([*problems, *problems]))
    assert str(raised.value) == SAID
    assert raised.value.message == "codex.toml has 30 mistakes"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[policy.allow]\nid = 'a'\n",
            "f:1:9: 'allow' in the policy: its rules stand in a list, not in a table; write [[policy.allow]]",
        ),
        ("policy = 3\n", "f:1:1: the policy must be a table, not 3"),
        ("[policy]\ndeny = [3]\n", "f:2:9: deny rule 1 must be a table, not 3"),
        (
            "[[policy.allow]]\nid = 3\nurl = 'http://h:80/'\nverbs = ['read']\n",
            "f:2:1: 'id' in allow rule 1 must be text, not 3; write id = \"models\"",
        ),
    ],
)
def test_policy_of_the_wrong_shape_is_said(text: str, said: str) -> None:
    layer, problems = read_layer(parse_toml(text, "f"))
    assert (layer, "\n".join(map(str, problems))) == (Layer("f"), said)


def test_stores_that_are_no_table_are_said() -> None:
    problem = Problem("config.invalid", "'stores' must be a table, not \"x\"", "write [stores.NAME]", "f", 1, 1)
    assert named_tables(parse_toml("stores = 'x'", "f"), "stores") == ({}, [problem])


def test_no_problems_raise_nothing() -> None:
    raise_problems([])


# --- any model ----------------------------------------------------------------------------------------------------


class Colour(Enum):
    red = "red"
    green = "green"


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("it must be even")
    return value


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int
    where: Path = Path()


class Params(BaseModel):
    """A ``with`` table with what such tables hold."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(1, ge=1, lt=1000)
    rate: float = Field(0.1, gt=0, le=1)
    fast: bool = False
    source: str = Field("x", alias="from", min_length=1, max_length=3)
    where: Path = Path()
    colour: Colour = Colour.red
    mode: Literal["slow", "quick"] = "slow"
    names: tuple[str, ...] = Field((), max_length=2)
    inner: Inner | None = None
    many: list[Inner] = []
    either: int | str = 0
    scores: dict[str, float] = {}
    even: Annotated[int, AfterValidator(_even)] = 0
    code: str = Field("a", pattern="^[a-z]+$")


KNOWN = "steps, rate, fast, from, where, colour, mode, names, inner, many, either, scores, even, code"


def _say(text: str) -> list[str]:
    source = parse_toml(f"[stages.train]\n{text}\n", "f")
    at = ("stages", "train")
    model, problems = check_table(Params, source.data["stages"]["train"], source, at, "w")
    assert model is None
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step = 3", "f:2:1: unknown key 'step' in w; did you mean 'steps'?"),
        (
            "zzz = 3",
            f"f:2:1: unknown key 'zzz' in w; known keys: {KNOWN}",
        ),
        ("scorse = 'x'", "f:2:1: unknown key 'scorse' in w; did you mean 'scores'?"),
        ("steps = 'abc'", "f:2:1: 'steps' in w must be a whole number, not \"abc\""),
        ("steps = '3'", "f:2:1: 'steps' in w must be a whole number, not \"3\""),
        ("steps = 1.5", "f:2:1: 'steps' in w must be a whole number, not 1.5"),
        ("steps = true", "f:2:1: 'steps' in w must be a whole number, not true"),
        ("steps = 0", "f:2:1: 'steps' in w must be at least 1, not 0"),
        ("steps = 1000", "f:2:1: 'steps' in w must be less than 1000, not 1000"),
        ("rate = 0.0", "f:2:1: 'rate' in w must be more than 0.0, not 0.0"),
        ("rate = 1.5", "f:2:1: 'rate' in w must be at most 1.0, not 1.5"),
        ("rate = '1'", "f:2:1: 'rate' in w must be a number, not \"1\""),
        ("fast = 1", "f:2:1: 'fast' in w must be true or false, not 1"),
        ("from = ''", "f:2:1: 'from' in w must have at least 1 character"),
        ("from = 'abcd'", "f:2:1: 'from' in w must have at most 3 characters"),
        ("where = 3", "f:2:1: 'where' in w must be text, not 3"),
        ("colour = 'gren'", "f:2:1: 'colour' in w must be 'red' or 'green', not \"gren\"; did you mean 'green'?"),
        ("mode = 7", "f:2:1: 'mode' in w must be 'slow' or 'quick', not 7"),
        ("names = 'a'", "f:2:1: 'names' in w must be a list, not \"a\""),
        ("names = ['a', 1]", "f:2:15: item 2 of 'names' in w must be text, not 1"),
        ("names = ['a', 'b', 'c']", "f:2:1: 'names' in w must have at most 2 items"),
        ("inner = 3", "f:2:1: 'inner' in w must be a table, not 3"),
        ("inner = {}", "f:2:1: 'inner' in w has no 'size'; add a line size = .."),
        ("inner = {size = 1, sise = 2}", "f:2:20: unknown key 'sise' in 'inner' in w; did you mean 'size'?"),
        ("inner.size = []", "f:2:7: 'inner.size' in w must be a whole number, not a list"),
        ("many = [{size=1}, {size={}}]", "f:2:20: 'size' of item 2 of 'many' in w must be a whole number, not a table"),
        ("either = 1.5", "f:2:1: 'either' in w must be a whole number or text, not 1.5"),
        ("scores = {a = 1, b = 'x'}", "f:2:18: 'scores.b' in w must be a number, not \"x\""),
        ("even = 3", "f:2:1: 'even' in w: it must be even"),
        ("code = 'A'", "f:2:1: 'code' in w must match the pattern ^[a-z]+$"),
        (f"steps = '{'x' * 99}'", f"f:2:1: 'steps' in w must be a whole number, not \"{'x' * 55}..."),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_said_in_plain_words(text: str, said: str) -> None:
    assert _say(text) == [said]


def test_table_that_is_none_is_said() -> None:
    source = parse_toml("with = 3", "f")
    _, problems = check_table(Params, 3, source, ("with",), "'with' of stage 'train'")
    assert [str(problem) for problem in problems] == ["f:1:1: 'with' of stage 'train' must be a table, not 3"]


def test_text_and_lists_become_what_toml_cannot_say() -> None:
    source = parse_toml("where = 'a/b'\ncolour = 'green'\nnames = ['x']\nrate = 1\nfrom = 'y'\n", "f")
    model, problems = check_table(Params, source.data, source, (), "the file")
    assert problems == []
    assert model is not None
    assert (model.where, model.colour, model.names, model.rate, model.source) == (
        Path("a/b"),
        Colour.green,
        ("x",),
        1.0,
        "y",
    )
