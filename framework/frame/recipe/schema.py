"""A JSON Schema of recipes with every installed component, for editors: completion, hover text, errors.

Draft-07, which every reader of schemas knows, in three layers, since a recipe may bring components or leave things out:

- the root: every key, and the settings of the component that a section names under `use`;
- `known`, unless the recipe has `plugins` of its own: a section names one of the installed components;
- `complete`, unless the recipe `extends` another one, or has keys with dots, which may say the rest: nothing that is
  required is missing.

Any value may be an interpolation, `${...}`. What takes more than one value to judge (the order of transforms, `auto`
without an LR finder), and what a component checks in Python, is left to `frame validate`. Imports no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from ..api.kinds import Section
from ..plugins.load import Plugins
from ..plugins.registry import Registry
from .field_docs import field_docs
from .settings import HOST, RecipeSettings

Schema = dict[str, Any]

SCHEMA_FILE = "frame-recipe.schema.json"
HEADER = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
"""The line by which editors find the schema beside a recipe."""

EXTENDS = "The recipe that this one lays itself over: a file, relative to this one, or the name of a shipped recipe."
PLUGINS = "Plugins of the recipe's own: module names, or files such as ./my_model.py, relative to the recipe."

CHANGED = r"^[^.]+\."
CHANGES = "Puts a value at a key, as an override does: analyzers.1.count: 9. `frame validate` checks it."
ANCHORED = "Holds YAML anchors; nothing else of it is read."
PARTIAL = {"anyOf": [{"required": ["extends"]}, {"not": {"propertyNames": {"not": {"pattern": CHANGED}}}}]}
"""A recipe that extends another one or has keys with dots: these may give what its sections lack."""

INTERPOLATION = {"type": "string", "pattern": r"\$\{"}
WORDS = {"array": "a list", "boolean": "true or false", "integer": "an integer", "number": "a number"}
SECTION = "must be a section of settings; one that names a component is written {use: NAME}"


def recipe_schema(plugins: Plugins) -> Schema:
    """Return the schema of recipes with the components of `plugins`, as plain values."""
    sections = _Sections({one.name: (one, registry) for registry in plugins.registries for one in registry.sections})
    layers = sections.layers(_settings(RecipeSettings)["properties"])
    layers.root["extends"] = {"description": EXTENDS, "type": "string", "examples": sorted(plugins.recipes)}
    layers.root["plugins"] = {"description": PLUGINS, "type": "array", "items": {"type": "string"}}
    required = [name for name, field in RecipeSettings.model_fields.items() if field.is_required()]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": "A recipe of frame: what is trained, on what, how long, and what is looked at afterwards.",
        "type": "object",
        "properties": layers.root,
        "patternProperties": {"^x-": {"description": ANCHORED}, CHANGED: {"description": CHANGES}},
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"required": ["plugins"], "properties": {"plugins": {"minItems": 1}}},
                "else": {"properties": layers.known},
            },
            {"if": PARTIAL, "else": {"required": required, "properties": layers.complete}},
        ],
        "definitions": sections.definitions,
    }


@dataclass
class _Layers:
    """The properties of a recipe, or of a section of it, in each layer."""

    root: dict[str, Schema] = field(default_factory=dict)
    known: dict[str, Schema] = field(default_factory=dict)
    complete: dict[str, Schema] = field(default_factory=dict)


@dataclass
class _Sections:
    """The sections that name components, by their keys with dots, and the definitions that their schemas refer to."""

    named: Mapping[str, tuple[Section, Registry]]
    definitions: dict[str, Schema] = field(default_factory=dict)

    def layers(self, properties: Mapping[str, Schema], above: str = "") -> _Layers:
        """Return the host's settings as pydantic has them, and in the place of sections what can be named there."""
        layers = _Layers()
        for name, schema in properties.items():
            if above + name in self.named:
                section, registry = self.named[above + name]
                (self._list if section.many else self._one)(section, registry, layers)
            elif above + name in HOST:
                settings = _settings(HOST[name])
                layers.complete[name] = _demands(settings)
                layers.root[name] = _tuned(settings)
            else:
                layers.root[name] = _tuned(schema)
        return layers

    def _one(self, section: Section, registry: Registry, layers: _Layers) -> None:
        """Add a section that names a component. In `data`, the host's settings stand beside the dataset's."""
        name, at = section.key[-1], f"#/properties/{'/properties/'.join(section.key)}/properties/"
        host = _settings(HOST[section.name]) if section.name in HOST else {"properties": {}}
        settings = {one: _settings(registry[one]) for one in registry}
        demands = {one: _demands(settings[one]) for one in registry}
        when = [{"if": _uses(one), "then": demands[one]} for one in registry if demands[one]]
        needed = {"required": ["use"], "allOf": [_demands(host), *when]}
        beside = self.layers(host["properties"], f"{section.name}.")
        layers.complete[name] = needed | ({"properties": beside.complete} if beside.complete else {})
        layers.known[name] = {
            "properties": {"use": _installed(registry), **beside.known},
            "if": {"type": "object", "not": {"required": ["use"]}},
            "then": {"anyOf": [*({"$ref": _address(registry, one)} for one in registry), False]},
        }
        layers.root[name] = self._naming(section, registry, settings, beside.root, at)
        if not (section.required or section.default):
            layers.root[name]["type"].append("null")

    def _list(self, section: Section, registry: Registry, layers: _Layers) -> None:
        """Add a list of components; its entries are complete in any recipe."""
        name, settings = section.key[-1], {one: _settings(registry[one]) for one in registry}
        entry = self._naming(section, registry, settings, {}) | {"description": _doc(registry.row.base)}
        self.definitions[registry.kind] = entry | {"required": ["use"]}
        schema = _tuned({"type": "array", "description": _about(section, registry), "items": {}})
        layers.root[name] = schema | {"items": {"$ref": f"#/definitions/{registry.kind}"}}
        layers.known[name] = {"items": {"properties": {"use": _installed(registry)}}}

    def _naming(
        self, section: Section, registry: Registry, settings: Mapping[str, Schema], own: Schema, at: str = ""
    ) -> Schema:
        """Return what names a component, and define each component's settings beside `own`, which are defined `at`."""
        for one in registry:
            schema = _tuned(settings[one])
            properties = schema.setdefault("properties", {}) | {key: {"$ref": at + key} for key in own}
            properties["use"] = {"const": one, "description": schema.pop("description", "")}
            self.definitions[f"{registry.kind}.{one}"] = schema | {"properties": properties}
        return _tuned({"type": "object", "description": _about(section, registry)}) | {
            "properties": {"use": _known_or_not(registry), **own},
            "allOf": [True, *({"if": _uses(one), "then": {"$ref": _address(registry, one)}} for one in registry)],
        }


