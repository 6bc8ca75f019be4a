"""`frame list` and `frame show`: what components there are, and what each can be told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

WORDS = {"array": "list", "object": "section", "boolean": "true or false", "string": "text", "null": "nothing"}


@click.command("list", short_help="List components, recipes and plugins.")
@click.argument("kind", required=False)
def list_components(kind: str | None) -> None:
    """List the components of every KIND, or of one: datasets, models, analyzers, ..., recipes, plugins."""
    from ..errors import UserError, suggest
    from ..plugins import load_plugins

    plugins = load_plugins()
    entries: dict[str, list[tuple[str, str]]] = {
        name: [(one, _first_line(registry[one])) for one in registry] for name, registry in plugins.registries
    }
    entries["recipes"] = [(name, str(path)) for name, path in sorted(plugins.recipes.items())]
    entries["plugins"] = list(plugins.origins.items())
    if kind is not None and kind not in entries:
        raise UserError(f"there is no kind '{kind}'{suggest(kind, entries)}")
    for name in [kind] if kind else entries:
        click.secho(name, bold=True)
        for one, text in entries[name]:
            click.echo(f"  {one:<20} {text}")
    for failure in plugins.errors:
        click.echo(failure, err=True)
        if kind == "plugins":
            click.echo(failure.traceback, err=True)


@click.command(short_help="Show a component and its settings.")
@click.argument("component", metavar="KIND/NAME")
def show(component: str) -> None:
    """Show what a component does and its settings: frame show model/custom_resnet."""
    from ..errors import UserError, suggest
    from ..field_docs import field_docs
    from ..plugins import load_plugins

    entries = {
        f"{registry.kind}/{name}": entry
        for _, registry in load_plugins().registries
        for name, entry in registry.entries.items()
    }
    if component not in entries:
        hint = suggest(component, entries, list_all=False) or "; `frame list` shows all there are"
        raise UserError(f"there is no component '{component}'{hint}")
    entry = entries[component]
    click.secho(component, bold=True, nl=False)
    click.echo(f"  from {entry.origin}\n\n{_docstring(entry.component)}\n")
    docs = field_docs(entry.component)
    schema = entry.component.model_json_schema().get("properties", {})
    for name, setting in entry.component.model_fields.items():
        default = "(required)" if setting.is_required() else f"= {_default(setting)}"
        click.echo(f"  {name}: {_type(schema[name])} {default}")
        if name in docs:
            click.echo(f"      {docs[name]}")


def _default(setting: FieldInfo) -> str:
    from pydantic_core import to_jsonable_python

    return json.dumps(to_jsonable_python(setting.get_default(call_default_factory=True)))


def _docstring(component: type[Any]) -> str:
    import inspect

    return inspect.getdoc(component) or ""


def _first_line(component: type[Any]) -> str:
    return _docstring(component).partition("\n")[0]


def _type(details: dict[str, Any]) -> str:
    """Return a JSON schema's type in a few words, with its bounds."""
    if "anyOf" in details:
        return " or ".join(_type(one) for one in details["anyOf"])
    if "enum" in details or "const" in details:
        return " | ".join(map(str, details.get("enum", [details.get("const")])))
    bounds = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    limits = [f"{sign} {details[name]:g}" for name, sign in bounds.items() if name in details]
    kind = str(details.get("type", "anything"))
    return " ".join([WORDS.get(kind, kind), *limits])
