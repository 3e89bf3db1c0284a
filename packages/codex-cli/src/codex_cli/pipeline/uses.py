"""What ``uses`` names: a stage plug-in, or ``module:function`` in a file beside the pipeline file."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from codex_core import code
from codex_core.digest import digest_file
from codex_core.errors import PluginError, PluginUnknown
from codex_core.registry import Registry
from codex_core.stage import PluginUser, RefusalTeller, Stage, StageFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from codex_core.stage import StageContext


@dataclass(frozen=True)
class FileStage:
    """A function ``(ctx, params)`` of a file beside the pipeline file; its ``with`` table arrives as a dictionary."""

    function: Callable[[StageContext, Mapping[str, object]], None]
    contract: ClassVar[int] = 1

    def params(self) -> type:
        """Any table is taken: the function checks it."""
        return dict

    def __call__(self, ctx: StageContext, params: Mapping[str, object]) -> None:
        """Call the function."""
        self.function(ctx, params)


def is_function(uses: str) -> bool:
    """Whether ``uses`` is ``module:function`` rather than the name of a plug-in."""
    return ":" in uses


def load_stage(uses: str, root: Path) -> Stage:
    """The stage that ``uses`` names; PluginError or PluginUnknown, with the next step, if it cannot be had."""
    if not is_function(uses):
        return _plug_in(uses)
    path, name = function_file(uses, root), uses.partition(":")[2]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return FileStage(getattr(module, name))


def load_plug_in(uses: str | None, root: Path) -> Stage | None:
    """The plug-in that ``uses`` names, as ``load_stage``; None for a function, which has no contract, and for None."""
    return None if uses is None or is_function(uses) else load_stage(uses, root)


@functools.cache  # finding entry points costs more than a Python start, and they do not change while one runs
def _plug_in(name: str) -> Stage:
    registry = Registry("codex.stages")
    family, _, member = name.partition(".")
    if member and name not in registry.names() and family in registry.names():
        stage = registry.load(family)
        if isinstance(stage, StageFamily):
            return stage.member(member)
    return registry.load(name)


def function_file(uses: str, root: Path) -> Path:
    """The file of ``module:function``, found without running it; PluginUnknown if file or function is missing."""
    module, _, name = uses.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise PluginUnknown(f"{uses!r} does not name a function", hint="write module:function, as in steps:clean")
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        message = f"{uses!r} needs the file {path.relative_to(root)}"
        raise PluginUnknown(message, hint="write it beside the pipeline file")
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise PluginError(f"{path.relative_to(root)}:{error.lineno}: {error.msg}") from error
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if name not in functions:
        message = f"{path.relative_to(root)} has no function {name!r}"
        raise PluginUnknown(message, hint=f"it has {', '.join(functions) or 'none'}")
    return path


def code_digest(uses: str, root: Path) -> str:
    """The digest of the code behind ``uses``: the function's file, or that of the plug-in and of those it uses."""
    if is_function(uses):
        return digest_file(function_file(uses, root))
    stage = load_stage(uses, root)
    return code.code_digest(stage, *(stage.plug_ins() if isinstance(stage, PluginUser) else ()))


def tells_refusals(uses: str | None, root: Path) -> bool:
    """Whether the outputs of the stage ``uses`` themselves say why it was refused."""
    stage = load_plug_in(uses, root)
    return stage is not None and isinstance(stage, RefusalTeller) and stage.tells_refusals


def validate_params(stage: Stage, params: Mapping[str, object]) -> Any:  # Any: an instance of the stage's own model
    """The stage's own parameter object for ``params``, which were validated when the pipeline was read."""
    model: Any = stage.params()  # Any: a pydantic model, which this module does not import
    return dict(params) if model is dict else model.model_validate(params)
