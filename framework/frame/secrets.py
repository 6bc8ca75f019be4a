"""Keeps secrets out of what is saved, shown and sent, and control characters out of what is shown.

A secret is the value of an environment variable whose name looks like that of a key, a token or a password.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

T = TypeVar("T")

NAME = re.compile(
    r"((^|[^a-z])keys?|(api|access|private)keys?|tokens?|secrets?|passwords?|passwd|credentials?)([^a-z]|$)",
    re.IGNORECASE,
)
SHORTEST = 6
"""Characters: shorter values are found in harmless text too, and hide nothing."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal, breaks a line or turns the direction of writing; half characters, which cannot be encoded."""


def names_a_secret(name: str) -> bool:
    """Tell whether what a setting or an environment variable of this name holds is a secret."""
    return NAME.search(name) is not None


def known_secrets() -> dict[str, str]:
    """Return the environment's secrets, each with its variable; the longest first, as it may contain another."""
    found = {value: name for name, value in os.environ.items() if len(value.strip()) >= SHORTEST and NAME.search(name)}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def hide_secrets(value: T) -> T:
    """Return a text, or plain values and dataclasses of texts, with `(hidden: NAME)` in place of each secret.

    It is found in what JSON, addresses and messages make of it too. The keys of values stay as they are.
    """
    forms = {form: name for secret, name in known_secrets().items() for form in _forms(secret)}
    if not forms:
        return value
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))

    def hidden(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda match: f"(hidden: {forms[match[0]]})", value)
        if isinstance(value, Mapping):
            return {key: hidden(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(hidden, value))
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: hidden(getattr(value, field.name)) for field in fields(value)})
        return value

    return hidden(value)


def printable(text: str) -> str:
    r"""Return a text as it may be shown: without secrets, and control characters but \n and \t as escapes."""
    return CONTROL.sub(_escape, hide_secrets(text))


def _forms(value: str) -> set[str]:
    """Return a secret as texts, messages, JSON and addresses have it."""
    whole = value.strip()
    return {
        value,
        whole,
        repr(whole)[1:-1],
        json.dumps(whole)[1:-1],
        json.dumps(whole, ensure_ascii=False)[1:-1],
        quote(whole.encode(errors="replace"), safe=""),
    }


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"  # JSON, which has none below 0x20, stays JSON
