"""Checks values against a pydantic model and says what is wrong in the recipe's own terms."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from ..api.components import parts
from ..errors import Code, Problem, nearest, suggest
from ..nested import Key
from .source import Source
from .yaml_text import quoted

M = TypeVar("M", bound=BaseModel)
MISSPELT = 0.8
"""How like a setting's name a key is that was meant to be it, rather than a name of the author's own."""

WORDING = (  # pydantic's words -> those of a recipe's author
    (r"^(Value error|Assertion failed), ", ""),
    (r"^(Input|String|Tuple|List|Set|Dictionary) should ", "must "),
    (r"(at (?:least|most) \d+) (item|character)(s?) ?(after validation.*)?", r"\1 \2\3"),
    (r"item(s?)$", lambda match: "entries" if match[1] else "entry"),
    (r"match pattern '(.*)'", r"match the pattern \1"),
    (r"greater than or equal to", "at least"),
    (r"less than or equal to", "at most"),
    (r"a valid integer", "an integer"),
    (r"a valid boolean", "true or false"),
    (r"a valid array", "a list"),
    (r"a valid string", "text"),
    (r"an object|a valid dictionary", "a section of settings"),
    (r"a valid ", "a "),
)


def validate(
    model: type[M],
    values: Mapping[str, Any],
    key: Key,
    source: Source,
    siblings: Iterable[str] = (),
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> tuple[M | None, list[Problem]]:
    """Return the settings, or every problem found in `values`, which stand under `key`.

    siblings: other names that are known beside the model's own fields; suggestions may name them. elsewhere: names
    that other sections know, and their whole keys. Validation is strict in pydantic's JSON mode: a list makes
    a tuple, but True is no integer and "3" no number.
    """
    try:
        return model.model_validate_json(json.dumps(values), strict=True), []
    except ValidationError as error:
        found: dict[Key, list[Any]] = defaultdict(list)
        for detail in error.errors(include_url=False):
            found[_written(detail, values)].append(detail)
        # What is wrong inside a value is why the value as a whole (a list that came out too short, say) is wrong too.
        deepest = [at for at in found if not any(other[: len(at)] == at != other for other in found)]
        names = {at: [*_fields(model, at[:-1]), *(siblings if len(at) == 1 else ())] for at in deepest}
        return None, [
            source.problem(key + at, _unknown(key + at, names[at], elsewhere, source), code="unknown-key")
            if found[at][0]["type"] == "extra_forbidden"
            else source.problem(key + at, _message(at, found[at], model), code=_code(found[at][0]))
            for at in deepest
        ]
    except ValueError as error:  # a plugin's validator that raises something else
        return None, [source.problem(key, str(error))]


def _code(detail: Mapping[str, Any]) -> Code:
    missing = detail["type"] == "missing" and isinstance(detail["loc"][-1], str)
    return "missing-key" if missing else "bad-value"


def _written(detail: Mapping[str, Any], values: Any) -> Key:
    """Return the part of an error's path that stands in the recipe: pydantic adds the tags of unions."""
    key: Key = ()
    for part in detail["loc"]:
        if (isinstance(values, Mapping) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        ):
            key, values = (*key, part), values[part]
    last = detail["loc"][-1] if detail["loc"] else None
    return (*key, last) if detail["type"] == "missing" and isinstance(last, str) else key


