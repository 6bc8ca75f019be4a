"""Whatever stands in a recipe or on the command line, it is a recipe or the user's mistake: nothing else is raised."""

# ruff: noqa: E501, PT017 - `except` is the very thing under test

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frame import UserError
from frame.recipe import Recipe
from frame.resolve import load_recipe

RECIPE = {
    "name": "fuzz",
    "data": {"use": "digits", "batch_size": 64, "train_transforms": [{"use": "random_crop", "padding": 2}]},
    "model": {"use": "custom_resnet", "widths": [16, 32, 64, 128]},
    "loss": {"use": "cross_entropy"},
    "optimizer": {"use": "adam", "lr": 1e-3},
    "scheduler": {"use": "one_cycle", "max_lr": 0.1},
    "train": {"epochs": 2},
    "checkpoint": {"monitor": "test/acc"},
    "analyzers": [{"use": "correct", "count": 3}],
}
KEYS = [
    "name",
    "seed",
    "data",
    "train_transforms",
    "model",
    "optimizer",
    "use",
    "lr",
    "train",
    "epochs",
    "analyzers",
    "0",
]
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates(), st.binary(max_size=9),
    st.sampled_from(["auto", "adam", "sgd", "digits", "${name}", "${train.epochs}", "${oc.env:HOME}", "${", "???", "1e3"]),
)  # fmt: skip
keys = st.sampled_from(KEYS) | st.text(max_size=8) | st.integers() | st.none() | st.floats()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def paths(value, path=()):
    yield path
    for part, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from paths(child, (*path, part))


def altered(value, path, new):
    """Return a copy of `value` with `new` at `path`."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = altered(value[path[0]], path[1:], new)
    return copy


def check(raw: bytes, overrides: list[str] | tuple[str, ...] = ()) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "recipe.yaml")
        path.write_bytes(raw)
        try:
            loaded = load_recipe(str(path), overrides)
        except UserError as error:
            assert error.problems
            assert all(problem.message and problem.place for problem in error.problems)
            assert len(error.problems) == len(set(error.problems))
        else:
            assert isinstance(loaded.recipe, Recipe)
            again = path.with_name("again.yaml")
            again.write_text(yaml.safe_dump(loaded.recipe.values()))
            assert load_recipe(str(again)).recipe.values() == loaded.recipe.values()


@few
@given(st.binary())
def test_any_bytes(raw):
    check(raw)


@few
@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,?~<= \n\t\\0123.e$\ud800\u2028\x00é", max_size=60))
def test_any_text(text):
    check(text.encode("utf-8", "surrogatepass"))


@settings(few, max_examples=60)
@given(st.sampled_from(sorted(paths(RECIPE), key=str)), values)
def test_a_recipe_with_anything_anywhere(path, new):
    check(yaml.dump(altered(RECIPE, path, new), allow_unicode=True).encode("utf-8", "surrogatepass"))


written = st.one_of(
    st.text(),
    st.builds(
        "{}={}".format,
        st.lists(st.sampled_from([*KEYS, "1", "-1", "widths", ""]) | st.text(max_size=5), min_size=1, max_size=4).map(".".join),
        st.text(alphabet="ab:[]{}&*!'\",? 01.e-$", max_size=12) | values.map(lambda value: yaml.dump(value, default_flow_style=True)),
    ),
)  # fmt: skip


@settings(few, max_examples=60)
@given(st.lists(written, max_size=4, unique=True))
def test_any_overrides(overrides):
    check(yaml.dump(RECIPE).encode(), overrides)


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, "a/" * 2000, "/", "~", "é\udcff", "/dev/null/x", os.devnull])
def test_any_recipe_name(name):
    with pytest.raises(UserError):
        load_recipe(name)
