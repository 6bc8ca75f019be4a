"""The documentation of a component's settings: the text literal below each field, as its author wrote it.

Read from the source only when somebody asks. (pydantic's `use_attribute_docstrings` reads it whenever a class is made,
which would slow every command down.)
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def field_docs(component: type) -> dict[str, str]:
    """Return the text below each field of a class and of its bases, on one line; none where there is no source."""
    found: dict[str, str] = {}
    for cls in reversed(component.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            found |= _docs_in(cls.__module__).get(cls.__qualname__, {})
    return found


@cache  # a module holds several components
def _docs_in(module: str) -> dict[str, dict[str, str]]:
    """Return the documentation of each class in a module."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    return {name: dict(_docs(cls)) for name, cls in _classes(tree)}


def _classes(node: ast.AST, above: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield above + child.name, child
            yield from _classes(child, f"{above}{child.name}.")


def _docs(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(cls.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                yield name, " ".join(doc.split())