def _fields(model: type[BaseModel], at: Key) -> Iterable[str]:
    """Return the names of the settings that can stand under `at`."""
    models = {model}
    for part in at:
        if isinstance(part, str):
            fields = [one.model_fields[part] for one in models if part in one.model_fields]
            models = {found for field in fields for found in _models(field.annotation)}
    return [name for one in models for name in one.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models in a type: Normalization in `bool | Normalization`."""
    return [part for part in parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _unknown(key: Key, names: Iterable[str], elsewhere: Mapping[str, str], source: Source) -> str:
    name, known = str(key[-1]), list(names)
    if len(key) == 1 and name in source.anchored and not nearest(name, known, MISSPELT):
        return f"unknown setting; a key that only holds anchors begins with x-, as in x-{name}"
    if (run_together := re.fullmatch(r"(\w+) ?[:= ] ?(\S.*)", name)) and run_together[1] in known:
        return f"unknown setting; write '{run_together[1]}: {run_together[2]}', with a colon and a space"
    if name in elsewhere:
        return (
            f"unknown setting; did you mean '{elsewhere[name]}'?{' It stands at the top' * (elsewhere[name] == name)}"
        )
    return "unknown setting" + suggest(name, known)


def _message(at: Key, details: list[Any], model: type[BaseModel]) -> str:
    first = details[0]
    if first["type"] == "missing" and isinstance(first["loc"][-1], str):
        return f"is required{_shape(model, at)}"
    wants = " or ".join(dict.fromkeys(map(_want, details))).replace(" or must be ", " or ")
    if not at:  # settings that do not go together: their values are in the message where they matter
        return wants
    got = first["input"]
    shown = "nothing (null)" if got is None else quoted(got)
    return f"{wants}, got {shown}{_hint(at, wants, got, model)}"


def _shape(model: type[BaseModel], at: Key) -> str:
    """Say what a required section looks like, if that is what is missing."""
    field = model.model_fields.get(str(at[-1])) if len(at) == 1 else None
    if field and field.annotation is not None:
        if get_origin(field.annotation) is dict:
            return ": a section that names its component, {use: NAME}"
        for section in _models(field.annotation):
            needs = [name for name, setting in section.model_fields.items() if setting.is_required()]
            return f": a section with {', '.join(needs)}"
    return ""


def _hint(at: Key, wants: str, got: Any, model: type[BaseModel]) -> str:
    """Say how to write what was probably meant."""
    if wants.startswith("must be a list"):
        entries = re.split("[ ,]+", str(got).strip("() "))
        if isinstance(got, dict) or not all(re.fullmatch(r"-?[\d.]+(e-?\d+)?", one) for one in entries):
            return "; begin each entry with `- `, a dash and a space"
        return f"; write [{', '.join(entries)}]"
    if not isinstance(got, str):
        return ""
    if "a section of settings" in wants and isinstance(at[-1], int):
        return f"; write {{{next(iter(_fields(model, at)), 'use')}: {got}}}"
    if hint := suggest(got, re.findall(r"'([^']+)'", wants), list_all=False):
        return hint
    if "text" not in wants and (number := _decimal(got)):
        return f"; write {number}"
    if re.fullmatch(r"-?[\d.]+(e-?\d+)?|true|false", got) and "text" not in wants:
        return "; it is text, being quoted or from oc.env: leave the quotes out, or write ${oc.decode:${oc.env:...}}"
    if not re.match(r"[-+.]?\d", got) or not re.search("a number|an integer", wants):
        return ""
    alone = "an integer" in wants or re.match(r"\S*\d [a-z]", got)
    return "; write the number alone" if alone else "; write it as 0.001 or 1e-3"


def _decimal(text: str) -> str | None:
    """Return the number that a text is in another notation than YAML's: 9 of `09`, -0.5 of `-.5`, 8 of `0o10`."""
    if zeros := re.fullmatch(r"([-+]?)0+([1-9][0-9_]*)", text):
        return zeros[1] + zeros[2]
    if fraction := re.fullmatch(r"([-+]?)(\.[0-9]+)", text):
        return f"{fraction[1]}0{fraction[2]}"
    return str(int(text[2:], 8)) if re.fullmatch("0o[0-7]{1,20}", text) else None


def _want(detail: Mapping[str, Any]) -> str:
    """Return what pydantic wants, in the words of a recipe's author."""
    if detail["type"] == "missing":  # the entry of a list that has a fixed number of them
        return "has too few entries"
    message = detail["msg"]
    for pattern, words in WORDING:
        message = re.sub(pattern, words, message)
    return message
