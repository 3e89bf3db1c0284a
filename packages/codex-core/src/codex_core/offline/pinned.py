"""What the keeper imports once a program has begun: read before it begins, since it may write to the files.

It often may: to a virtual environment of the user's own, and to every folder that PYTHONPATH names. What it wrote there
would run outside. To import all of this beforehand would cost more than the seal does; to read it costs little, and
most of that is done while the kernel makes the seal.
"""

from __future__ import annotations

import marshal
import os
import sys

from codex_core.offline import resolvers

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

_COMPILED = "_datetime _json _opcode _sha2 _sha256 _typing fcntl math resource unicodedata"
_OF_PYTHON = """
    _colorize _opcode_metadata _weakrefset ast collections collections.abc contextlib copy copyreg dataclasses datetime
    dis encodings.ascii encodings.idna encodings.latin_1 encodings.punycode encodings.utf_16_be enum fnmatch functools
    glob importlib importlib.machinery inspect ipaddress json json.decoder json.encoder json.scanner keyword linecache
    ntpath opcode operator pathlib pathlib._abc pathlib._local re re._casefix re._compiler re._constants re._parser
    reprlib stringprep token tokenize types typing urllib urllib.parse warnings weakref
"""
_OF_CORE = "_chain digest durable errors lazy ledger members policy rule_index sha256 urls"
_COMPILED_OF_SOCKETS = "array"
_OF_SOCKETS = """
    selectors signal socket threading codex_core.offline.broker codex_core.offline.guard codex_core.offline.http_body
    codex_core.offline.http_head codex_core.offline.tunnel codex_core.offline.upstream
"""
"""What the keeper imports, and what besides where it needs sockets: of any version's standard library, packages before
their modules. What is compiled cannot be held in memory, and is imported at once. A test tries that this is all."""


def pin(others: Iterable[str] = (), *, sockets: bool) -> None:
    """From now on, import nothing in this process but what is read now: what the keeper needs, and ``others``.

    ``others`` are modules of packages that are imported already. ``sockets``: Python's own may be needed, as a broker
    does, and a keeper inside another seal.
    """
    if _finder in sys.meta_path:
        return
    for name in f"{_COMPILED} {_COMPILED_OF_SOCKETS if sockets else ''}".split():
        if name not in sys.modules:
            _import(name)
    if not {"_sha2", "_sha256"} & sys.modules.keys():
        _import("hashlib")  # as where Python was built without them
    if sockets:
        resolvers.load()
    of_core = [f"codex_core.{name}" for name in _OF_CORE.split()]
    for name in (*_OF_PYTHON.split(), *of_core, *(_OF_SOCKETS.split() if sockets else ()), *others):
        if name not in sys.modules:
            _finder.read(name)
    forbid()


def forbid() -> None:
    """From now on, import nothing in this process but what was read, which may be nothing."""
    if _finder not in sys.meta_path:
        _before[:] = sys.meta_path
        of_interpreter = [finder for finder in _before if finder.__module__ == "_frozen_importlib"]
        sys.meta_path[:] = [*of_interpreter, _finder]  # what is built in, and frozen


def unpin() -> None:
    """Import from the files again, as a program does that this process has become."""
    if _finder in sys.meta_path:
        sys.meta_path[:] = _before


def _import(name: str) -> None:
    try:
        __import__(name)
    except ImportError:
        return  # this version has none


class _Finder:
    """Finds the modules that it has read (importlib.abc.MetaPathFinder)."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec] = {}

    def read(self, name: str) -> None:
        """Hold the module ``name``, if there is one."""
        package, _, last = name.rpartition(".")
        folders: Sequence[str] | None = [os.path.dirname(os.__file__)]
        if package in self._specs:
            folders = self._specs[package].submodule_search_locations
        elif package:
            folders = getattr(sys.modules.get(package), "__path__", None)
        for folder in folders or ():
            for path in (os.path.join(folder, f"{last}.py"), os.path.join(folder, last, "__init__.py")):
                code = _read(path)
                if code is not None:
                    is_package = path.endswith("__init__.py")
                    self._hold(name, path, code, [os.path.dirname(path)] if is_package else None)
                    return
        if folders:
            self._search(name, folders)

    def _search(self, name: str, folders: Sequence[str]) -> None:
        """Hold what has no source file there, as in a zip file."""
        specs = (finder.find_spec(name, folders) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec is not None), None)
        find_code = getattr(spec and spec.loader, "get_code", None)
        if spec is not None and find_code is not None and spec.origin not in {"built-in", "frozen"}:
            code = find_code(name)
            self._hold(name, spec.origin or name, lambda: code, spec.submodule_search_locations)

    def _hold(self, name: str, path: str, code: Callable[[], CodeType], folders: list[str] | None) -> None:
        loader: Any = _Loader(code)  # Any: importlib.abc.Loader costs an import
        spec: ModuleSpec = type(sys.__spec__)(name, loader, origin=path, is_package=folders is not None)
        spec.has_location = True
        if folders is not None:
            spec.submodule_search_locations = folders
        self._specs[name] = spec

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """The spec of ``name``, None if it was not read."""
        return self._specs.get(name)


class _Loader:
    """Makes a module of what was read (importlib.abc.Loader)."""

    def __init__(self, code: Callable[[], CodeType]) -> None:
        self._code = code

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing, which leaves it to Python to make an empty one."""
        return

    def exec_module(self, module: ModuleType) -> None:
        """Fill it."""
        exec(self._code(), vars(module))


def _read(path: str) -> Callable[[], CodeType] | None:
    """What makes the code of the source file ``path`` as it is now, None if there is none.

    Bytecode is taken where Python would take it (importlib.abc.SourceLoader): if it is of this source, or says that
    it need not be.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    folder, name = os.path.split(path)
    data = _bytes(os.path.join(folder, "__pycache__", f"{name[:-3]}.{sys.implementation.cache_tag}.pyc"))
    of_source = b"".join((part & 0xFFFFFFFF).to_bytes(4, "little") for part in (0, int(found.st_mtime), found.st_size))
    if data[:4] == _MAGIC and (data[4:16] == of_source or data[4:8] == b"\1\0\0\0"):
        return lambda: marshal.loads(data[16:])
    source = _bytes(path)
    return lambda: compile(source, path, "exec", dont_inherit=True)


def _bytes(path: str) -> bytes:
    """What the file ``path`` holds; nothing if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)  # a buffer of more than that costs more than all else
    finally:
        os.close(descriptor)


_MAGIC: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
_finder = _Finder()
_before: list[Any] = []  # Any: what importlib.abc.MetaPathFinder says is not what is there
