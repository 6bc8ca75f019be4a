"""`frame explain`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .run import OVERRIDES, RECIPE, TRUST
from .text import echo, warn

if TYPE_CHECKING:
    from ..nested import Key
    from ..recipe.origins import Value

DEFAULT = "default"
NARROWEST = 40


@click.command(short_help="Show a recipe's values and where each is from.")
@RECIPE
@OVERRIDES
@click.option(
    "--json", "as_json", is_flag=True, help="Print a list of objects: key, value, origin, file, line, waits, defaults."
)
@TRUST
def explain(recipe: str, overrides: tuple[str, ...], *, as_json: bool, trust: bool) -> None:
    """Show every value that RECIPE comes to and where it is from: a line of a file, the command line, or a default."""
    from ..recipe.load import load_recipe
    from ..recipe.origins import origins, resolved

    loaded = load_recipe(recipe, overrides, trust=trust)
    for warning in [*loaded.warnings, *loaded.plugins.errors]:
        warn(warning)
    values = origins(loaded.recipe, loaded.source)
    if as_json:
        echo(json.dumps([_as_object(value) for value in values.values()], indent=1, ensure_ascii=False))
        return
    echo("\n".join(_lines(resolved(loaded.recipe), values, shutil.get_terminal_size().columns)))


def _as_object(value: Value) -> dict[str, Any]:
    from ..recipe.source import COMMAND_LINE
    from ..recipe.yaml_text import dotted

    place = value.place
    written = place is not None and place != COMMAND_LINE
    origin = "file" if written else str(place or DEFAULT)
    where = {"file": place.source, "line": place.line} if place and written else {"file": None, "line": None}
    said = {"key": dotted(value.key), "value": value.value, "origin": origin, **where, "waits": value.waits}
    return said | ({"defaults": value.defaults} if value.defaults else {})


def _lines(tree: dict[str, Any], values: Mapping[Any, Value], width: int) -> Iterator[str]:
    """Yield the recipe as YAML, the origin of each value in a comment beside it, all in one column."""
    names = _short_names({value.place.source for value in values.values() if value.place})
    labels = {key: _label(value, names) for key, value in values.items()}
    room = max(NARROWEST, width - len("  # ") - max(map(len, labels.values())))
    rows = list(_rows(tree, values, room))
    column = max(len(text) for text, key in rows if key and len(text) <= room)
    for source, name in names.items():
        if source != name:
            yield f"# {name} is {source}"
    for text, key in rows:
        yield f"{text:<{column}}  # {labels[key]}" if key else text


def _short_names(sources: set[str]) -> dict[str, str]:
    """Return a short name for each file outside the current folder: its own, if no other has it."""
    files = [Path(source).name for source in sources]
    return {
        source: file.name if file.is_absolute() and files.count(file.name) == 1 else source
        for source, file in ((source, Path(source)) for source in sorted(sources))
    }


def _label(value: Value, names: Mapping[str, str]) -> str:
    if value.place is None:
        return DEFAULT
    line = f":{value.place.line}" if value.place.line else ""
    took = f", default of {', '.join(value.defaults)}" if value.defaults else ""
    return f"{names[value.place.source]}{line}{took}"


def _rows(
    node: Any, values: Mapping[Any, Value], room: int, key: Key = (), lead: str = ""
) -> Iterator[tuple[str, Key]]:
    """Yield each line below `key`, the first after `lead`, with the key of its value: none in the head of a section."""
    indent = " " * len(lead)
    for part, child in node.items() if isinstance(node, dict) else enumerate(node):
        at, head = (*key, part), lead + ("-" if isinstance(node, list) else f"{_text(part)}:")
        lead = indent
        if at in values:
            if values[at].waits:
                yield f"{indent}# {part} waits for the LR finder", ()
            yield from _value_rows(head, child, at, room)
        elif isinstance(node, list):
            yield from _rows(child, values, room, at, f"{head} ")
        else:
            yield head, ()
            yield from _rows(child, values, room, at, f"{indent}  ")


def _value_rows(head: str, value: Any, key: Key, room: int) -> Iterator[tuple[str, Key]]:
    """Yield a value in the line of its key; a list that is too long for it follows, an entry a line."""
    text = f"{head} {_text(value)}"
    if len(text) <= room or not isinstance(value, list):
        yield text, key
        return
    yield head, key
    indent = " " * (len(head) - len(head.lstrip(" -")))
    for one in value:
        yield f"{indent}  - {_text(one)}", ()


def _text(value: Any) -> str:
    """Return a value as YAML, on one line."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
