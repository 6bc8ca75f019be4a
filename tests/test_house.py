"""The house: how many rooms it has, and how much a function may ask for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
FRAME, PLUGINS = REPOSITORY / "framework" / "frame", REPOSITORY / "plugins" / "frame_plugins"
PARAMETERS = 6


def test_the_engine_is_11_to_15_packages_and_at_most_6_files_beside_them():
    packages = [path.parent.name for path in FRAME.glob("*/__init__.py")]
    assert 11 <= len(packages) <= 15, packages
    files = sorted(path.name for path in FRAME.glob("*.py"))
    assert len(files) <= 6, files


def test_plugins_lie_by_their_kind():
    files = {path.stem for path in PLUGINS.glob("*.py")}
    assert {name for name in files if not name.startswith("_")} == {"shipped_recipes"}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of all that a function may be given, without the object or class that it belongs to."""
    given = function.args
    several = [one for one in (given.vararg, given.kwarg) if one]
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *several)]
    return [name for name in names if name not in ("self", "cls")]


def demanding(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and len(parameters(node)) > PARAMETERS:
            yield f"{node.name} has {len(parameters(node))}"


def test_no_function_has_more_than_6_parameters():
    files = [*FRAME.rglob("*.py"), *PLUGINS.rglob("*.py")]
    assert len(files) > 200
    found = {f"{path.relative_to(REPOSITORY)}: {one}" for path in files for one in demanding(path.read_text())}
    assert found == set()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a, b, c, d, e, f", []),
        ("a, /, b, *, c, d, e, f", []),
        ("self, a, b, c, d, e, f", []),
        ("a, b, c, d, e, f, g", ["f has 7"]),
        ("a, b, /, c, *d, e, f, **g", ["f has 7"]),
    ],
)
def test_every_kind_of_parameter_counts(given, found):
    assert list(demanding(f"def f({given}): ...")) == found
