from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_cli.pipeline.file import locate, read_pipeline
from codex_core.errors import ConfigError, Problem, UsageError

if TYPE_CHECKING:
    from conftest import Project

MakeProject = Callable[[dict[str, str]], "Project"]

KEYS = [
    "pipeline",
    "policy",
    "allow",
    "stores",
    "stages",
    "a",
    "name",
    "uses",
    "command",
    "inputs",
    "with",
    "env",
    "url",
]
TEN_MISTAKES = """\
[pipelines]
name = "p"

[[policy.allow]]
id = "models"
url = "https://models.example/**"
verbs = ["read", "lst"]
stages = ["trian"]

[stores.models]
url = "s3://models"

[stages.pull]
uses = "connectors.pul"
with = { from = "store://model/x" }
outputs = ["data"]

[stages.train]
command = "python train.py"
input = ["data"]
inputs = ["train.py"]
outputs = ["../model"]

[stages.check]
uses = "steps:check"
command = "python check.py"
inputs = ["model"]
outputs = ["data/x"]
on_refusal = "ignore"
"""


def mistakes(project: Project, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_pipeline(project.root / "codex.toml", overrides)
    assert caught.value.exit_code == 2
    return [
        f"{problem.line}:{problem.column}: {problem.message}" + (f"; {problem.hint}" if problem.hint else "")
        for problem in caught.value.problems
    ]


def stages(text: str) -> str:
    return '[pipeline]\nname = "p"\n' + text


def test_ten_mistakes_are_said_at_once_each_with_its_place_and_a_hint(project: MakeProject) -> None:
    found = mistakes(project({"codex.toml": TEN_MISTAKES, "train.py": "", "steps.py": ""}))
    for line, words in {
        "1:2": "unknown table 'pipelines'; did you mean 'pipeline'?",
        "6:1": "names no port",
        "7:": "lst",
        "10:9": "endpoint",
        "14:1": "'connectors.pul'",
        "15:10": "there is no store 'model'; did you mean 'models'?",
        "20:1": "unknown key 'input' in stage 'train'; did you mean 'inputs'?",
        "22:12": "'../model' leaves the pipeline file's folder",
        "29:1": "on_refusal",
    }.items():
        assert any(text.startswith(line) and words in text for text in found), (line, words, found)
    assert len(found) >= 10


def test_mistakes_come_in_the_order_of_their_lines(project: MakeProject) -> None:
    lines = [int(text.split(":")[0]) for text in mistakes(project({"codex.toml": TEN_MISTAKES}))]
    assert lines == sorted(lines)


def test_a_syntax_error_is_said_alone(project: MakeProject) -> None:
    found = mistakes(project({"codex.toml": '[pipeline\nname = "p"\n[stages.a]\ncomand = 1\n'}))
    assert len(found) == 1
    assert found[0].startswith("1:10: ")


def test_a_circle_is_named(project: MakeProject) -> None:
    text = """
        [stages.a]
        command = "x"
        inputs = ["b.out"]
        outputs = ["a.out"]
        [stages.b]
        command = "x"
        inputs = ["a.out"]
        outputs = ["b.out"]
    """
    (found,) = mistakes(project({"codex.toml": stages(text)}))
    assert "circle: " in found
    assert " -> " in found
    also = text.replace('["b.out"]', '["b.out", "gone"]', 1)
    circle, missing = mistakes(project({"codex.toml": stages(also)}))
    assert "circle: " in circle
    assert "input 'gone' of stage 'a' does not exist" in missing


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("pull.form=x", "-P: unknown key 'form' in 'with' of stage 'pull'; did you mean 'from'?"),
        ("pull.include=3", "-P: 'include' in 'with' of stage 'pull' must be a list, not 3"),
    ],
)
def test_a_mistake_of_a_parameter_on_the_command_line_is_told_of_it_and_not_of_the_file(
    project: MakeProject, word: str, told: str
) -> None:
    text = """
        [stores.m]
        url = "file:mirror"
        [stages.pull]
        uses = "connectors.pull"
        with = { from = "store://m" }
        outputs = ["out"]
    """
    made = project({"codex.toml": stages(text)})
    with pytest.raises(UsageError) as caught:
        read_pipeline(made.root / "codex.toml", [word])
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (None, None, None)
    assert str(problem).startswith(told)
    made.write({"codex.toml": stages(text).replace("[stores.m]", "[stores.n]")})
    with pytest.raises(ConfigError) as wrong:
        read_pipeline(made.root / "codex.toml", [word])
    assert {one.line for one in wrong.value.problems} != {None}  # the file's own mistakes come first


