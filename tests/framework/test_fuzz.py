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
from frame.recipe.load import load_recipe
from frame.recipe.recipe import Recipe
from frame.recipe.yaml_text import read_value

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


written = st.one_of(
    st.text(),
    st.builds(
        "{}={}".format,
        st.lists(st.sampled_from([*KEYS, "1", "-1", "widths", ""]) | st.text(max_size=5), min_size=1, max_size=4).map(".".join),
        st.text(alphabet="ab:[]{}&*!'\",? 01.e-$", max_size=12) | values.map(lambda value: yaml.dump(value, default_flow_style=True)),
    ),
)  # fmt: skip
marks = st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,?~<= \n\t\\0123.e$\ud800\u2028\x00é", max_size=60)
links = st.lists(st.sampled_from(["${a}", "${b}", "${c.x}", "${c}", "${.x}", "${d.0}", "\\${", "$", "x", "\\", "???", "${oc.env:HOME}", "${oc.select:a,b}", "${oc.decode:${a}}", "${${a}}", "${seed}", "${data.batch_size}", "${train.${a}}", "${optimizer.betas.0}", "${oc.select:seed,${checkpoint}}"]), max_size=4).map("".join)  # fmt: skip


def in_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A right recipe in which a few places are cut out, doubled, or filled with something else."""
    text = yaml.dump(RECIPE, default_flow_style=draw(st.sampled_from([False, None])))
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        new = draw(st.sampled_from(["", " ", "\t", "\n", text[start : start + length] * 2]) | marks)
        text = text[:start] + new + text[start + length :]
    return in_bytes(text)


@st.composite
def extending(draw: st.DrawFn) -> dict[str, bytes]:
    """Recipes that extend each other, or what is none, and name plugins."""
    names = st.sampled_from(
        [
            "recipe.yaml",
            "b.yaml",
            "c",
            "${oc.env:NOT_SET,c}",
            "${x}",
            "~/c",
            "folder",
            "quickstart",
            "../b.yaml",
            "",
            None,
            3,
            "b.yaml/x",
        ]
    )
    plugins = st.lists(st.sampled_from(["./p.py", "b.yaml", "no_such_module", "no.such", "", ".", "..", 3, None, "no\0", "./no.py", "é é"]), max_size=2)  # fmt: skip
    parts = st.sampled_from([*RECIPE.items(), ("optimizer", {"use": "sgd"}), ("data", None), ("train", [1])])
    dotted = st.sampled_from(["analyzers.0.count", "analyzers.1", "optimizer.use", "train.epochs", "a..b", "x-a", "x-b.c", "data.train_transforms.1.use", "name.0", "plugins.0", "."])  # fmt: skip
    files = {}
    for name in ("recipe.yaml", "b.yaml", "c"):
        some = dict(draw(st.lists(parts, max_size=9)))
        some |= draw(st.fixed_dictionaries({}, optional={"extends": names, "plugins": plugins | values}))
        some |= draw(st.dictionaries(dotted, values, max_size=2))
        files[name] = in_bytes(yaml.dump(some))
    return files | {
        "p.py": draw(st.sampled_from([b"", b"import frame\n", b"1 / 0", b"(", b"\x00", b"\xff", b"raise SystemExit"]))
    }


Case = tuple[dict[str, bytes], list[str]]


def one(raw: st.SearchStrategy[bytes]) -> st.SearchStrategy[Case]:
    return st.tuples(raw.map(lambda text: {"recipe.yaml": text}), st.just([]))


FUZZ: dict[str, st.SearchStrategy[Case]] = {
    "any bytes": one(st.binary()),
    "any text": one(marks.map(in_bytes)),
    "a damaged recipe": one(damaged()),
    "a recipe with anything anywhere": one(
        st.builds(
            lambda path, new: in_bytes(yaml.dump(altered(RECIPE, path, new), allow_unicode=True)),
            st.sampled_from(sorted(paths(RECIPE), key=str)),
            values,
        )
    ),
    "any interpolations": one(
        st.builds(
            lambda a, b, c, d: in_bytes(yaml.dump({"a": a, "b": b, "c": {"x": c, "y": d}, "d": [d, c], "e": "${c}"})),
            links, links, links, links,
        )
    ),
    "recipes that extend each other": st.tuples(extending(), st.just([])),
    "any overrides": st.tuples(st.just({"recipe.yaml": yaml.dump(RECIPE).encode()}), st.lists(written, max_size=4, unique=True)),
}  # fmt: skip


def check(case: Case) -> None:
    files, overrides = case
    with TemporaryDirectory() as folder:
        path = Path(folder, "recipe.yaml")
        path.with_name("folder").mkdir()
        for name, raw in files.items():
            path.with_name(name).write_bytes(raw)
        try:
            loaded = load_recipe(str(path), overrides)
        except UserError as error:
            assert error.problems
            assert all(problem.message and problem.place for problem in error.problems)
            assert all(problem.level == "error" for problem in error.problems)
            assert len(error.problems) == len(set(error.problems))
        else:
            assert isinstance(loaded.recipe, Recipe)
            assert all(problem.place and problem.level == "warning" for problem in loaded.warnings)
            again = path.with_name("again.yaml")
            again.write_text(yaml.safe_dump(loaded.recipe.values()))
            assert load_recipe(str(again)).recipe.values() == loaded.recipe.values()


def fuzz(kind: str, examples: int) -> None:
    allowed = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(max_examples=examples, deadline=None, suppress_health_check=allowed)(given(FUZZ[kind])(check))()


@pytest.mark.parametrize("kind", FUZZ)
def test_a_few(kind):
    fuzz(kind, 15)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FUZZ)
def test_many_more(kind):
    fuzz(kind, 3000)


@given(
    st.text(alphabet="0123456789_:.+-eExob", max_size=8)
    | st.from_regex(r"[-+]?[0-9_:]{1,9}(\.[0-9]*)?", fullmatch=True)
)
@settings(deadline=None, max_examples=300)
def test_a_number_is_the_one_that_python_reads(text):
    try:
        value = read_value(text)
    except ValueError:
        return
    digits = text.replace("_", "")
    if isinstance(value, float):
        assert value == float(digits)
    elif isinstance(value, int):
        assert value == int(digits, 0)


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, "a/" * 2000, "/", "~", "é\udcff", "/dev/null/x", os.devnull])
def test_any_recipe_name(name):
    with pytest.raises(UserError):
        load_recipe(name)
