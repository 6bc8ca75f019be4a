"""Draws docs/images/architecture.svg: frame's packages, and which stands on which, by their imports.

    uv run python tests/docs/architecture.py

It needs Graphviz. `test_the_picture_of_the_packages_is_that_of_the_imports` says when the picture is out of date.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import grimp

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "architecture.svg"
STYLE = """
bgcolor=transparent; ranksep=0.22; nodesep=0.16; margin=0.02
node [shape=box, style="filled,rounded", fillcolor="#e8edfb", color="#5b6fb0", fontcolor="#16203f", fontname="sans-serif", fontsize=13, height=0.32, margin="0.12,0.04"]
edge [color="#7d89b0", arrowsize=0.6]
"""  # fmt: skip  # noqa: E501
"""Colours of its own, that can be read on a light page and on a dark one."""


def imports() -> dict[str, set[str]]:
    """Return each package and loose file of frame, by its name, and those that it imports; types' imports count."""
    graph = grimp.build_graph("frame", cache_dir=None)
    names = sorted(graph.find_children("frame") - {"frame.__main__"})
    for name in names:
        if graph.find_children(name):
            graph.squash_module(name)
    short = {name: name.removeprefix("frame.") for name in names}
    found = {name: graph.find_modules_directly_imported_by(name) - {name} for name in names}
    return {short[name]: {short[one] for one in found[name] if one in short} for name in names}


def arrows(imported: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Return who imports whom, but for what also follows from other arrows, one after the other."""

    def reached(name: str) -> set[str]:
        return imported[name].union(*(reached(one) for one in imported[name]))

    return {(name, one) for name, below in imported.items() for one in below
            if not any(one in reached(other) for other in below)}  # fmt: skip


def drawn(svg: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the names and the arrows of a picture that Graphviz drew."""
    titles = re.findall(r'<g id="\w+" class="(?:node|edge)">\n<title>(.*)</title>', svg)
    pairs = [tuple(title.split("&#45;&gt;")) for title in titles]
    return {pair[0] for pair in pairs if len(pair) == 1}, {(pair[0], pair[1]) for pair in pairs if len(pair) == 2}


def main() -> None:
    imported = imports()
    lines = [*sorted(imported), *(f"{one} -> {other}" for one, other in sorted(arrows(imported)))]
    program = shutil.which("dot") or "dot"
    command = [program, "-Tsvg", "-Gfontname=sans-serif"]
    text = f"digraph {{{STYLE}{'; '.join(lines)}}}"
    svg = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    PICTURE.write_text(re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main()
