"""From a recipe's file to values: extends, overrides, interpolation, and files that are no recipe."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import time
from pathlib import Path

import pytest

from frame import UserError
from frame.resolve import load_recipe
from frame.source import load_source
from frame.yamlfile import MAX_BYTES

RECIPE = """\
name: probe
data:
  use: digits
  batch_size: 64
model: {use: custom_resnet, widths: [16, 32, 64, 128]}
loss: {use: cross_entropy}
optimizer: {use: adam, lr: 1e-3, eps: 1e-7}
train: {epochs: 8}
analyzers:
  - {use: confusion}
  - {use: correct, count: 9}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files into the current folder, so that messages show their bare names; return the path of the last."""
    monkeypatch.chdir(tmp_path)

    def write_files(**texts: str | bytes) -> Path:
        for name, text in texts.items():
            path = Path(f"{name}.yaml")
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_files


def values(path, *overrides):
    """Read a recipe whose sections have no keys of the host's own."""
    return load_source(path, overrides, {"data": frozenset({"batch_size"})}, lambda name, base: base / name).values


def errors(path, *overrides) -> list[str]:
    with pytest.raises(UserError) as error:
        load_recipe(str(path), overrides)
    return str(error.value).splitlines()


class TestExtends:
    def test_mappings_merge_and_everything_else_replaces(self, write):
        write(base="a: {x: 1, y: {z: 2}}\nlist: [1, 2, 3]\nkept: 4\n")
        top = write(top="extends: base.yaml\na: {y: {w: 3}}\nlist: [9]\n")
        assert values(top) == {"a": {"x": 1, "y": {"z": 2, "w": 3}}, "list": [9], "kept": 4}

    def test_a_section_can_be_taken_away(self, write):
        write(base="a: {x: 1}\nb: 2\n")
        assert values(write(top="extends: base.yaml\na: null\n")) == {"a": None, "b": 2}

    def test_chains_are_relative_to_the_file_that_says_so(self, write):
        Path("deep").mkdir()
        write(base="a: 1\nb: 1\nc: 1\n")
        Path("deep/middle.yaml").write_text("extends: ../base.yaml\nb: 2\nc: 2\n")
        assert values(write(top="extends: deep/middle.yaml\nc: 3\n")) == {"a": 1, "b": 2, "c": 3}

    def test_a_shipped_recipe_is_found_by_name(self, write):
        top = write(top="extends: quickstart\nname: mine\ntrain: {epochs: 1}\n")
        recipe = load_recipe(str(top)).recipe
        assert (recipe.name, recipe.train.epochs, recipe.dataset.use) == ("mine", 1, "digits")

    def test_a_file_beside_the_recipe_goes_before_a_shipped_one(self, write):
        write(quickstart=RECIPE)
        Path("quickstart.yaml").rename("quickstart")
        assert load_recipe("quickstart").recipe.name == "probe"

    @pytest.mark.parametrize(
        ("files", "circle"),
        [
            ({"a": "extends: a.yaml"}, "a.yaml:1: extends: recipes extend each other in a circle: a.yaml -> a.yaml"),
            (
                {"a": "extends: b.yaml", "b": "x: 1\nextends: c.yaml", "c": "extends: b.yaml"},
                "c.yaml:1: extends: recipes extend each other in a circle: b.yaml -> c.yaml -> b.yaml",
            ),
        ],
    )
    def test_circles_are_refused_and_shown(self, write, files, circle):
        write(**files)
        assert errors("a.yaml") == [circle]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("quickstrat", "there is no recipe quickstrat; did you mean 'quickstart'?"),
            ("gone/away.yaml", "there is no recipe gone/away.yaml"),
            (".", ". is a folder; name a recipe in it"),
            ("3", "must be a file name, got 3"),
            ("[a.yaml]", 'must be a file name, got ["a.yaml"]'),
            ("", "must be a file name, got null"),
        ],
    )
    def test_what_cannot_be_extended(self, write, name, message):
        (line,) = errors(write(top=f"seed: 1\nextends: {name}\n"))
        assert line.startswith(f"top.yaml:2: extends: {message}")

    def test_a_file_name_of_any_length(self, write):
        (line,) = errors(write(top=f"extends: {'x' * 5000}\n"))
        assert line.startswith("top.yaml:1: extends: ")
        assert line.endswith("cannot be read: File name too long")

    def test_a_mistake_in_the_extended_recipe_is_shown_there(self, write):
        write(base=RECIPE + "sede: 1\n")
        top = write(top="extends: base.yaml\ntrain: {epochs: 0}\n")
        assert errors(top) == [
            "base.yaml:12: sede: unknown setting; did you mean 'seed'?",
            "top.yaml:2: train.epochs: must be greater than 0, got 0",
        ]

    def test_another_component_drops_the_settings_of_the_old_one(self, write):
        write(base=RECIPE)
        top = write(top="extends: base.yaml\noptimizer: {use: sgd, momentum: 0.8}\ndata: {use: cifar10}\n")
        loaded = load_recipe(str(top))
        assert loaded.source.values["optimizer"] == {"use": "sgd", "momentum": 0.8}
        assert loaded.source.values["data"] == {"use": "cifar10", "batch_size": 64}

    def test_the_same_component_keeps_its_settings(self, write):
        write(base=RECIPE)
        top = write(top="extends: base.yaml\noptimizer: {use: adam, lr: 0.1}\n")
        assert load_recipe(str(top)).source.values["optimizer"] == {"use": "adam", "lr": 0.1, "eps": 1e-7}


