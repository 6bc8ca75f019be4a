"""The documentation of a component's settings: the text literal below each field, as its author wrote it.

Read from the source only when somebody asks. (pydantic's `use_attribute_docstrings` reads it whenever a class is made,
which would slow every command down.)
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def field_docs(component: type) -> dict[str, str]:
    """Return the text below each field of a class and of its bases, on one line; none where there is no source."""
    found: dict[str, str] = {}
    for cls in reversed(component.__mro__):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = getattr(tree.body[0], "body", [])
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    found[name] = " ".join(doc.split())
    return found