def _about(section: Section, registry: Registry) -> str:
    return section.about or _doc(registry.row.base)


def _address(registry: Registry, name: str) -> str:
    return f"#/definitions/{registry.kind}.{name}"


def _uses(name: str) -> Schema:
    return {"type": "object", "required": ["use"], "properties": {"use": {"const": name}}}


def _known_or_not(registry: Registry) -> Schema:
    """Return what can stand under `use` in a recipe with plugins of its own: any name, the installed ones offered."""
    docs = [_doc(registry[one]).partition("\n")[0] for one in registry]
    offered = {"enum": list(registry), "enumDescriptions": docs}
    about = f"Names the {registry.kind}; `frame show {registry.kind}/NAME` shows its settings."
    return {"description": about, "anyOf": [offered, {"type": "string"}]}


def _installed(registry: Registry) -> Schema:
    return {"anyOf": [{"enum": list(registry)}, INTERPOLATION]}


def _doc(component: type) -> str:
    return inspect.getdoc(component) or ""


def _settings(model: type[BaseModel]) -> Schema:
    """Return the schema of a model's settings as pydantic has it, documented and without references."""
    try:
        schema = model.model_json_schema()
    except PydanticInvalidForJsonSchema:  # a type that no recipe can write: nothing is said about the settings
        return {"type": "object", "description": _doc(model)}
    schema = _inlined(schema, schema.pop("$defs", {}))
    for name, text in field_docs(model).items():
        if name in schema.get("properties", {}):
            schema["properties"][name].setdefault("description", text)
    return schema


def _inlined(node: Any, definitions: Mapping[str, Schema], above: tuple[str, ...] = ()) -> Any:
    """Put definitions in the place of references to them; where one holds itself, anything is accepted."""
    if isinstance(node, list):
        return [_inlined(one, definitions, above) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name in above:
            return {}
        node, above = definitions[name] | {key: node[key] for key in node if key != "$ref"}, (*above, name)
    return {key: _inlined(value, definitions, above) for key, value in node.items()}


def _demands(schema: Schema) -> Schema:
    """Take what is required out of a section's schema and return it as a schema of its own. (Lists keep theirs.)"""
    demands: Schema = {"required": schema.pop("required")} if "required" in schema else {}
    if below := {name: found for name, one in schema.get("properties", {}).items() if (found := _demands(one))}:
        demands["properties"] = below
    for key in ("anyOf", "oneOf"):
        sections = [_demands(one) for one in schema.get(key, ()) if one.get("type") == "object"]
        if sections and all(sections):
            demands["anyOf"] = sections
    if isinstance(others := schema.get("additionalProperties"), dict) and (found := _demands(others)):
        demands["additionalProperties"] = found
    return demands


def _tuned(schema: Schema) -> Schema:
    """Return a schema in draft-07 that takes an interpolation in the place of any value."""
    said = {key: schema[key] for key in ("description", "default") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in ("title", "format", "discriminator", *said)}
    for key in ("items", "additionalProperties"):
        if isinstance(rest.get(key), dict):
            rest[key] = _tuned(rest[key])
    if "prefixItems" in rest:
        rest["items"] = [_tuned(one) for one in rest.pop("prefixItems")]
    if "properties" in rest:
        rest["properties"] = {name: _tuned(one) for name, one in rest["properties"].items()}
    if either := rest.pop("oneOf", rest.get("anyOf")):
        rest["anyOf"] = [_tuned(one) for one in either]
    return said | _or_interpolated(rest)


def _or_interpolated(schema: Schema) -> Schema:
    kind = schema.get("type")
    if {"enum", "const", "maxLength", "pattern"} & set(schema):
        return {"anyOf": [schema, INTERPOLATION]}
    if kind == "string":
        return schema | {"not": {"const": "???"}}  # a value that is still missing
    if kind == "object":
        return schema | {"type": [kind, "string"], "pattern": INTERPOLATION["pattern"], "patternErrorMessage": SECTION}
    if kind in WORDS:
        wants = f"must be {WORDS[kind]}"
        return schema | {"type": [kind, "string"], "pattern": INTERPOLATION["pattern"], "errorMessage": wants}
    return schema
