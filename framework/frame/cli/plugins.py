"""`frame list` and `frame show`: what components there are, and what each can be told."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import click

from .completion import complete_component, complete_kind
from .text import echo, say, say_paragraphs, summary, width

if TYPE_CHECKING:
    from ..plugins.registry import Registered

WORDS = {"array": "list", "object": "section", "boolean": "true or false", "string": "text", "null": "nothing"}
VAGUE = ("anything", "section")
BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


@click.command("list", short_help="List components and recipes.")
@click.argument("kind", required=False, shell_complete=complete_kind)
def list_components(kind: str | None) -> None:
    """List the components of every KIND, or of one: datasets (or dataset), models, analyzers, ..., recipes."""
    from ..errors import UserError, suggest
    from ..plugins.load import load_plugins

    if kind == "plugins":
        raise UserError("plugins have a list of their own: frame plugin list")
    plugins = load_plugins()
    entries: dict[str, dict[str, str]] = {
        registry.row.plural: {one: summary(registry[one]) for one in registry} for registry in plugins.registries
    }
    entries["recipes"] = {name: str(path) for name, path in sorted(plugins.recipes.items())}
    singular = {registry.kind: registry.row.plural for registry in plugins.registries} | {"recipe": "recipes"}
    name = singular.get(kind, kind) if kind else None
    if name and name not in entries:
        raise UserError(f"there is no kind '{name}'{suggest(name, entries)}", "unknown-component")
    wanted = {name: entries[name]} if name else entries
    column = max((len(one) for names in wanted.values() for one in names), default=0)
    for name, texts in wanted.items():
        echo(name, bold=True)
        for one, text in texts.items():
            say(text, f"  {one:<{column}}  ", " " * (column + 4))
    for failure in plugins.errors:
        echo(failure, err=True)


@click.command(short_help="Show a component, its settings and an example.")
@click.argument("component", metavar="KIND/NAME", shell_complete=complete_component)
def show(component: str) -> None:
    """Show what a component does, its settings, and how a recipe names it: frame show model/custom_resnet."""
    from ..errors import UserError, suggest
    from ..plugins.load import load_plugins
    from .example import example

    registries = load_plugins().registries
    found = {f"{registry.kind}/{name}": (registry, name) for registry in registries for name in registry}
    singular = {registry.row.plural: registry.kind for registry in registries}
    kind, slash, rest = component.partition("/")
    wanted = f"{singular.get(kind, kind)}{slash}{rest}"
    if wanted not in found:
        near = "" if wanted in singular.values() else suggest(wanted, found, list_all=False)
        alike = [one for one in found if wanted in one.split("/")]  # of this kind, or of this name
        hint = near or suggest("", alike) or "; `frame list` shows all there are"
        raise UserError(f"there is no component '{component}'{hint}", "unknown-component")
    registry, name = found[wanted]
    entry = registry.entries[name]
    echo(wanted, bold=True, nl=False)
    echo(f"  from {entry.origin}\n")
    say_paragraphs(inspect.getdoc(entry.component) or "")
    _show_settings(entry.component)
    others = "".join(f" (or under {section.name})" for section in registry.sections[1:])
    echo(f"In a recipe{others}:", bold=True)
    echo()
    columns = width()
    for line in example(registry, name, columns and columns - 2).splitlines():
        echo(f"  {line}")
    echo()
    say(f"Defined in {_place(entry)}, plugin '{entry.plugin}'.")


def _show_settings(component: type[Any]) -> None:
    from pydantic_core import to_jsonable_python

    from ..recipe.field_docs import field_docs

    docs = field_docs(component)
    schema = component.model_json_schema()
    for name, setting in component.model_fields.items():
        default = "(required)"
        if not setting.is_required():
            default = f"= {json.dumps(to_jsonable_python(setting.get_default(call_default_factory=True)))}"
        say(f"{name}: {setting_type(schema['properties'][name], schema.get('$defs', {}))} {default}", "  ", "      ")
        if name in docs:
            say(docs[name], "      ")
    if component.model_fields:
        echo()


def _place(entry: Registered) -> str:
    """Return the file and line of a component's class; its module where there is no source."""
    from pathlib import Path

    from ..errors import shown

    try:
        file, line = inspect.getsourcefile(entry.component), inspect.getsourcelines(entry.component)[1]
    except (OSError, TypeError):
        return entry.component.__module__
    return f"{shown(Path(file or ''))}:{line}"


def setting_type(details: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return a JSON schema's type in a few words, with its bounds."""
    if "$ref" in details:
        return setting_type(definitions[details["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in details:
        return " or ".join(setting_type(one, definitions) for one in details["anyOf"])
    if "enum" in details or "const" in details:
        return " | ".join(map(str, details.get("enum", [details.get("const")])))
    kind = str(details.get("type", "anything"))
    limits = [f"{sign} {details[name]:g}" for name, sign in BOUNDS.items() if name in details]
    return " ".join([WORDS.get(kind, kind), *limits]) + _entries(details, definitions)


def _entries(details: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return how many entries a list has, and what each is."""
    each = details.get("prefixItems") or filter(None, [details.get("items")])
    kinds = [kind for kind in dict.fromkeys(setting_type(one, definitions) for one in each) if kind not in VAGUE]
    count = f" of {details['maxItems']}" if "prefixItems" in details else ""
    return count + (f" ({', '.join(kinds)})" if kinds else "")