class TestOverrides:
    def test_dotted_keys_and_list_indices(self, write):
        path = write(r="a: {b: {c: 1}}\nlist: [{x: 1}, {x: 2}]\n")
        assert values(path, "a.b.c=2", "list.1.x=3") == {"a": {"b": {"c": 2}}, "list": [{"x": 1}, {"x": 3}]}

    def test_missing_sections_and_lists_are_made(self, write):
        path = write(r="a: 1\n")
        assert values(path, "b.c.d=2", "list.0.x=3", "list.1.x=4") == {
            "a": 1, "b": {"c": {"d": 2}}, "list": [{"x": 3}, {"x": 4}],
        }  # fmt: skip

    def test_values_are_yaml(self, write):
        path = write(r="a: 1\n")
        given = values(path, "f=1e-3", "n=null", "t=true", "s='5'", "l=[1, {x: 2}]", "e=", "q=a=b", "d=2020-01-01")
        assert given == {
            "a": 1, "f": 0.001, "n": None, "t": True, "s": "5", "l": [1, {"x": 2}], "e": None, "q": "a=b",
            "d": "2020-01-01",
        }  # fmt: skip

    def test_a_whole_section_is_replaced(self, write):
        assert values(write(r="a: {b: 1, c: 2}\n"), "a={d: 3}") == {"a": {"d": 3}}

    def test_the_last_one_counts(self, write):
        assert values(write(r="a: 1\n"), "a=2", "a=3") == {"a": 3}

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("train.epochs", '"train.epochs": an override is written key=value, for example train.epochs=5'),
            ("=3", '"=3": an override is written key=value, for example train.epochs=5'),
            ("a..b=3", '"a..b=3": an override is written key=value, for example train.epochs=5'),
            ("0.a=3", '"0.a=3": an override is written key=value, for example train.epochs=5'),
            ("\udcff=3", '"\udcff=3": an override is written key=value, for example train.epochs=5'),
            ("extends=x.yaml", "extends: belongs into the recipe's file and cannot be overridden"),
            ("plugins=[x]", "plugins: belongs into the recipe's file and cannot be overridden"),
            ("seed=[1", "seed: \"[1\" is not valid YAML: expected ',' or ']', but got '<stream end>'"),
            ("seed={1: 2}", 'seed: "{1: 2}" is not valid YAML: a key must be text, not 1'),
            ("seed={a: 1, a: 2}", "seed: \"{a: 1, a: 2}\" is not valid YAML: the key 'a' is given twice, first in line 1"),
            ("seed=!!set {a}", 'seed: "!!set {a}" is not valid YAML: a recipe has no tags such as !!set'),
            ("seed=${", 'seed: "${" is no valid interpolation; write ${train.epochs} or ${oc.env:NAME,default}'),
            ("seed=\x00", 'seed: "\\u0000" is not valid YAML: the character U+0000 is not allowed in it'),
            ("train.epochs.x=3", "train.epochs.x: train.epochs is 8, which has no settings of its own"),
            ("model.0=3", "model.0: model is a section, not a list: 0 is no setting of it"),
            ("analyzers.3.use=x", "analyzers.3.use: analyzers is a list and 3 is not in it; its entries are 0 to 1"),
            ("analyzers.-1.use=x", "analyzers.-1.use: analyzers is a list and '-1' is not in it; its entries are 0 to 1"),
            ("callbacks.1.use=x", "callbacks.1.use: callbacks is a list and 1 is not in it; it has no entries"),
            ("trian.epochs=3", "trian: unknown setting; did you mean 'train'?"),
            ("train.epochs=", "train.epochs: must be an integer, got null"),
        ],
    )  # fmt: skip
    def test_mistakes(self, write, override, message):
        assert errors(write(r=RECIPE), override) == [f"command line: {message}"]

    def test_all_mistakes_at_once(self, write):
        assert errors(write(r=RECIPE), "seed", "model.0=1", "train.epochs.x=1") == [
            'command line: "seed": an override is written key=value, for example train.epochs=5',
            "command line: model.0: model is a section, not a list: 0 is no setting of it",
            "command line: train.epochs.x: train.epochs is 8, which has no settings of its own",
        ]

    def test_a_list_grows_by_its_next_index(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["analyzers.2.use=misclassified", "analyzers.2.count=4"])
        assert [one.use for one in loaded.recipe.analyzers] == ["confusion", "correct", "misclassified"]


