"""Keeps secrets out of what is saved, shown and sent, and control characters out of what is shown.

A secret is what stands under a name like that of a key, a token or a password, in the environment, on the command line
or in a recipe; and the password in an address.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from .nested import Key, changed, each_text, leaves, name_at

T = TypeVar("T")

NAME = re.compile(
    r"((^|[^a-z])keys?|(api|access|private)keys?|tokens?|secrets?|passwords?|passwd|passphrases?|credentials?|_pwd"
    r"|(^|[^a-z])(pass|pat))([^a-z]|$)",
    re.IGNORECASE,
)
SHORTEST = 6
"""Characters: shorter values are found in harmless text too, and are hidden under their own name alone."""
HIDDEN = "(hidden)"
STANDS = r"\$\{oc\.env:[^{},]*\}|\(hidden(?:: [^()]*)?\)"
"""What stands for a secret and is none."""
ADDRESS = re.compile(rf"(?<=://)((?:{STANDS}|(?!{STANDS})[^\s/:@\"<>])*:)((?:{STANDS}|(?!{STANDS})[^\s/\"<>])+)(?=@)")
"""User and password, as `user:password@host` has them in an address."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal, breaks a line or turns the direction of writing; half characters, which cannot be encoded."""


def names_a_secret(name: str) -> bool:
    """Tell whether what a setting or an environment variable of this name holds is a secret.

    Of a key such as `model.api_key` its last part is the name.
    """
    return NAME.search(name.rpartition(".")[2]) is not None


def secret_variables() -> dict[str, str]:
    """Return the values of environment variables that are secret or have a password in an address, with their names.

    The longest comes first, as it may contain another.
    """
    return _longest_first({
        value: name for name, value in os.environ.items()
        if len(value.strip()) >= SHORTEST and (names_a_secret(name) or ADDRESS.search(value))
    })  # fmt: skip


def known_secrets() -> dict[str, str]:
    """Return the secrets of the environment and of the command line, each with the name that it stands under.

    The longest comes first, as it may contain another.
    """
    arguments = {*sys.argv, *sys.orig_argv}  # W&B's tracker takes the secrets out of the first for a while
    found = {text: name for argument in arguments for name, text, _ in _typed(argument) if not _is_number(text)}
    for value, name in secret_variables().items():
        if names_a_secret(name):
            found[value] = name
        for match in ADDRESS.finditer(value):
            found |= dict.fromkeys((match[2], unquote(match[2])), name) if _is_secret(match[2]) else {}
    return _longest_first({text: name for text, name in found.items() if len(text.strip()) >= SHORTEST})


def _longest_first(found: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _typed(argument: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yield the secrets of an argument `key=value`: name, text and place. The value may be a list or a section."""
    key, equals, value = argument.partition("=")
    if not equals or not NAME.search(argument):
        return
    import yaml  # late: most command lines hold no secret

    name, begin, whole = key, len(key) + 1, names_a_secret(key)
    if whole and _is_secret(value):  # whatever YAML makes of it
        yield name, value, (begin, len(argument))
    is_name = False
    try:
        for token in yaml.scan(value):
            if isinstance(token, yaml.ScalarToken) and is_name:
                name = token.value
            elif isinstance(token, yaml.ScalarToken) and names_a_secret(name) and _is_secret(token.value):
                place = (begin + token.start_mark.index, begin + token.end_mark.index)
                yield name, token.value, (begin, len(argument)) if whole else place
            is_name = isinstance(token, yaml.KeyToken)
    except yaml.YAMLError:  # what is no YAML is the user's mistake, and nothing begins with it
        return


def _is_secret(text: str) -> bool:
    """Tell whether a text that stands under a secret's name is one, and does not say where one is."""
    return bool(re.sub(STANDS, "", text).strip(" \"'"))


def _is_number(text: str) -> bool:
    """Numbers are in harmless text too: they are hidden under their own name alone."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def hide_secrets(value: T, also: Collection[str] = ()) -> T:
    """Return a text, or plain values and dataclasses of texts, with `(hidden: NAME)` in place of each secret.

    It is found in what JSON, addresses and messages make of it too; in an address every password is hidden, and in an
    argument of this command what stands under a secret's name. The keys of values stay as they are. also: further
    secrets, which have no name.
    """
    marks = {form: HIDDEN for secret in also for form in _forms(secret)}
    marks |= {form: f"(hidden: {name})" for secret, name in known_secrets().items() for form in _forms(secret)}
    pattern = re.compile("|".join(re.escape(form) for form in sorted(marks, key=len, reverse=True)) or "(?!)")
    arguments = {*sys.argv, *sys.orig_argv}

    def hidden(text: str) -> str:
        text = _without_typed(text) if text in arguments else text
        return _without_passwords(pattern.sub(lambda match: marks[match[0]], text))

    return each_text(value, hidden)


def _without_typed(argument: str) -> str:
    """Hide what stands under a secret's name in an argument `key=value`, however short it is."""
    for begin, end in sorted({place for _, _, place in _typed(argument)}, reverse=True):
        argument = argument[:begin] + HIDDEN + argument[end:]
    return argument


def _without_passwords(text: str, mark: Callable[[str], str] = lambda _: HIDDEN) -> str:
    """Hide the passwords of addresses."""

    def marked(match: re.Match[str]) -> str:
        return match[1] + (mark(match[2]) if _is_secret(match[2]) else match[2])

    return ADDRESS.sub(marked, text)


def secret_settings(values: Any) -> Iterator[str]:
    """Yield the texts that stand under a secret's name in a recipe's values."""
    for key, value in leaves(values):
        if isinstance(value, str) and names_a_secret(name_at(key)) and _is_secret(value):
            yield value


def hide_settings(values: T, also: Collection[str] = (), mark: Callable[[str], str] = lambda _: HIDDEN) -> T:
    """Return a recipe's values with `(hidden)` for each text that stands under a secret's name or holds such a text.

    Of an address the password alone is hidden. also: further secrets, such as `known_secrets()`. mark: returns what
    stands for a text instead.
    """
    secrets = {*also, *(text for text in secret_settings(values) if len(text) >= SHORTEST)}

    def hidden(key: Key, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if (names_a_secret(name_at(key)) and _is_secret(value)) or any(secret in value for secret in secrets):
            return mark(value)
        return _without_passwords(value, mark)

    return changed(values, hidden)


def fingerprint(secret: str) -> str:
    """Return what tells a secret from 255 of 256 others, and so says next to nothing about it."""
    return f"(hidden: {hashlib.sha256(secret.encode(errors='replace')).hexdigest()[:2]})"


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
