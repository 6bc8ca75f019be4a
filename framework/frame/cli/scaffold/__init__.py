"""A new plugin's files, from the templates that lie here: a package, or one module and its recipe.

`kinds/<kind>/` has a component, a test of its own, its place in a recipe, and a line on what it does; what all kinds
share lies beside.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UserError

if TYPE_CHECKING:
    from ...plugins.load import Plugins

LONGEST = 40
TEMPLATES = Path(__file__).parent
KINDS = sorted(folder.name for folder in (TEMPLATES / "kinds").iterdir() if (folder / "about.txt").is_file())
"""What can be made: what has templates, `about.txt` among them, which says what the component does to begin with."""
TAKEN = {"Any", "Field", "Path", "TYPE_CHECKING", "Tensor"}
"""Names that a component's module imports beside those of frame."""


@dataclass(frozen=True)
class Names:
    """A plugin's names: its component (and module), the component's class, its distribution (and folder)."""

    name: str
    cls: str

    @property
    def distribution(self) -> str:
        return self.name.replace("_", "-")


def names(given: str, plugins: Plugins) -> Names:
    """Return the names of a new plugin: `tiny-net`, `tiny_net`, `Tiny Net` and `TinyNet` are one.

    Raises UserError, which says what to take instead, where Python or another plugin forbids them.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", given).lower()
    name = "_".join(re.split(r"[\s._-]+", words.strip(" ._-")))
    cls = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    if re.fullmatch(r"[A-Z][A-Za-z0-9]+", given):
        cls = given
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        import unicodedata

        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        plain = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
        reason = "is no name for a Python module"
        instead = plain if plain[:1].isalpha() else f"my_{plain or 'plugin'}"
    elif len(name) > LONGEST:
        reason = f"has more than {LONGEST} characters"
        instead = name[:LONGEST].rpartition("_")[0] or name[:LONGEST]
    elif taken := _reason(name, cls, plugins):
        reason, instead = taken, f"my_{name}"
    else:
        return Names(name, cls)
    raise UserError(f"'{given}' {reason}; did you mean '{instead}'?")


def word(kind: str) -> str:
    """Return a kind as it is called in a sentence."""
    return kind.replace("lr_finder", "LR finder").replace("_", " ")


def shown(names: Names, kind: str) -> str:
    """Return what `frame show` takes."""
    return f"{'transform' if kind.endswith('_transform') else kind}/{names.name}"


def _reason(name: str, cls: str, plugins: Plugins) -> str | None:
    """Say why a name that is well formed cannot be taken, or return None."""
    import frame

    if keyword.iskeyword(name):
        return "is a word of the Python language"
    for registry in plugins.registries:
        if name in registry:
            return f"is already a {registry.kind}, from {registry.entries[name].origin}"
    if name in plugins.recipes:
        return f"is already a recipe, {plugins.recipes[name]}"
    if name in sys.stdlib_module_names or _is_module(name):
        return "is already a Python module, which the new one would hide"
    if cls in TAKEN or hasattr(frame, cls):
        return f"would make a class {cls}, and frame has something of this name"
    return None


def _is_module(name: str) -> bool:
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None  # without an origin: a folder that happens to be there


def package(names: Names, kind: str) -> dict[str, str]:
    """Return the files of an installable package, by their paths."""
    folder, source = names.distribution, f"{names.distribution}/src/{names.name}"
    return {
        f"{folder}/pyproject.toml": _render("package/pyproject.toml", names, kind),
        f"{folder}/README.md": _render("package/README.md", names, kind),
        f"{folder}/.gitignore": _render("package/gitignore", names, kind),
        f"{folder}/.github/workflows/ci.yml": _render("package/ci.yml", names, kind),
        f"{source}/__init__.py": _render(f"kinds/{kind}/component.py", names, kind),
        f"{source}/py.typed": "",
        f"{source}/recipes/{names.name}.yaml": _render(f"kinds/{kind}/recipe.yaml", names, kind),
        f"{folder}/tests/test_{names.name}.py": _render(f"kinds/{kind}/test.py", names, kind),
    }


def single_file(names: Names, kind: str) -> dict[str, str]:
    """Return a module and a recipe that names it, by their paths."""
    return {
        f"{names.name}.py": _render(f"kinds/{kind}/component.py", names, kind, package=False),
        f"{names.name}.yaml": _render(f"kinds/{kind}/recipe.yaml", names, kind, package=False),
    }


def _render(template: str, names: Names, kind: str, *, package: bool = True) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    import frame

    from ...api.hookspecs import API_VERSION
    from ...recipe.schema import HEADER

    environment = Environment(  # noqa: S701 - Python, YAML and Markdown, no HTML
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{template}.j2").render(
        name=names.name,
        cls=names.cls,
        distribution=names.distribution,
        kind=kind,
        shown=shown(names, kind),
        word=word(kind),
        about=(TEMPLATES / "kinds" / kind / "about.txt").read_text(encoding="utf-8").strip(),
        package=package,
        api=API_VERSION,
        header=HEADER,
        version=frame.__version__,
    )


def write(files: dict[str, str], folder: Path) -> None:
    """Write files below `folder`, all of them or none. Raises UserError where something is in their place."""
    import shutil
    from tempfile import mkdtemp

    made = list(dict.fromkeys(Path(file).parts[0] for file in files))
    for entry in made:
        if os.path.lexists(folder / entry):  # a broken link too
            text = f"{folder / entry} exists; nothing is overwritten: take another name, or another --to"
            raise UserError(text, "already-exists")
    try:
        staging = Path(mkdtemp(prefix=".frame-new-", dir=folder))
    except OSError as error:
        raise UserError(f"{folder} cannot be written to: {error.strerror}", "cannot-write") from error
    moved = []
    try:
        for file, text in files.items():
            (staging / file).parent.mkdir(parents=True, exist_ok=True)
            (staging / file).write_text(text, encoding="utf-8")
        for entry in made:
            (staging / entry).rename(folder / entry)
            moved.append(folder / entry)
    except BaseException as error:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if isinstance(error, OSError):
            raise UserError(f"the plugin cannot be written into {folder}: {error.strerror}", "cannot-write") from error
        raise
    finally:
        shutil.rmtree(staging)