class TestSwap:
    def test_another_component_drops_its_siblings_and_says_so(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["optimizer.use=sgd"])
        assert loaded.source.values["optimizer"] == {"use": "sgd"}
        assert loaded.source.notes == ["optimizer.use: 'adam' became 'sgd', so lr, eps went with it"]

    @pytest.mark.parametrize("overrides", [["optimizer.use=sgd", "optimizer.lr=5"], ["optimizer.lr=5", "optimizer.use=sgd"]])  # fmt: skip
    def test_settings_of_the_new_one_stand_before_or_after(self, write, overrides):
        loaded = load_recipe(str(write(r=RECIPE)), overrides)
        assert loaded.source.values["optimizer"] == {"use": "sgd", "lr": 5}

    def test_the_hosts_own_keys_of_data_stay(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["data.use=cifar10"])
        assert loaded.source.values["data"] == {"use": "cifar10", "batch_size": 64}
        assert loaded.source.notes == []

    def test_the_same_component_changes_nothing(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["optimizer.use=adam"])
        assert loaded.source.values["optimizer"] == {"use": "adam", "lr": 0.001, "eps": 1e-7}
        assert loaded.source.notes == []

    def test_in_a_list(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["analyzers.1.use=curves"])
        assert loaded.source.values["analyzers"] == [{"use": "confusion"}, {"use": "curves"}]
        assert loaded.source.notes == ["analyzers.1.use: 'correct' became 'curves', so count went with it"]


