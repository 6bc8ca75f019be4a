"""Keeps out of what is sent to W&B what the recipe itself holds under a secret's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from frame import known_secrets, names_a_secret

SHORTEST = 6
"""Characters: shorter secrets are found in harmless text too, so they are hidden under their own name only."""
HIDDEN = "(hidden)"
REFERENCE = "${oc.env:"
"""How a recipe begins what it takes from the environment: there is nothing to hide in it."""


def without_secrets(config: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the config with its secrets hidden, and the secrets.

    A secret is a text under a name like `api_key`, `token` or `password`, or the value of an environment variable with
    such a name; it is hidden wherever it stands.
    """
    secrets = {*known_secrets(), *(value for value in _named(config) if len(value) >= SHORTEST)}
    return {key: _hide(key, value, secrets) for key, value in config.items()}, secrets


def _named(value: Any) -> Iterator[str]:
    """Yield the texts that stand under a secret's name."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        if isinstance(item, str) and names_a_secret(str(key)) and not item.startswith(REFERENCE):
            yield item
        yield from _named(item)


def _hide(name: str, value: Any, secrets: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _hide(str(key), item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(name, item, secrets) for item in value]
    if isinstance(value, str) and value and not value.startswith(REFERENCE):
        return HIDDEN if names_a_secret(name) or any(secret in value for secret in secrets) else value
    return value
