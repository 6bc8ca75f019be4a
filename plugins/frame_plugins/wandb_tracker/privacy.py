"""Keeps secrets out of what is sent to W&B."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

NAME = re.compile(r"(^|_)(api_?keys?|keys?|tokens?|secrets?|passwords?|passwd|credentials?)($|_)", re.IGNORECASE)
"""Names of settings and of environment variables that hold a secret."""
SHORTEST = 6
"""Characters: shorter secrets are found in harmless text too, so they are hidden under their own name only."""
HIDDEN = "(hidden)"


def without_secrets(config: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the config with its secrets hidden, and the secrets.

    A secret is a text under a name like `api_key`, `token` or `password`, or the value of an environment variable with
    such a name; it is hidden wherever it stands.
    """
    named = {value for name, value in os.environ.items() if NAME.search(name)} | set(_named(config))
    secrets = {value for value in named if len(value) >= SHORTEST}
    return {key: _hide(key, value, secrets) for key, value in config.items()}, secrets


def _named(value: Any) -> Iterator[str]:
    """Yield the texts that stand under a secret's name."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        if isinstance(item, str) and NAME.search(str(key)):
            yield item
        yield from _named(item)


def _hide(name: str, value: Any, secrets: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _hide(str(key), item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(name, item, secrets) for item in value]
    if isinstance(value, str) and value:
        return HIDDEN if NAME.search(name) or any(secret in value for secret in secrets) else value
    return value
