"""The pages lead to what there is: the picture of the packages is that of the imports, and named files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from architecture import PICTURE, arrows, drawn, imports

REPOSITORY = Path(__file__).parents[2]
ENGINE = REPOSITORY / "framework" / "frame"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]
TEXTS = {page.relative_to(REPOSITORY).as_posix(): page.read_text() for page in PAGES}
PATH = re.compile(r"(?<![\w./-])(?:framework|plugins/frame_plugins|tests|docs|benchmarks|recipes)/[\w./-]++(?![<*])")
MODULE = re.compile(r"\bframe((?:\.[a-z_]+)+)\b")
NOWHERE = {"framework/__init__.py"}
"""Said not to exist."""


def test_the_picture_of_the_packages_is_that_of_the_imports():
    imported = imports()
    assert len(imported) > 10
    advice = "draw it again: uv run python tests/docs/architecture.py"
    assert drawn(PICTURE.read_text()) == (set(imported), arrows(imported)), advice


def test_what_follows_from_several_arrows_is_not_drawn_again():
    assert arrows({"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}) == {("a", "b"), ("b", "c"), ("c", "d")}


def test_the_table_of_packages_names_each_of_them_once_from_the_top_down():
    page = (REPOSITORY / "docs" / "architecture.md").read_text().partition("## A run")[0]
    named, imported = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE), imports()
    assert sorted(named) == sorted(imported)
    assert [(name, one) for place, name in enumerate(named) for one in named[:place] if one in imported[name]] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_path_of_the_repository_that_a_page_names_is_there(page):
    named = {path.rstrip(".") for path in PATH.findall(TEXTS[page])} - NOWHERE
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_module_of_frame_that_a_page_names_is_there(page):
    named = {tuple(dots.split(".")[1:3]) for dots in MODULE.findall(TEXTS[page])}
    modules = [ENGINE.joinpath(*parts) for parts in sorted(named) if len(parts) > 1 and (ENGINE / parts[0]).is_dir()]
    assert [str(path) for path in modules if not (path.is_dir() or path.with_suffix(".py").is_file())] == []


@pytest.mark.parametrize("page", [page for page in TEXTS if page == "docs/architecture.md" or "/adr/" in page])
def test_every_file_of_frame_that_is_named_without_its_root_is_there(page):
    files = {path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.py")} | {"frame/__init__.py"}
    known = files | {Path(file).name for file in files}
    named = {name for name in re.findall(r"`([\w/]+\.py)`", TEXTS[page]) if not PATH.match(name)}
    assert named - known == set()
