from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING

import pytest

from codex_core.errors import PluginError, PluginUnknown
from codex_core.registry import KINDS, Plugin, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Install = Callable[..., Path]

STAGE = """
class Pull:
    contract = {contract}
    def params(self):
        return dict
    def __call__(self, ctx, params):
        ctx.append(params)

pull = Pull()
"""
GOOD = STAGE.format(contract=1)


INSTALL = 'install it: pip install --no-index --find-links WHEELHOUSE "codex-cli[{}]"'


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution: its entry points and its modules, as a wheel would put them, in a folder on sys.path."""
    modules = set(sys.modules)

    def install_one(
        name: str = "acme-stages",
        version: str = "1.2",
        *,
        points: Mapping[str, str] | str = {"acme.pull": "acme:pull"},
        modules: Mapping[str, str] = {"acme": GOOD},
        group: str = "codex.stages",
        site: str = "site",
    ) -> Path:
        folder = tmp_path / site
        metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = points if isinstance(points, str) else "".join(f"{key} = {value}\n" for key, value in points.items())
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        for module, source in modules.items():
            (folder / f"{module}.py").write_text(source)
        if str(folder) not in sys.path:
            monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return metadata

    yield install_one
    for module in set(sys.modules) - modules:
        del sys.modules[module]


def _here(tmp_path: Path, group: str = "codex.stages") -> Registry[object]:
    """The registry of the distributions that a test has installed, and no others."""
    sites = [entry for entry in sys.path if entry.startswith(str(tmp_path))]
    return Registry(group, distributions=lambda: distributions(path=sites))


def _sole(tmp_path: Path, group: str = "codex.stages") -> Plugin:
    (plugin,) = _here(tmp_path, group).plugins()
    return plugin


def test_a_stage_that_is_installed_is_found_loaded_and_called(install: Install) -> None:
    install()
    registry = Registry("codex.stages")
    calls: list[object] = []
    assert "acme.pull" in registry.names()
    stage = registry.load("acme.pull")
    stage(calls, {"a": 1})  # type: ignore[arg-type]  # the stage of this test takes a list for its context
    assert (type(stage).__name__, stage.params(), calls) == ("Pull", dict, [{"a": 1}])
    assert Plugin("acme.pull", "acme-stages 1.2 (acme:pull)", "ok") in registry.plugins()


def test_names_are_sorted_and_import_nothing(install: Install, tmp_path: Path) -> None:
    install(points={"b": "acme:pull", "a": "acme:pull", "a.b-c_2": "acme:pull"}, modules={"acme": "1/0"})
    assert _here(tmp_path).names() == ("a", "a.b-c_2", "b")
    assert "acme" not in sys.modules


def test_a_plug_in_is_imported_by_its_own_load_alone(install: Install, tmp_path: Path) -> None:
    install(points={"one": "acme_one:pull", "two": "acme_two:pull"}, modules={"acme_one": GOOD, "acme_two": GOOD})
    _here(tmp_path).load("one")
    assert ("acme_one" in sys.modules, "acme_two" in sys.modules) == (True, False)


BROKEN = {
    "raises": ("1/0", "it raised ZeroDivisionError: division by zero"),
    "needs more": ("import acme_absent", "it raised ModuleNotFoundError: No module named 'acme_absent'"),
    "exits": ("raise SystemExit(3)", "it raised SystemExit: 3"),
    "panics": ("class Panic(BaseException): ...\nraise Panic('rust')", "it raised acme.Panic: rust"),
    "unprintable": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "it raised acme.Odd: <exception str() failed>",
    ),
    "attribute": ("", "it raised AttributeError: module 'acme' has no attribute 'pull'"),
    "several lines": ("raise ValueError('one\\n  two')", "it raised ValueError: one two"),
    "no contract": (
        "class Any: ...\npull = Any()",
        "it does not say in 'contract' what it was written for; this release speaks 1",
    ),
    "newer": (STAGE.format(contract=2), "it was written for contract 2; this release speaks 1"),
    "older": (STAGE.format(contract="'0'"), "it was written for contract '0'; this release speaks 1"),
    "members": ("class Any:\n    contract = 1\npull = Any()", "as a stage it lacks __call__, params"),
    "not callable": (GOOD + "pull.params = {}\n", "as a stage it lacks params"),
    "class": (GOOD + "pull = Pull\n", "it is a class; name an object"),
    "function": ("def pull(): ...", "it does not say in 'contract' what it was written for; this release speaks 1"),
    "hostile": (
        "class Any:\n    @property\n    def contract(self): raise OSError('no')\npull = Any()",
        "it raised OSError: no",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plug_in_is_listed_with_its_reason_and_breaks_no_other(
    install: Install, tmp_path: Path, source: str, reason: str
) -> None:
    install(modules={"acme": source})
    install("good-stages", points={"good": "good:pull"}, modules={"good": GOOD})
    registry = _here(tmp_path)
    assert registry.plugins() == (
        Plugin("acme.pull", "acme-stages 1.2 (acme:pull)", "broken", reason),
        Plugin("good", "good-stages 1.2 (good:pull)", "ok"),
    )
    with pytest.raises(PluginError) as caught:
        registry.load("acme.pull")
    assert caught.value.message == (f"the stage 'acme.pull' of acme-stages 1.2 (acme:pull) cannot be used: {reason}")
    assert not isinstance(caught.value, PluginUnknown)
    assert registry.load("good")


def test_a_syntax_error_is_told_with_its_place(install: Install, tmp_path: Path) -> None:
    install(modules={"acme": "x = 1\ndef ("})
    reason = _sole(tmp_path).reason
    assert reason is not None
    assert 'acme.py", line 2' in reason
    assert "SyntaxError: invalid syntax" in reason


def test_the_error_of_a_plug_in_is_the_cause_of_the_registrys(install: Install, tmp_path: Path) -> None:
    install(modules={"acme": "1/0"})
    with pytest.raises(PluginError) as caught:
        _here(tmp_path).load("acme.pull")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_interrupt_while_a_plug_in_is_imported_is_an_interrupt(install: Install, tmp_path: Path) -> None:
    install(modules={"acme": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        _here(tmp_path).load("acme.pull")
    with pytest.raises(KeyboardInterrupt):
        _here(tmp_path).plugins()


@pytest.mark.parametrize("name", ["Acme", "acme pull", "acme..pull", ".acme", "acme-", "é", "a:b", "a/b"])
def test_a_name_outside_the_pattern_is_broken_and_not_offered(install: Install, tmp_path: Path, name: str) -> None:
    install(points={name: "acme:pull"})
    assert _here(tmp_path).names() == ()
    assert (_sole(tmp_path).state, str(_sole(tmp_path).reason)[:19]) == ("broken", "its name is not mad")
    assert "acme" not in sys.modules
    with pytest.raises(PluginError, match="its name is not made of"):
        _here(tmp_path).load(name)


def test_a_name_claimed_twice_is_listed_with_both_origins_and_neither_is_used(install: Install, tmp_path: Path) -> None:
    install(points={"pull": "acme:pull", "push": "acme:pull"})
    install("other-stages", "0.1", points={"pull": "other:pull"}, modules={"other": GOOD})
    registry = _here(tmp_path)
    one, other = "acme-stages 1.2 (acme:pull)", "other-stages 0.1 (other:pull)"
    assert registry.plugins() == (
        Plugin("pull", one, "duplicate", f"claimed by {other} as well"),
        Plugin("pull", other, "duplicate", f"claimed by {one} as well"),
        Plugin("push", one, "ok"),
    )
    assert "other" not in sys.modules
    with pytest.raises(PluginError) as caught:
        registry.load("pull")
    assert one in caught.value.message
    assert other in caught.value.message
    assert registry.load("push")


def test_one_distribution_that_claims_a_name_twice_is_a_duplicate_too(install: Install, tmp_path: Path) -> None:
    install(points="pull = acme:pull\npull = acme:Pull\n")
    assert [plugin.state for plugin in _here(tmp_path).plugins()] == ["duplicate", "duplicate"]


def test_a_distribution_found_twice_on_sys_path_is_one_plug_in(install: Install, tmp_path: Path) -> None:
    install(site="editable")
    install("Acme_Stages", site="wheel")  # one name by PEP 503
    assert _sole(tmp_path) == Plugin("acme.pull", "Acme_Stages 1.2 (acme:pull)", "ok")


def test_of_two_versions_on_sys_path_the_one_that_is_imported_counts(install: Install, tmp_path: Path) -> None:
    install(version="1", points={"old": "acme:pull"}, site="late")
    install(version="2", points={"new": "acme:pull"}, site="early")
    assert _here(tmp_path).names() == ("new",)


def test_an_unreadable_distribution_is_listed_and_breaks_no_other(install: Install, tmp_path: Path) -> None:
    install("bad-lines", points="no equals sign\n", modules={})
    (install("bad-bytes", points={}, modules={}) / "entry_points.txt").write_bytes(b"[codex.stages]\n\xff = a:b\n")
    install("bad-elsewhere", points="no equals sign\n", modules={}, group="other.group")
    install()
    registry = _here(tmp_path)
    assert registry.names() == ("acme.pull",)
    assert registry.load("acme.pull")
    bad_bytes, bad_lines, good = registry.plugins()
    assert (bad_bytes.name, bad_bytes.state, bad_bytes.origin) == (
        "?",
        "broken",
        f"a distribution in {tmp_path / 'site'}",
    )
    assert (bad_lines.name, bad_lines.state, bad_lines.origin) == ("?", "broken", "bad-lines 1.2")
    assert all(str(plugin.reason).startswith("its entry points cannot be read: ") for plugin in (bad_bytes, bad_lines))
    assert good.state == "ok"


def test_a_value_that_names_no_object_is_broken(install: Install, tmp_path: Path) -> None:
    install(points={"pull": "not a value!"})
    assert _sole(tmp_path).state == "broken"


def test_distributions_without_a_name_are_all_asked(install: Install, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (install(name, points={name: "acme:pull"}) / "METADATA").write_text("Metadata-Version: 2.1\n")
    assert [(plugin.name, plugin.origin, plugin.state) for plugin in _here(tmp_path).plugins()] == [
        ("one", "a nameless distribution (acme:pull)", "ok"),
        ("two", "a nameless distribution (acme:pull)", "ok"),
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("acme.pul", "did you mean 'acme.pull'?"),
        ("zzzzzz", "there are acme.pull, connectors.pull, my-deploy.push"),
        ("connectors.pulll", "did you mean 'connectors.pull'?"),
        ("train.lm", INSTALL.format("train")),
        ("analysis", INSTALL.format("analysis")),
        ("deploy.pushh", f"did you mean 'my-deploy.push'? or {INSTALL.format('deploy')}"),
    ],
)
def test_an_unknown_name_says_what_to_do_next(install: Install, tmp_path: Path, name: str, hint: str) -> None:
    install(points={"acme.pull": "acme:pull", "connectors.pull": "acme:pull", "my-deploy.push": "acme:pull"})
    with pytest.raises(PluginUnknown) as caught:
        _here(tmp_path).load(name)
    assert (caught.value.message, caught.value.hint) == (f"no stage {name!r} is installed", hint)


def test_without_any_plug_in_the_hint_says_so(tmp_path: Path) -> None:
    with pytest.raises(PluginUnknown) as caught:
        _here(tmp_path).load("x")
    assert caught.value.hint == "there are none"


OBJECTS = {
    "codex.commands": "from codex_core.command import Commands\nit = Commands(())\n",
    "codex.stages": GOOD + "it = pull\n",
    "codex.tasks": """
