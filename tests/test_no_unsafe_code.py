"""No code of frame or its plugins runs what it reads, or hands a text to a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
FILES = sorted(path for root in ("framework", "plugins") for path in (REPOSITORY / root).rglob("*.py"))
EXCEPTIONS = {("framework/frame/plugins/files.py", "exec_module")}
"""A plugin's file is imported in one place, when `frame.plugins.trust` has looked at it."""
MODULES = {"_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
NAMES = {"exec_module", "extract_archive", "unpack_archive", "popen", "system", "unsafe_load", "full_load", "Unpickler"}
LOADERS = {"Loader", "UnsafeLoader", "FullLoader"}
NEEDED = {"extractall": {"filter": "data"}, "extract": {"filter": "data"}}


def unsafe(code: str) -> Iterator[str]:
    """Yield the name of each unsafe thing in a module's text."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ({alias.name.partition(".")[0] for alias in node.names} & MODULES)
            yield from (alias.name for alias in node.names if alias.name == "pickle" and alias.asname)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").partition(".")[0]
            names = {alias.name for alias in node.names}
            yield from ({module} & MODULES if not node.level else ())
            yield from names & (
                NAMES | (LOADERS | {"load", "loads"} if module in ("torch", "yaml", "pickle") else set())
            )
        elif isinstance(node, ast.Attribute):
            yield from ({node.attr} & (NAMES | (LOADERS if owner(node) == "yaml" else set())))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):  # a setting may be called `compile`
            yield from ({node.id} & BUILTINS)
        elif isinstance(node, ast.Call):
            yield from unsafe_call(node)


def owner(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def is_call(node: ast.expr, name: str) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and f"{owner(called)}.{called.attr}" == name


def unsafe_call(node: ast.Call) -> Iterator[str]:
    given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
    if "shell" in {word.arg for word in node.keywords} and given.get("shell") is not False:
        yield "shell"
    if given.get("allow_pickle"):
        yield "allow_pickle"
    if not isinstance(node.func, ast.Attribute):
        return
    name = f"{owner(node.func)}.{node.func.attr}"
    if (name == "torch.load" and given.get("weights_only") is not True) or name == "yaml.load":
        yield name
    if name == "pickle.load" or (name == "pickle.loads" and not is_call(node.args[0], "pickle.dumps")):
        yield name  # what was pickled just before is no stranger's
    if NEEDED.get(node.func.attr, {}).items() - given.items():
        yield node.func.attr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_nothing_that_is_read_is_run(path):
    name = str(path.relative_to(REPOSITORY))
    assert [found for found in unsafe(path.read_text()) if (name, found) not in EXCEPTIONS] == []


def test_the_exceptions_are_needed():
    assert {(name, found) for name, _ in EXCEPTIONS for found in unsafe((REPOSITORY / name).read_text())} >= EXCEPTIONS


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("eval('1')", "eval"),
        ("run = exec", "exec"),
        ("compile(text, 'f', 'exec')", "compile"),
        ("__import__('os')", "__import__"),
        ("import pickle as p\np.loads(b'')", "pickle"),
        ("from pickle import load as innocent", "load"),
        ("pickle.load(file)", "pickle.load"),
        ("pickle.loads(file.read())", "pickle.loads"),
        ("pickle.Unpickler(file)", "Unpickler"),
        ("import joblib", "joblib"),
        ("spec.loader.exec_module(module)", "exec_module"),
        ("subprocess.run(text, shell=True)", "shell"),
        ("subprocess.run(text, shell=given)", "shell"),
        ("os.system(text)", "system"),
        ("from os import popen", "popen"),
        ("torch.load(path)", "torch.load"),
        ("torch.load(path, weights_only=False)", "torch.load"),
        ("torch.load(path, weights_only=safe)", "torch.load"),
        ("from torch import load", "load"),
        ("yaml.load(text, Loader=yaml.SafeLoader)", "yaml.load"),
        ("yaml.unsafe_load(text)", "unsafe_load"),
        ("class Mine(yaml.Loader): ...", "Loader"),
        ("from yaml import FullLoader", "FullLoader"),
        ("tar.extractall(folder)", "extractall"),
        ("tar.extractall(folder, filter='fully_trusted')", "extractall"),
        ("tar.extract(member)", "extract"),
        ("shutil.unpack_archive(file)", "unpack_archive"),
        ("from torchvision.datasets.utils import extract_archive", "extract_archive"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
    ],
)
def test_each_unsafe_thing_is_found(code, found):
    assert found in list(unsafe(code))


@pytest.mark.parametrize(
    "code",
    [
        "re.compile('x')",
        "pickle.loads(pickle.dumps(mine))",
        "model.eval()",
        "torch.compile(model)",
        "torch.load(path, weights_only=True)",
        "yaml.safe_load(text)",
        "class Mine(yaml.SafeLoader): ...",
        "tar.extractall(folder, filter='data')",
        "subprocess.run(command, shell=False)",
        "from .pickle import mine",
    ],
)
def test_what_is_safe_is_not(code):
    assert list(unsafe(code)) == []
