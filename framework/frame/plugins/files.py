"""A recipe's own plugin files: read once, and the bytes that were read are imported, hashed and kept.

A file may import others beside it, `from .layers import Block`. They are found by its text before any of it runs, so
that all code of a plugin is known, and nothing else of its folder can be imported.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from .offers import BadOffer


@dataclass(frozen=True)
class PluginFile:
    """A file of Python, as it was when it was read."""

    path: Path
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Its SHA-256, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_plugin(path: Path) -> Iterator[PluginFile]:
    """Yield a plugin's file, then those beside it that it imports, and those that they import.

    Each is yielded before its text is looked at. Raises BadOffer where there is no such file, or it cannot be read.
    """
    waiting, seen = [path], {path}
    while waiting:
        file = _read(waiting.pop(0))
        yield file
        beside = [one for one in _beside(file) if one not in seen]
        waiting += beside
        seen |= set(beside)


def _read(path: Path) -> PluginFile:
    if not path.is_file():
        raise BadOffer(f"there is no file {path}")
    try:
        return PluginFile(path, path.read_bytes())
    except OSError as error:
        raise BadOffer(f"{path} cannot be read: {error.strerror}") from error


def _beside(file: PluginFile) -> list[Path]:
    """Return the files that `from .name import ...` and `from . import name` lead to."""
    try:
        tree = ast.parse(file.content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # its import says what is wrong with it
    found: dict[Path, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            if node.module:
                found[(file.path.parent / f"{node.module.partition('.')[0]}.py").resolve()] = None
            else:
                paths = [(file.path.parent / f"{alias.name}.py").resolve() for alias in node.names]
                found |= dict.fromkeys(path for path in paths if path.is_file())  # else a name of the plugin's own
    return list(found)


class _AsRead(SourceFileLoader):
    """Runs what was read, whatever the file holds by now; compiled code beside it may be anything."""

    def __init__(self, fullname: str, file: PluginFile) -> None:
        super().__init__(fullname, str(file.path))
        self.file = file

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return self.source_to_code(self.file.content, self.path)


class _Beside(MetaPathFinder):
    """Finds a plugin's other files, as modules of the plugin's own: `package.name`."""

    def __init__(self, package: str, files: Sequence[PluginFile]) -> None:
        self.package = package
        self.files: Mapping[str, PluginFile] = {file.path.stem: file for file in files}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        package, _, name = fullname.rpartition(".")
        return _spec(fullname, self.files[name]) if package == self.package and name in self.files else None


def import_plugin(files: Sequence[PluginFile]) -> ModuleType:
    """Import what `read_plugin` gave, under a name of its own that stays: workers unpickle from it.

    The name holds what was read, so that an edited file is another module.
    """
    own, *beside = files
    text = "\n".join(f"{file.path} {file.digest}" for file in files)
    name = f"frame_local_{own.path.stem}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec, finder = _spec(name, own), _Beside(name, beside)
    spec.submodule_search_locations = []  # a package, so that `.layers` has a meaning; its folder is not searched
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.meta_path.append(finder)
    try:
        _AsRead(name, own).exec_module(module)
    except BaseException:
        sys.meta_path.remove(finder)
        for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            del sys.modules[loaded]
        raise
    return module


def is_plugin_file(module: ModuleType) -> bool:
    """Whether a module is one that `import_plugin` imported."""
    return isinstance(getattr(module, "__loader__", None), _AsRead)


def _spec(name: str, file: PluginFile) -> ModuleSpec:
    spec = importlib.util.spec_from_file_location(name, file.path, loader=_AsRead(name, file))
    assert spec is not None  # the loader is given, and is not looked for
    return spec