class TestInterpolation:
    def test_keys_and_environment(self, write, monkeypatch):
        monkeypatch.setenv("PROBE_ROOT", "/data")
        monkeypatch.delenv("PROBE_NONE", raising=False)
        path = write(r="n: 3\na: ${n}\nb: {c: 'x${n}y', d: '${oc.env:PROBE_ROOT}', e: '${oc.env:PROBE_NONE,none}'}\n")
        assert values(path) == {"n": 3, "a": 3, "b": {"c": "x3y", "d": "/data", "e": "none"}}

    def test_it_sees_overrides(self, write):
        assert values(write(r="n: 3\na: ${n}\n"), "n=4") == {"n": 4, "a": 4}

    def test_a_whole_section(self, write):
        assert values(write(r="a: {x: 1}\nb: ${a}\n")) == {"a": {"x": 1}, "b": {"x": 1}}

    def test_dead_ends_all_at_once(self, write, monkeypatch):
        monkeypatch.delenv("PROBE_NONE", raising=False)
        text = "a: ${train.epoch}\nb:\n  - ${oc.env:PROBE_NONE}\n  - ${nosuch:1}\ntrain: {epochs: 1}\nc: ???\nd: ${c}\n"
        assert errors(write(r=text)) == [
            "r.yaml:1: a: cannot be resolved: Interpolation key 'train.epoch' not found; did you mean 'train.epochs'?",
            "r.yaml:3: b.0: cannot be resolved: Environment variable 'PROBE_NONE' not found",
            "r.yaml:4: b.1: cannot be resolved: Unsupported interpolation type nosuch",
            "r.yaml:6: c: must be given: ??? stands for a value that is still missing",
            "r.yaml:7: d: cannot be resolved: it leads to ???, a value that is still missing",
        ]

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("a: ${a}\n", ["r.yaml:1: a"]),
            ("x: 1\na: ${b}\nb: ${a}\n", ["r.yaml:2: a", "r.yaml:3: b"]),
            ("a:\n  b: ${a}\n", ["r.yaml:2: a.b"]),
            ("a:\n  b: ${c}\nc:\n  d: ${a}\n", ["r.yaml:2: a.b", "r.yaml:4: c.d"]),
        ],
    )
    def test_circles(self, write, text, lines):
        assert errors(write(r=text)) == [f"{line}: cannot be resolved: it leads back to itself" for line in lines]

    def test_one_that_is_badly_written(self, write):
        assert errors(write(r="a:\n  - x\n  - b: ${oc.env:A\n")) == [
            "r.yaml:3: a.1.b: is no valid interpolation; write ${train.epochs} or ${oc.env:NAME,default}"
        ]


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "r.yaml: is empty; a recipe has data, model, loss, optimizer, train"),
            ("# only a comment\n", "r.yaml: is empty; a recipe has data, model, loss, optimizer, train"),
            ("- a\n- b\n", "r.yaml:1: must be a mapping of settings (key: value)"),
            ("\n\njust text\n", "r.yaml:3: must be a mapping of settings (key: value)"),
            ("a: 1\nb: [1, 2\nc: 3\n", "r.yaml:3: is not valid YAML: expected ',' or ']', but got ':'"),
            ("a:\n\tb: 1\n", "r.yaml:2: is not valid YAML: found a tab, where only spaces indent, that cannot start any token"),
            ("a: 1\n---\nb: 1\n", "r.yaml:2: is not valid YAML: but found another document"),
            ("a: 1\nb: {c: 1,\n  c: 2}\n", "r.yaml:3: is not valid YAML: the key 'c' is given twice, first in line 2"),
            ("a: 1\n7: b\n", "r.yaml:2: is not valid YAML: a key must be text, not 7"),
            ("a: {no: b}\n", "r.yaml:1: is not valid YAML: a key must be text, not no"),
            ("a: 1\n1e3: b\n", "r.yaml:2: is not valid YAML: a key must be text, not 1e3"),
            ("? [a, b]\n: c\n", "r.yaml:1: is not valid YAML: a key must be text, not a sequence"),
            ("a: 1\nb: !!binary aGVsbG8=\n", "r.yaml:2: is not valid YAML: a recipe has no tags such as !!binary"),
            ("a: !!python/name:os.system\n", "r.yaml:1: is not valid YAML: a recipe has no tags such as !!python/name:os.system"),
            ("a: *nope\n", "r.yaml:1: is not valid YAML: found undefined alias 'nope'"),
            ("a: &a [*a]\n", "r.yaml:1: is not valid YAML: YAML recursive aliases are not supported."),
            ('a: 1\nb: "\\ud800"\n', "r.yaml:2: is not valid YAML: half of a surrogate pair is no character"),
            (b"a: 1\nb: \x07\n", "r.yaml:2: is not valid YAML: the character U+0007 is not allowed in it"),
            (b"\x89PNG\r\n\x1a\n\x00\xff", "r.yaml: is not a text file (UTF-8)"),
            ("a: " + "[" * 60 + "]" * 60, "r.yaml:1: is not valid YAML: more than 40 levels"),
            ("a: " + "{a: " * 5000, "r.yaml:1: is not valid YAML: more than 40 levels"),
            ("#" * (MAX_BYTES + 1), f"r.yaml: is larger than {MAX_BYTES:,} bytes: no recipe"),
        ],
        ids=lambda value: repr(value[:20]),
    )  # fmt: skip
    def test_what_is_no_recipe(self, write, text, message):
        assert errors(write(r=text)) == [message]

    def test_a_missing_file(self, write):
        write(r=RECIPE)
        assert errors("recipes/gone.yaml")[0].startswith("there is no recipe recipes/gone.yaml")
        assert errors(".") == [". is a folder; name a recipe in it"]

    def test_a_byte_order_mark_does_not_matter(self, write):
        assert load_recipe(str(write(r=b"\xef\xbb\xbf" + RECIPE.encode()))).recipe.name == "probe"

    def test_anchors_and_merge_keys(self, write):
        path = write(r="a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\nc: &c {<<: [*a, {z: 3}]}\nd: *c\n")
        assert values(path) == {
            "a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 1, "z": 3}, "d": {"x": 1, "y": 1, "z": 3},
        }  # fmt: skip

    @pytest.mark.parametrize(
        "link", ["a{n}: &a{n} [{refs}]\n", "a{n}: &a{n} {{x: [{refs}]}}\n", "a{n}: &a{n} {{<<: [{refs}], k{n}: 1}}\n"]
    )
    def test_an_alias_bomb_is_refused_at_once(self, write, link):
        text = "a0: &a0 {k: 1}\n" + "".join(link.format(n=n, refs=", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 12))
        start = time.monotonic()
        (line,) = errors(write(r=text))
        assert line.startswith("r.yaml:1: is not valid YAML: YAML node expansion exceeds")
        assert "http" not in line
        assert time.monotonic() - start < 5
