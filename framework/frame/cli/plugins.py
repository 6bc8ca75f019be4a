"""`frame list` and `frame show`: what components there are, and what each can be told."""

from __future__ import annotations

from typing import Any

import click


@click.command("list")
@click.argument("kind", required=False)
def list_components(kind: str | None) -> None:
    """List the components of every KIND, or of one: datasets, models, analyzers, recipes, ..."""
    from ..errors import UserError, suggest
    from ..plugins import load_plugins

    plugins = load_plugins()
    entries: dict[str, list[tuple[str, str]]] = {
        name: [(one, _first_line(registry[one])) for one in registry] for name, registry in plugins.registries
    }
    entries["recipes"] = [(name, str(path)) for name, path in sorted(plugins.recipes.items())]
    if kind is not None and kind not in entries:
        raise UserError(f"there is no kind '{kind}'{suggest(kind, entries)}")
    for name, lines in entries.items():
        if kind in (None, name):
            click.secho(name, bold=True)
            for one, text in lines:
                click.echo(f"  {one:<20} {text}")
    for failure in plugins.errors:
        click.echo(f"plugin '{failure.plugin}' of {failure.origin} failed to load: {failure.cause}", err=True)


@click.command()
@click.argument("component", metavar="KIND/NAME")
def show(component: str) -> None:
    """Show what a component does and its settings: frame show model/custom_resnet."""
    from ..errors import UserError, suggest
    from ..plugins import load_plugins

    registries = {registry.kind: registry for _, registry in load_plugins().registries}
    kind, _, name = component.partition("/")
    if kind not in registries:
        raise UserError(f"there is no kind '{kind}'{suggest(kind, registries)}")
    registry = registries[kind]
    if name not in registry:
        raise UserError(f"there is no {kind} '{name}'{suggest(name, registry)}")
    entry = registry.entries[name]
    click.secho(f"{kind} {name}", bold=True, nl=False)
    click.echo(f"  from {entry.origin}\n\n{_docstring(entry.component)}\n")
    for setting, details in entry.component.model_json_schema().get("properties", {}).items():
        default = f" = {details['default']!r}" if "default" in details else "  (required)"
        click.echo(f"  {setting}: {_type(details)}{default}")
        if text := details.get("description"):
            click.echo(f"      {' '.join(text.split())}")


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
    return " ".join([str(details.get("type", "any")), *limits])
