"""The command `frame`: one file a command. What is slow to import is imported inside the commands."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from io import StringIO

import click

from ..errors import Code, FrameError, UserError
from ..secrets import printable
from .events import tell_error
from .lazy import LazyGroup
from .streams import open_streams
from .strictness import strictness
from .text import echo

INTERRUPTED = 130

SECTIONS = {
    "On recipes": {
        "init": ".init:init",
        "validate": ".validate:validate",
        "explain": ".explain:explain",
        "run": ".run:run",
        "sweep": ".sweep:sweep",
        "lr-find": ".lr_find:lr_find",
        "schema": ".schema:schema",
    },
    "On runs": {
        "resume": ".run:resume",
        "evaluate": ".evaluate:evaluate",
        "analyze": ".analyze:analyze",
        "predict": ".predict:predict",
        "export": ".export:export",
        "reproduce": ".reproduce:reproduce",
        "runs": ".runs:runs",
        "compare": ".compare:compare",
        "report": ".report:report",
        "sync": ".sync:sync",
    },
    "On components": {"list": ".plugins:list_components", "show": ".plugins:show", "plugin": ".plugin:plugin"},
    "On this machine": {"doctor": ".doctor:doctor", "completion": ".completion:completion"},
}
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, sections=SECTIONS, context_settings=HELP)
@click.version_option(package_name="frame-train", prog_name="frame")
@click.option("--strict-plugins", is_flag=True,
              help="Stop where an installed plugin fails to load (or FRAME_STRICT_PLUGINS=1).")  # fmt: skip
@click.pass_context
def cli(context: click.Context, *, strict_plugins: bool) -> None:
    """Train image classifiers from YAML recipes."""
    if strict_plugins:
        context.with_resource(strictness("1"))  # a variable: processes that a run starts have it too


def _as_override(error: click.NoSuchOption) -> str | None:
    """Say how a setting is overridden, where a command that takes overrides was given it as an option."""
    from ..recipe.settings import RecipeSettings

    key = error.option_name.removeprefix("--")
    takes_them = error.ctx and any("[KEY=VALUE]" in (one.metavar or "") for one in error.ctx.command.params)
    if takes_them and ("." in key or key in RecipeSettings.model_fields):
        typed = next((one for one in sys.argv if one.startswith(f"--{key}=")), f"--{key}=VALUE").removeprefix("--")
        agents = "WANDB_SWEEP_ID" in os.environ
        how = "; in the command of a W&B sweep, ${args_no_hyphens} writes them so" if agents else ""
        return f"A setting is overridden without dashes: {printable(typed)}{how}"
    return None


def _usage_code(error: click.ClickException) -> Code:
    """Return the code of what is wrong with a command: a file that it names, or how it is written."""
    names_a_file = isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Path)
    return "no-such-file" if names_a_file else "usage"


def is_told_here(error: FrameError) -> bool:
    """Whether this process says it: of those that torchrun started on a machine, a user's mistake meets every one."""
    return not isinstance(error, UserError) or os.environ.get("LOCAL_RANK", "0") == "0"


def main() -> None:
    """Run the command line: exit code 0, 1 for a failed run, 2 for the user's mistake, 130 for an interruption."""
    open_streams()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it looks through every installed package
    gc.set_threshold(100_000, 50, 50)  # the start makes many objects and drops few: looking for these costs 7 % of it
    if "_FRAME_COMPLETE" in os.environ:  # a shell asks: it is answered in our way
        import_module(".completion", __name__)
    try:
        code = cli.main(prog_name="frame", standalone_mode=False) or 0
    except click.ClickException as error:
        said = StringIO()
        error.show(said)
        echo(said.getvalue(), err=True, nl=False)
        if isinstance(error, click.NoSuchOption) and (hint := _as_override(error)):
            echo(hint, err=True)
        code = error.exit_code
        tell_error(_usage_code(error), code, error.format_message())
    except FrameError as error:
        for line in printable(str(error)).splitlines() if is_told_here(error) else ():
            echo("error", err=True, nl=False, fg="red", bold=True)
            echo(f": {line}", err=True)
        code = error.exit_code
        tell_error(error.code, code, str(error), error.problems if isinstance(error, UserError) else ())
    except (click.Abort, KeyboardInterrupt):
        echo("interrupted", err=True)
        code = INTERRUPTED
        tell_error("interrupted", code, "interrupted")
    except Exception as error:  # a bug: Python would print the traceback with all that stands in it
        import traceback

        echo(traceback.format_exc(), err=True, nl=False)
        code = 1
        tell_error("internal-error", code, f"{type(error).__name__}: {error}")
    sys.exit(code)