def test_a_stage_with_too_few_or_too_many_inputs_and_outputs_is_a_mistake_with_its_place(project: MakeProject) -> None:
    text = """[stores.m]
url = "file:mirror"
[stages.pull]
uses = "connectors.pull"
with = { from = "store://m" }
inputs = ["mirror"]
[stages.check]
uses = "analysis.audit"
outputs = ["a.json", "b.json"]
[stages.wrong]
uses = "analysis.audit"
inputs = 3
outputs = ["c.json"]
"""
    assert mistakes(project({"codex.toml": stages(text), "mirror": ""})) == [
        "5:9: stage 'pull' has 0 outputs, and makes folder; write outputs = [\"folder\"]",
        "8:1: stage 'pull' has 1 input, and takes none; write inputs = []",
        "9:9: stage 'check' has 0 inputs, and takes src and more; write inputs = [\"src\"]",
        "11:1: stage 'check' has 2 outputs, and makes audit.json; write outputs = [\"audit.json\"]",
        "14:1: 'inputs' in stage 'wrong' must be a list, not 3",
    ]


def test_a_command_of_a_wrong_type_is_one_mistake(project: MakeProject) -> None:
    (found,) = mistakes(project({"codex.toml": stages("[stages.a]\ncommand = 3\n")}))
    assert "command" in found


def test_a_missing_input_is_named_with_the_nearest_that_is_there(project: MakeProject) -> None:
    text = '[stages.a]\ncommand = "x"\ninputs = [\n  "sorce",\n]\n'
    assert mistakes(project({"codex.toml": stages(text), "source": ""})) == [
        "6:3: input 'sorce' of stage 'a' does not exist, and no stage makes it; did you mean 'source'?"
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/x", "is an absolute path"),
        ("../x", "leaves the pipeline file's folder"),
        ("a/../../x", "leaves the pipeline file's folder"),
        (".", "whole folder"),
        ("./x", "write 'x'"),
        ("a//b", "write 'a/b'"),
        (".codex/x", "state folder"),
        ("out/x", "'out' is a link"),
        ("codex.toml", "cannot be an output"),
    ],
)
def test_an_output_stays_inside_the_folder_under_one_name(project: MakeProject, path: str, words: str) -> None:
    made = project({"codex.toml": stages(f'[stages.a]\ncommand = "x"\noutputs = ["{path}"]\n')})
    (made.root / "out").symlink_to("/tmp")
    (found,) = mistakes(made)
    assert found.startswith("5:12: ")
    assert words in found


def test_two_stages_do_not_write_the_same_place(project: MakeProject) -> None:
    text = '[stages.a]\ncommand = "x"\noutputs = ["m"]\n[stages.b]\ncommand = "x"\noutputs = ["m/x"]\n'
    assert mistakes(project({"codex.toml": stages(text)})) == [
        "8:12: stages 'a' and 'b' both write 'm/x' and 'm'; give each its own output"
    ]


def test_a_stage_does_not_read_what_it_writes(project: MakeProject) -> None:
    text = '[stages.a]\ncommand = "x"\ninputs = ["m"]\noutputs = ["m"]\n'
    (found,) = mistakes(project({"codex.toml": stages(text), "m": ""}))
    assert "reads and writes 'm'" in found


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        ("nowhere:f", "needs the file nowhere.py"),
        ("steps:g", "has no function 'g'"),
        ("broken:f", "broken.py:1"),
        ("nothing.here", "nothing.here"),
    ],
)
def test_a_stage_that_uses_what_is_not_there_is_told_what_is(project: MakeProject, uses: str, words: str) -> None:
    text = f'[stages.a]\nuses = "{uses}"\n'
    made = project({"codex.toml": stages(text), "steps.py": "def f(ctx, params): ...\n", "broken.py": "def ("})
    (found,) = mistakes(made)
    assert found.startswith("4:1: ")
    assert words in found