class Task:
    contract = 1
    def params(self): ...
    def train(self, run, params): ...
    def evaluate(self, model, data, *, limit=None): ...
    def load(self, model): ...
it = Task()
""",
}
CLASSES = {
    "codex.connectors": """
class it:
    contract = 1
    async def stat(self, key): ...
    def scan(self, prefix=""): ...
    def read(self, key, *, start=0, end=None): ...
    async def write(self, key, chunks, *, if_absent=False): ...
    async def delete(self, key): ...
""",
    "codex.providers": "class it:\n    contract = 1\n    def search(self, query, *, limit=20): ...\n",
    "codex.targets": """
class it:
    contract = 1
    def observe(self): ...
    def plan(self, bundle, current): ...
    def apply(self, plan): ...
    def status(self): ...
""",
    "codex.writers": "from codex_core.events import NdjsonWriter as it\n",
}


def test_every_kind_is_tried_here() -> None:
    assert sorted(KINDS) == sorted([*OBJECTS, *CLASSES])
    assert {kind.version for kind in KINDS.values()} == {1}


@pytest.mark.parametrize(
    ("group", "source"), [*OBJECTS.items(), *CLASSES.items()], ids=lambda text: text.split("\n")[0]
)
def test_a_plug_in_that_keeps_the_contract_of_its_kind_is_ok(
    install: Install, tmp_path: Path, group: str, source: str
) -> None:
    install(points={"it": "acme:it"}, modules={"acme": source}, group=group)
    assert _sole(tmp_path, group) == Plugin("it", "acme-stages 1.2 (acme:it)", "ok")
    assert _here(tmp_path, group).load("it") is sys.modules["acme"].it


@pytest.mark.parametrize(
    ("group", "lacks"),
    {
        "codex.connectors": "a connector it lacks delete, read, scan, stat, write",
        "codex.providers": "a provider it lacks search",
        "codex.targets": "a target it lacks apply, observe, plan, status",
        "codex.writers": "a writer it lacks close, write",
        "codex.stages": "a stage it lacks __call__, params",
        "codex.tasks": "a task it lacks evaluate, load, params, train",
    }.items(),
)
def test_what_a_plug_in_lacks_is_named(install: Install, tmp_path: Path, group: str, lacks: str) -> None:
    ending = "" if KINDS[group].made else "it = it()\n"
    install(points={"it": "acme:it"}, modules={"acme": f"class it:\n    contract = 1\n{ending}"}, group=group)
    assert _sole(tmp_path, group).reason == f"as {lacks}"


@pytest.mark.parametrize("group", CLASSES)
def test_what_works_for_one_place_is_named_by_its_class(install: Install, tmp_path: Path, group: str) -> None:
    install(points={"it": "acme:it"}, modules={"acme": "class It:\n    contract = 1\nit = It()\n"}, group=group)
    assert _sole(tmp_path, group).reason == f"it is a It; name a class that makes one {KINDS[group].noun}"


def test_a_command_list_is_one_of_cores_and_nothing_like_it(install: Install, tmp_path: Path) -> None:
    source = "class Like:\n    contract = 1\n    leaves = ()\nit = Like()\n"
    install(points={"it": "acme:it"}, modules={"acme": source}, group="codex.commands")
    assert _sole(tmp_path, "codex.commands").reason == "it is a Like; name a Commands of codex_core.command"


def test_a_command_list_of_another_contract_is_broken(install: Install, tmp_path: Path) -> None:
    source = "from codex_core.command import Commands\nit = Commands((), contract=2)\n"
    install(points={"it": "acme:it"}, modules={"acme": source}, group="codex.commands")
    assert _sole(tmp_path, "codex.commands").reason == "it was written for contract 2; this release speaks 1"


def test_no_plug_in_is_looked_for_before_it_is_asked_for() -> None:
    code = (
        "import sys; from codex_core.registry import Registry; Registry('codex.stages')\n"
        "sys.exit('importlib.metadata' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
