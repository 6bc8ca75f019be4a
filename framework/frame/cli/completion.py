"""Shell completion: `frame completion`, and what the arguments of the other commands can be completed to.

What goes wrong on the way (a recipe that cannot be read, say) completes to nothing: a shell is no place for an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from functools import wraps
from io import StringIO
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from .text import echo, summary

Items = list[CompletionItem[str]]
Completer = Callable[[click.Context, click.Parameter, str], Items]

BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1")
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class KeyValueBash(BashComplete):
    """Completes `key=value`, which bash takes for three words, as one; no space is put behind `key=`."""

    name = "bash"
    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one that it stands in."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        incomplete = "" if line[-1:].isspace() else words.pop()
        return words[1:], incomplete

    def get_completions(self, args: list[str], incomplete: str) -> Items:
        """Return the completions without what bash does not replace: all up to the `=` or `:` in the word."""
        items = super().get_completions(args, incomplete)
        kept = max(incomplete.rfind(sign) for sign in "=:") + 1
        for item in items:
            item.value = item.value[kept:]
        return items


@click.command(short_help="Print the script that completes `frame` in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes frame's commands, recipes, components and settings. To install it:

    \b
    bash  frame completion bash > ~/.local/share/bash-completion/completions/frame
          (or, in ~/.bashrc: eval "$(frame completion bash)")
    zsh   in ~/.zshrc, after compinit: eval "$(frame completion zsh)"
    fish  frame completion fish > ~/.config/fish/completions/frame.fish
    """
    root = click.get_current_context().find_root()
    script = get_completion_class(shell)
    assert script is not None
    echo(script(root.command, {}, "frame", "_FRAME_COMPLETE").source(), nl=False)


def quietly(complete: Completer) -> Completer:
    """Let a completer print nothing, and find nothing where it cannot go on."""

    @wraps(complete)
    def completed(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # plugins are imported
            try:
                return complete(context, parameter, incomplete)
            except Exception:
                return []

    return completed


def _starting(texts: Iterable[tuple[str, str]], incomplete: str) -> Items:
    return [CompletionItem(value, help=text) for value, text in texts if value.startswith(incomplete)]


@quietly
def complete_component(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """KIND/NAME of every component."""
    from ..plugins.load import load_plugins

    found = [(f"{one.kind}/{name}", summary(one[name])) for one in load_plugins().registries for name in one]
    return _starting(found, incomplete)


@quietly
def complete_analyzer(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Names of analyzers."""
    from ..plugins.load import load_plugins

    analyzers = load_plugins().registries["analyzer"]
    return _starting(((name, summary(analyzers[name])) for name in analyzers), incomplete)


@quietly
def complete_kind(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """What `frame list` lists."""
    from ..api.kinds import KINDS

    return _starting([*((kind.plural, "") for kind in KINDS), ("recipes", "")], incomplete)


@quietly
def complete_recipe(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Names of shipped recipes and files of this folder; with a folder in front, or where nothing fits, any file."""
    from ..plugins.load import load_plugins

    files = [(str(path), "") for path in sorted(Path().glob("*.yaml"))]
    found = _starting(
        [*((name, "shipped with frame or a plugin") for name in load_plugins().recipes), *files], incomplete
    )
    return found or [CompletionItem(incomplete, type="file")]


@quietly
def complete_run(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Folders of runs under `runs/`, the latest first; any folder where none fits."""
    folders = [path.parent for path in Path().glob("runs/*/[!.]*/run.json")]
    latest = sorted(folders, key=lambda folder: folder.name, reverse=True)
    return _starting(((str(folder), "") for folder in latest), incomplete) or [CompletionItem(incomplete, type="dir")]


@quietly
def complete_override(context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """KEY= of every setting of the recipe that stands before, and behind the `=` the values that are known."""
    from .recipe_keys import explained, settings

    words: list[str] = []
    for given in (context.params.get("recipe"), context.params.get("overrides")):  # either may be one or several
        words += [given] if isinstance(given, str) else given or ()
    recipes = [word for word in words if "=" not in word]
    if not recipes:
        return []
    known = settings(recipes[0], [word for word in words if "=" in word])
    key, equals, _ = incomplete.partition("=")
    if not equals:
        fitting = [setting for setting in known if setting.key.startswith(incomplete)]
        return [CompletionItem(f"{key}=", help=text) for key, text in explained(fitting)]
    values = (value for setting in known if setting.key == key for value in setting.values.items())
    return _starting(((f"{key}={value}", text) for value, text in values), incomplete)