@pytest.mark.parametrize("word", ["a=1", "a.b", "b.x=1", ""])
def test_a_parameter_that_names_no_stage_is_a_usage_error(project: MakeProject, word: str) -> None:
    made = project({"codex.toml": stages('[stages.a]\nuses = "steps:f"\n'), "steps.py": "def f(ctx, params): ...\n"})
    with pytest.raises(UsageError):
        read_pipeline(made.root / "codex.toml", [word])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages = 3\n", "'stages' must be a table"),
        ("[[stages]]\n", "'stages' must be a table"),
        ("[[stages]]\n[[policy.allow]]\nid = 'a'\nurl = 'https://a.example:443/'\nverbs = ['read']\n", "'stages'"),
        (
            "stores = 3\n[stages.a]\nuses = 'connectors.pull'\nwith = { from = 'store://x' }\noutputs = ['o']\n",
            "'stores'",
        ),
        (
            "policy.deny = [3, { id = 'a', url = 'https://a.example:443/', verbs = ['read'], stages = ['seald'] }]\n",
            "did you mean 'sealed'",
        ),
        ("[stages.sealed]\ncommand = 'x'\noutputs = ['o']\n", "a stage may not be called 'sealed'"),
        ("[stages.a]\nuses = ':'\n", "does not name a function"),
        ("[stages.a]\nuses = '/etc/x:f'\n", "does not name a function"),
        ("[stages.a]\nuses = '../x:f'\n", "does not name a function"),
        (f"[stages.a]\ncommand = 'x'\noutputs = ['{'o' * 300}']\n", "choose a shorter name"),
        ("[stages.a]\ncommand = 'x'\noutputs = ['a', 'a/b']\n", "overlap"),
        ("[stages.a]\ncommand = 'x'\ninputs = ['steps.py', 'steps.py']\n", "'steps.py' twice"),
        ("[stages.a]\nuses = 'steps:f'\nwith = { n = 9223372036854775807 }\n", "cannot be recorded"),
        ("[stages.a]\nuses = 'steps:f'\nwith = { x = inf }\n", "cannot be recorded"),
        ("[stages.a]\ncommand = 'x'\nenv = { 'A=B' = 'c' }\n", "env"),
        ('[stages.a]\ncommand = "x\\u0000"\n', "command"),
    ],
)
def test_what_no_stage_could_run_with_is_a_mistake_with_a_line(project: MakeProject, text: str, words: str) -> None:
    made = project({"codex.toml": "", "steps.py": "def f(ctx, params): ...\n"})
    tables = text.startswith("[")
    (made.root / "codex.toml").write_text(stages(text) if tables else f'{text}[pipeline]\nname = "p"\n')
    assert any(words in found for found in mistakes(made))


def raise_or_read(file: Path) -> None:
    """Read the file; one without a mistake is answered by a mistake, so that the caller expects one always."""
    read_pipeline(file)
    raise ConfigError("", problems=[Problem("", "none", line=1)])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_no_table_however_wrong_ends_in_anything_but_a_list_of_mistakes(
    tmp_path: Path, tables: dict[str, object]
) -> None:
    file = tmp_path / "codex.toml"
    file.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in tables.items()))
    with pytest.raises(ConfigError) as caught:
        raise_or_read(file)
    assert all(problem.line for problem in caught.value.problems)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value % 2**62)
    return json.dumps(str(value)).replace("\\ud", "\\u0d")


def test_a_parameter_is_a_toml_value_or_else_a_word(project: MakeProject) -> None:
    made = project({"codex.toml": stages('[stages.a]\nuses = "steps:f"\n'), "steps.py": "def f(ctx, params): ...\n"})
    words = ["a.n=3", "a.list=[1, 2]", "a.word=plain words", "a.deep.x=true"]
    pipeline = read_pipeline(made.root / "codex.toml", words)
    assert pipeline.stages["a"].params == {"n": 3, "list": [1, 2], "word": "plain words", "deep": {"x": True}}


def test_the_nearest_pipeline_file_upwards_is_found_and_a_named_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "codex.toml").write_text("")
    assert locate(None, tmp_path / "deep/er") == tmp_path / "codex.toml"
    assert locate("..", tmp_path / "deep") == tmp_path / "deep/../codex.toml"
    with pytest.raises(UsageError, match="no pipeline file at er"):
        locate("er", tmp_path / "deep")
