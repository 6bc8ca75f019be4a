"""What YAML and OmegaConf find wrong with a text, in the words of a recipe's author."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

LINE_END = "\r\n|[\r\n\x85\u2028\u2029]"
INDENTED = "this line is indented unlike those that it belongs to"
WORDING = (  # YAML's words, those of a recipe's author, whether they are about the end of the text (or its beginning)
    (r"found character '\\t'", "a tab; YAML is indented with spaces", True),
    (r"found character '(.)' that cannot start", r"a text that begins with \1 needs quotes", True),
    (r"expected alphabetic or numeric character", "a text that begins with * or & needs quotes", True),
    (r"found undefined alias '(.*)'", r"*\1 stands for an earlier &\1, and there is none; for text, use quotes", True),
    (r"expected <block end>, but found '([}\]])'", r"a \1 without its opening bracket", True),
    (r"expected <block end>, but found '<scalar>'", "nothing can stand after the closing quote", True),
    (r"expected <block end>, but found", INDENTED, True),
    (r"found unexpected ':'", "a `:` without a value; write null, or leave the key out", True),
    (r"found unexpected end of stream", "the quote that begins here is not closed", False),
    (r"could not find expected ':'", "there is no `: ` (a colon and a space) after this key", False),
    (r"but found another document", "a second document begins here (---); a recipe is one", True),
    (r"sequence entries are not allowed", "`- ` begins an entry of a list, on a line of its own", True),
    (r"expected the node content, but found (.*)", r"a value is missing before \1; ??? and the like need quotes", True),
    (
        r"(?:found unknown escape character|expected escape sequence)",
        r"\\ has a meaning in double quotes; use single ones",
        True,
    ),
)


class Surprise(yaml.MarkedYAMLError):
    """A value that YAML takes for something else than its author."""


def mistake(error: Exception, text: str) -> tuple[str, int | None]:
    """Say in a line what YAML or OmegaConf found wrong with `text`, and in which of its lines."""
    reason, line = str(error).partition("\n")[0], None
    if isinstance(error, yaml.MarkedYAMLError):
        reason, mark = _in_plain_words(error, re.split(LINE_END, text))
        line = mark.line + 1 if mark else None
    elif isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        reason = f"the character U+{ord(text[error.position]):04X} is not allowed in it"
    return f"is {'ambiguous' if isinstance(error, Surprise) else 'not valid YAML'}: {reason}", line


def _in_plain_words(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[str, Any]:
    """Return what is wrong in words of a recipe's author, and where: at the end of a text, where it began."""
    at, began = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    reason = (error.problem or error.context or "").partition(". See ")[0]
    here = lines[at.line] if at and at.line < len(lines) else ""
    if bracket := re.fullmatch(r"expected ',' or '(.)', but got (.*)", reason):
        opening = {"}": "{", "]": "["}[bracket[1]]
        if "${" in here:
            return 'inside { } or [ ], an interpolation needs quotes: "${train.epochs}"', at
        if bracket[2] == "'<stream end>'":
            return f"the {opening} is not closed", began
        first = began.line + 1 if began else 1
        return f"a comma or {bracket[1]} is missing before this, for the {opening} of line {first}", at
    if reason == "mapping values are not allowed here":
        if re.match(r"\s*(- +)*[^\s:]+: .*:(\s|$)", here):
            return "there are two `: ` in this line; write a section as {key: value}, or put the text in quotes", at
        return "the line before it is no `key: value`, or this line is indented further than that one", at
    for pattern, words, at_its_end in WORDING:
        if re.match(pattern, reason):
            return re.sub(f"{pattern}.*", words, reason), at if at_its_end else began
    return reason, at


def not_interpolated(error: Exception) -> str:
    """Say why OmegaConf does not take a `${`: most often a character that only a text in quotes may hold."""
    if (strange := re.match(r"token recognition error at: '(.)", str(error))) and not strange[1].isspace():
        needs = f"a text with {strange[1]} in it needs quotes"
        return f"is no valid interpolation: {needs}, as in ${{oc.env:NAME,'~/data'}}"
    return "is no valid interpolation; write ${train.epochs} or ${oc.env:NAME,default}"
