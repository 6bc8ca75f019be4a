"""Checks values against a pydantic model and says what is wrong in the recipe's own terms."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import Problem, suggest
from .source import Source
from .yamlfile import Key

M = TypeVar("M", bound=BaseModel)


def validate(
    model: type[M], values: Mapping[str, Any], key: Key, source: Source, siblings: Iterable[str] = ()
) -> tuple[M | None, list[Problem]]:
    """Return the settings, or every problem found in `values`, which stand under `key`.

    siblings: other names that are known beside the model's own fields; suggestions may name them. Validation is strict
    in pydantic's JSON mode: a list makes a tuple, but True is no integer and "3" no number.
    """
    try:
        return model.model_validate_json(json.dumps(values), strict=True), []
    except ValidationError as error:
        found: dict[Key, list[Any]] = defaultdict(list)
        for detail in error.errors(include_url=False):
            found[_written(detail["loc"], values, detail["type"])].append(detail)
        names = [*model.model_fields, *siblings]
        return None, [source.problem(key + at, _message(at, details, names)) for at, details in found.items()]
    except ValueError as error:  # a number that JSON cannot hold, or a plugin's validator that raises something else
        return None, [source.problem(key, str(error))]


def _written(loc: tuple[Any, ...], values: Any, kind: str) -> Key:
    """Return the part of an error's path that stands in the recipe: pydantic adds the tags of unions."""
    key: Key = ()
    for part in loc:
        if (isinstance(values, Mapping) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        ):
            values = values[part]
        elif kind == "missing":
            return (*key, part)
        else:
            break
        key = (*key, part)
    return key


def _message(at: Key, details: list[Any], names: Iterable[str]) -> str:
    first = details[0]
    if first["type"] == "missing":
        return "is required"
    if first["type"] == "extra_forbidden":
        return "unknown setting" + (suggest(str(at[-1]), names) if len(at) == 1 else "")
    got = first["input"]
    wants = list(dict.fromkeys(_want(detail["msg"]) for detail in details))
    choices = re.findall(r"'([^']+)'", " ".join(wants))
    hint = suggest(got, choices, list_all=False) if isinstance(got, str) else ""
    return f"{' or '.join(wants)}, got {_short(got)}{hint}"


def _want(message: str) -> str:
    """Return pydantic's message in the words of a recipe's author."""
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    for old, new in (
        ("a valid ", "a "),
        ("a integer", "an integer"),
        ("a array", "a list"),
        ("boolean", "true or false"),
    ):
        message = message.replace(old, new)
    return message.replace("an object", "a section of settings").replace("a dictionary", "a section of settings")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
