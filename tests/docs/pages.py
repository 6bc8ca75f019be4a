"""Writes docs/components.md and docs/api.md from the code, as Markdown that the repository shows as the site does.

    uv run python tests/docs/pages.py

`test_the_pages_that_are_written_from_the_code_are_up_to_date` says when one is out of date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from pydantic_core import to_jsonable_python

from frame.cli.example import example
from frame.cli.plugins import setting_type
from frame.plugins.load import load_plugins
from frame.plugins.registry import Registry
from frame.recipe.field_docs import field_docs

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
WIDTH = 100
"""Columns of a code block that a wide page shows without a bar to scroll it."""

COMPONENTS_HEAD = """# Components

What comes with frame: each component with its settings, and YAML to paste into a recipe, in which every setting has its
default. `frame list` shows the same names together with those of installed plugins, `frame show KIND/NAME` what stands
here of one. (This page is written from the code by `tests/docs/pages.py`.)
"""
NOTES = {"analyzers": "[Reports](reports.md) says what each shows and how to act on it."}

API_HEAD = """# API

What a plugin or a notebook may import: `from frame import ...`. Everything else in the package is frame's own and may
change. Two topics have a module each, imported when it is asked for: `from frame import figures` and
`from frame import images`; what stands under [Figures](#figures) and [Image files](#image-files) is called
`figures.image_grid`, `images.read_image`. `from frame import *` brings neither those two nor what works on runs
(`run`, `load_run`, `Run`, `cached`): these need torch, PIL or the disk.

Shapes: N images, C channels, H x W pixels. (This page is written from the code by `tests/docs/pages.py`.)
"""
API = (
    ("Runs", "[After the run](after-the-run.md#in-a-notebook) has an example.", ("runs.open",)),
    ("Hooks", "", ("api.hookspecs",)),
    ("Components", "The base class of each kind; [Plugins](plugins.md#kinds) has a table.", ("api.components",)),
    ("Contracts", "What components are given, and what they return.", ("api.contracts",)),
    ("Data", "", ("api.data",)),
    (
        "Image files",
        "`from frame import images`: what datasets and `frame predict` find, read and count image files by. It imports "
        "PIL and\nnumpy, so it stands inside `build`, or in a module that is imported there.",
        ("api.images",),
    ),
    ("Steps", "", ("api.steps",)),
    ("Results", "", ("api.results",)),
    (
        "Which value is better",
        "What checkpoints, sweeps and `frame compare` go by: a callback that compares metrics asks it too.",
        ("api.ranking",),
    ),
    (
        "Figures",
        "`from frame import figures`: the house style, images in grids, heat maps over them, and test images with what "
        "the\nmodel made of them. matplotlib is imported when a figure is made. [Pictures](plugins.md#pictures) has an "
        "example.",
        ("api.figures",),
    ),
    ("Texts and shares", "", ("api.text", "api.shares")),
    ("Errors", "[Error codes](agents.md#error-codes) has the codes.", ("errors",)),
    ("Optimizers", "", ("api.optim",)),
    ("Models", "", ("api.model_guard", "api.layers")),
    ("Cache", "", ("rundir.cache",)),
    ("Secrets", "", ("secrets",)),
    ("Contract tests", "`from frame.testing import ...`: see [Writing plugins](writing-plugins.md).", ("testing",)),
)  # fmt: skip
HIDDEN = ("model_config", "loaded", "network", "auto_fields", "momentum")
"""Members of public classes that are frame's own."""
MORE = {"api.hookspecs": ["frame_components", "frame_recipes"]}
"""What is not imported and still a plugin's: it implements these."""


def components_page() -> str:
    """Return docs/components.md."""
    parts = [COMPONENTS_HEAD]
    for registry in load_plugins().registries:
        own = [name for name in registry if registry[name].__module__.startswith("frame_plugins.")]
        title = registry.row.plural
        parts.append(f"## {title[0].upper()}{title[1:]}\n".replace("Lr_", "LR "))
        parts += [f"{NOTES[title]}\n"] if title in NOTES else []
        parts += [part for name in own for part in _component(registry, name)]
    return "\n".join(parts)


def _component(registry: Registry, name: str) -> Iterator[str]:
    component = registry[name]
    yield f"### `{name}`\n\n{inspect.getdoc(component)}\n"
    docs, schema = field_docs(component), component.model_json_schema()
    settings = []
    for field, setting in component.model_fields.items():
        kind = setting_type(schema["properties"][field], schema.get("$defs", {})).replace(" | ", " or ")
        default = "required"
        if not setting.is_required():
            default = f"`{json.dumps(to_jsonable_python(setting.get_default(call_default_factory=True)))}`"
        settings.append(f"- **`{field}`** ({kind}; {default}){f'  {chr(10)}  {docs[field]}' if field in docs else ''}")
    if settings:
        yield "\n".join(settings) + "\n"
    yield f"```yaml\n{example(registry, name, WIDTH)}```\n"


def api_page() -> str:
    """Return docs/api.md."""
    package = griffe.load("frame", search_paths=[str(REPOSITORY / "framework")])
    parts = [API_HEAD]
    for title, intro, modules in API:
        parts.append(f"## {title}\n")
        parts += [f"{intro}\n"] if intro else []
        parts += [_entry(name, one) for module in modules for name, one in _public(package, module)]
    return "\n".join(parts)


def _public(package: Any, module: str) -> Iterator[tuple[str, Any]]:
    """Yield what is public of a module, in the order of its source: of a topic, of all its modules."""
    from_here = package[module]
    if module in ("api.figures", "api.images", "testing"):
        names = [alias for alias in from_here.members.values() if alias.is_alias and alias.name in from_here.exports]
        members = {alias.name: alias.final_target for alias in names}
        order = list(dict.fromkeys(one.module.name for one in members.values()))
        found = sorted(members.items(), key=lambda item: (order.index(item[1].module.name), item[1].lineno))
        yield from ((name, one) for name, one in found if module != "testing" or name.endswith("Contract"))
        return
    imported = [alias for alias in package.members.values() if alias.is_alias]
    wanted = {alias.name for alias in imported if alias.target_path.startswith(f"frame.{module}.")}
    for name, one in from_here.members.items():
        if (name in wanted or name in MORE.get(module, ())) and not one.is_alias:
            yield name, one


def _entry(name: str, one: Any) -> str:
    lines = _class(name, one) if one.is_class else [_signature(one) if one.is_function else _value(one)]
    text = [f"### `{name}`\n", "```python", *(line.replace("'", '"') for line in lines), "```\n"]
    if one.docstring:
        text.append(f"{one.docstring.value}\n")
    told = [
        f"- **`{member.name}`**: {' '.join(member.docstring.value.split())}"
        for member in (_members(one) if one.is_class else ())
        if member.docstring
    ]
    return "\n".join([*text, *([*told, ""] if told else [])])


def _members(one: Any) -> list[Any]:
    return [
        member
        for name, member in one.members.items()
        if not name.startswith("_") and name not in HIDDEN and not member.is_alias
    ]


def _class(name: str, one: Any) -> list[str]:
    """Return a class as a stub: its fields and its methods, without what they do."""
    bases = ", ".join(str(base) for base in one.bases)
    body = []
    for member in _members(one):
        if member.is_function:
            kinds = [str(one.value) for one in member.decorators]
            body += [f"@{kind}" for kind in kinds if kind in ("classmethod", "staticmethod", "abstractmethod")]
            body += _signature(member, "cls" if "classmethod" in kinds else "self").splitlines()
        else:
            body.append(_value(member))
    head = f"class {name}({bases}):" if bases else f"class {name}:"
    return [head, *(f"    {line}" for line in body)] if body else [f"{head} ..."]


def _value(one: Any) -> str:
    kind = f": {one.annotation}" if one.annotation else ""
    value = "" if one.value is None else f" = {one.value}"
    return f"{one.name}{kind}{value}" if len(str(value)) < WIDTH else f"{one.name}{kind} = ..."


def _signature(function: Any, first: str = "") -> str:
    """Return how a function is called; on several lines where it is long. first: a method's first parameter."""
    name, _, rest = function.signature().partition("(")
    whole = f"def {name}({first}{', ' if first and not rest.startswith(')') else ''}{rest}"
    if len(whole) <= WIDTH - 10:
        return whole
    inside, end = whole[: whole.rindex(")")], whole[whole.rindex(")") :]
    head, _, parameters = inside.partition("(")
    return f"{head}(\n    {_wrapped(parameters)}\n{end}"


def _wrapped(parameters: str) -> str:
    """Return parameters, a line each; a comma within brackets is none of theirs."""
    return re.sub(r", (?![^\[({]*[\])}])", ",\n    ", parameters)


PAGES = {DOCS / "components.md": components_page, DOCS / "api.md": api_page}


def main() -> None:
    for path, page in PAGES.items():
        path.write_text(page().rstrip() + "\n")


if __name__ == "__main__":
    main()
