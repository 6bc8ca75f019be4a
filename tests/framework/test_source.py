"""From a recipe's file to values: extends, overrides, interpolation, and files that are no recipe."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import time
from pathlib import Path

import pytest

from frame import UserError
from frame.recipe.load import load_recipe, read_recipe
from frame.recipe.source import read_source
from frame.recipe.yaml_text import MAX_BYTES
from frame.training.build import data_root

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
    source = read_source(path, overrides, {"data": frozenset({"batch_size"})}, lambda name, base: base / name)
    source.resolve_interpolations()
    return source.values


def errors(path, *overrides) -> list[str]:
    with pytest.raises(UserError) as error:
        load_recipe(str(path), overrides)
    return str(error.value).splitlines()


def told(loaded) -> list[str]:
    return [str(warning) for warning in loaded.warnings]


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

    def test_a_file_name_of_any_length(self, write):
        (line,) = errors(write(top=f"extends: {'x' * 5000}\n"))
        assert line.startswith("top.yaml:1: extends: ")
        assert line.endswith("cannot be read: File name too long")

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

    def test_a_key_with_dots_is_an_override_in_the_file(self, write):
        write(base=RECIPE)
        top = write(
            top="""\
extends: base.yaml
optimizer.lr: 0.5
optimizer.use: sgd
analyzers.1.count: 4
analyzers.2: {use: misclassified}
analyzers.3.use: curves
model: {use: custom_resnet}
model.widths.0: 8
"""
        )
        loaded = load_recipe(str(top))
        assert loaded.source.values["optimizer"] == {"use": "sgd", "lr": 0.5}
        assert loaded.source.values["analyzers"] == [
            {"use": "confusion"}, {"use": "correct", "count": 4}, {"use": "misclassified"}, {"use": "curves"},
        ]  # fmt: skip
        assert loaded.recipe.model.component.widths == (8, 32, 64, 128)
        assert told(loaded) == []
        keys = (("optimizer", "lr"), ("analyzers", 1, "use"), ("analyzers", 2, "use"), ("analyzers", 3, "use"))
        assert [str(loaded.source.place(key)) for key in keys] == [
            "top.yaml:2", "base.yaml:11", "top.yaml:5", "top.yaml:6",
        ]  # fmt: skip

    def test_a_recipe_that_extends_one_with_such_keys_and_overrides_come_after_them(self, write):
        write(base="l: [1, 2]\n")
        write(middle="extends: base.yaml\nl.2: 3\nl.0: ${l.2}\n")
        top = write(top="extends: middle.yaml\nl.0: 5\nl.3: 6\n")
        assert values(top, "l.1=7", "l.4=8") == {"l": [5, 7, 3, 6, 8]}
        assert values(Path("middle.yaml")) == {"l": [3, 2, 3]}

    def test_a_key_that_holds_anchors_only(self, write):
        write(base="x-a: &a {x: 1}\nx-b.c: 2\na: *a\nb: *a\nb.y: 2\n")
        top = write(top="extends: base.yaml\nx-l: [&i 7, '${nowhere}']\nc: *i\n")
        assert values(top) == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": 7}
        given = errors(Path("top.yaml"), "x-a=1")
        assert any(line.startswith("command line: x-a: unknown setting") for line in given)

    def test_its_name_may_come_from_the_environment_and_from_home(self, write, monkeypatch):
        monkeypatch.setenv("HOME", str(Path.cwd()))
        monkeypatch.setenv("PROBE_BASE", "base")
        write(base="a: 1\n")
        top = write(top="extends: ${oc.env:PROBE_BASE}.yaml\n")
        assert values(top) == {"a": 1}
        write(top="extends: ~/base.yaml\n")
        assert read_recipe("top.yaml")[0].values == {"a": 1}
        write(top="extends: ${a}\na: base.yaml\n")
        assert errors(top) == [
            "top.yaml:1: extends: cannot be resolved: it takes environment variables only, as in ${oc.env:BASE}"
        ]
        write(top="extends: ${oc.env:PROBE_NONE}\n")
        assert errors(top) == [
            "top.yaml:1: extends: cannot be resolved: Environment variable 'PROBE_NONE' not found; set it, or write ${oc.env:PROBE_NONE,a default}"
        ]
        write(top="extends: base\n")
        assert errors(top) == ["top.yaml:1: extends: there is no recipe base; did you mean 'base.yaml'?"]


@pytest.mark.parametrize(
    ("root", "leads"), [("~/data", "HOME/data"), ("~", "HOME"), ("~nobody-here/x", "~nobody-here/x")]
)
def test_a_data_root_in_the_home_folder(write, monkeypatch, root, leads):
    monkeypatch.setenv("HOME", "/home/probe")
    recipe = load_recipe(str(write(r=RECIPE)), [f"data.root='{root}'"]).recipe
    assert str(data_root(recipe)) == leads.replace("HOME", "/home/probe")
    assert recipe.data.root == root


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

    def test_a_list_grows_by_its_next_index(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["analyzers.2.use=misclassified", "analyzers.2.count=4"])
        assert [one.use for one in loaded.recipe.analyzers] == ["confusion", "correct", "misclassified"]

    def test_a_component_is_changed_before_its_settings_and_after_its_entry(self, write):
        path = write(r="l: [{use: a, x: 1}]\n")
        given = values(path, "l.0.x=2", "l.0.use=b", "l.1={use: c}", "l.2.use=d", "l.1.use=e", "l.2.use=f")
        assert given == {"l": [{"use": "b", "x": 2}, {"use": "e"}, {"use": "f"}]}


class TestSwap:
    def test_another_component_drops_its_siblings_and_says_so(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["optimizer.use=sgd"])
        assert loaded.source.values["optimizer"] == {"use": "sgd"}
        assert told(loaded) == ["command line: optimizer.use: 'adam' became 'sgd', so lr, eps went with it"]

    @pytest.mark.parametrize("overrides", [["optimizer.use=sgd", "optimizer.lr=5"], ["optimizer.lr=5", "optimizer.use=sgd"]])  # fmt: skip
    def test_settings_of_the_new_one_stand_before_or_after(self, write, overrides):
        loaded = load_recipe(str(write(r=RECIPE)), overrides)
        assert loaded.source.values["optimizer"] == {"use": "sgd", "lr": 5}

    def test_the_hosts_own_keys_of_data_stay(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["data.use=cifar10"])
        assert loaded.source.values["data"] == {"use": "cifar10", "batch_size": 64}
        assert told(loaded) == []

    def test_the_same_component_changes_nothing(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["optimizer.use=adam"])
        assert loaded.source.values["optimizer"] == {"use": "adam", "lr": 0.001, "eps": 1e-7}
        assert told(loaded) == []

    def test_in_a_list(self, write):
        loaded = load_recipe(str(write(r=RECIPE)), ["analyzers.1.use=curves"])
        assert loaded.source.values["analyzers"] == [{"use": "confusion"}, {"use": "curves"}]
        assert told(loaded) == ["command line: analyzers.1.use: 'correct' became 'curves', so count went with it"]


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

    def test_a_dollar_and_a_brace_that_are_meant(self, write):
        path = write(r='a: \\${n}${b}\nb: x\\${n}\nc: ${a}${d.0}\nd: ["${b}"]\ne: \\\\${n}\nn: 3\n')
        assert values(path) == {
            "a": "${n}x${n}",
            "b": "x${n}",
            "c": "${n}x${n}x${n}",
            "d": ["x${n}"],
            "e": "\\3",
            "n": 3,
        }

    def test_what_leads_on_from_either_side(self, write):
        links = [f"k{n}: ${{k{n + 1}}}\n" for n in range(200)]
        assert set(values(write(r="".join(links) + "k200: 7\n")).values()) == {7}
        assert set(values(write(r="k200: 7\n" + "".join(reversed(links)))).values()) == {7}

    def test_what_leads_to_too_many_others_in_no_order(self, write):
        order = [n * 97 % 160 for n in range(160)]
        text = "".join(f"k{n}: ${{k{n + 1}}}\n" for n in order) + "k160: 7\n"
        start = time.monotonic()
        lines = errors(write(r=text))
        assert lines
        assert all(line.endswith("the values it leads to lead on to too many others") for line in lines)
        assert time.monotonic() - start < 60

    def test_dead_ends_all_at_once(self, write, monkeypatch):
        monkeypatch.delenv("PROBE_NONE", raising=False)
        text = "a: ${train.epoch}\nb:\n  - ${oc.env:PROBE_NONE}\n  - ${nosuch:1}\ntrain: {epochs: 1}\nc: ???\nd: ${c}\n"
        assert errors(write(r=text)) == [
            "r.yaml:1: a: cannot be resolved: there is no key 'train.epoch'; did you mean 'train.epochs'?",
            "r.yaml:3: b.0: cannot be resolved: Environment variable 'PROBE_NONE' not found; set it, or write ${oc.env:PROBE_NONE,a default}",
            "r.yaml:4: b.1: cannot be resolved: Unsupported interpolation type nosuch; write ${train.epochs} or ${oc.env:NAME,default}",
            "r.yaml:6: c: must be given: ??? stands for a value that is still missing",
            "r.yaml:7: d: cannot be resolved: it leads to ???, a value that is still missing",
        ]


class TestDefaults:
    """`${...}` reaches what is not written: the defaults of the host and of the components that are named."""

    REST = "data: {use: digits}\nmodel: {use: custom_resnet}\nloss: {use: cross_entropy}\n"

    def test_of_the_host_and_of_components(self, write):
        text = (
            self.REST
            + """\
name: p${seed}-${data.batch_size}
optimizer: {use: sgd, lr: "${.momentum}", weight_decay: "${scheduler.final_lr}"}
scheduler: {use: cosine}
train: {epochs: "${checkpoint.every_epochs}", clip_grad_norm: "${data.validation}"}
checkpoint: {every_minutes: "${analyzers[1].time_limit_s}"}
analyzers: [{use: confusion}, {use: correct}]
"""
        )
        recipe = load_recipe(str(write(r=text))).recipe
        optimizer, scheduler, correct = recipe.optimizer.component, recipe.scheduler.component, recipe.analyzers[1]
        assert (recipe.name, recipe.train.epochs, recipe.train.clip_grad_norm) == ("p0-128", 1, None)
        assert (optimizer.lr, optimizer.weight_decay) == (optimizer.momentum, scheduler.final_lr)
        assert recipe.checkpoint.every_minutes == correct.component.time_limit_s

    def test_what_is_written_chooses_the_component_whose_default_it_is(self, write, monkeypatch):
        monkeypatch.delenv("PROBE_OPTIMIZER", raising=False)
        text = (
            self.REST
            + """\
optimizer: {use: "${oc.env:PROBE_OPTIMIZER,adam}", lr: 0.5}
train: {epochs: 1}
callbacks: [{use: ema, decay: "${optimizer.betas.1}"}]
"""
        )
        assert load_recipe(str(write(r=text))).recipe.callbacks[0].component.decay == 0.999
        monkeypatch.setenv("PROBE_OPTIMIZER", "sgd")
        (line,) = errors("r.yaml")
        assert line.startswith("r.yaml:6: callbacks.0.decay: cannot be resolved: there is no key 'optimizer.betas.1'")

    def test_what_is_written_goes_before_a_default_and_a_fallback_keeps_its_meaning(self, write):
        text = (
            self.REST
            + """\
optimizer: {use: adam}
train:
  epochs: 1
  log_every: ${oc.select:data.batch_size,7}
  accumulate: ${oc.select:data.batch_size,${data.eval_batch_size}}
"""
        )
        train = load_recipe(str(write(r=text))).recipe.train
        assert (train.log_every, train.accumulate) == (7, 500)
        train = load_recipe("r.yaml", ["data.batch_size=64"]).recipe.train
        assert (train.log_every, train.accumulate) == (64, 64)

    def test_auto_stays_auto(self, write):
        text = (
            self.REST
            + """\
optimizer: {use: sgd, lr: "${scheduler.max_lr}"}
scheduler: {use: one_cycle}
lr_finder: {use: lr_range_test}
train: {epochs: 1, device: "${train.precision}"}
"""
        )
        recipe = load_recipe(str(write(r=text))).recipe
        assert (recipe.optimizer.component.lr, recipe.train.device) == ("auto", "auto")

    def test_an_escaped_one_is_text(self, write):
        text = "a: \\${data.batch_size}\nb: \\\\${data.batch_size}\n"
        source = read_source(write(r=text), (), {}, lambda name, base: base / name)
        source.resolve_interpolations(lambda written: {("data", "batch_size"): 128})
        assert source.values == {"a": "${data.batch_size}", "b": "\\128"}
        assert source.reached == {("b",): (("data", "batch_size"),)}

    def test_a_section_is_what_is_written_of_it(self, write):
        source = read_source(
            write(r="a: ${s}\nb: ${s.y}\ns: {x: '${s.y}'}\ndefaults: 3\n"), (), {}, lambda name, base: base / name
        )
        source.resolve_interpolations(lambda written: {("s", "y"): "${z}"})
        assert source.values == {"a": {"x": "${z}"}, "b": "${z}", "s": {"x": "${z}"}, "defaults": 3}

    def test_dead_ends_know_the_defaults(self, write):
        text = (
            self.REST
            + """\
optimizer: {use: "${train.precision}", lr: "${data.batch_sise}"}
train: {epochs: "${data.${name}}", log_every: "${.log_evry}"}
name: workers
"""
        )
        assert errors(write(r=text)) == [
            "r.yaml:4: optimizer.use: cannot be resolved: train.precision has its default; `use` needs a value that is written",
            "r.yaml:4: optimizer.lr: cannot be resolved: there is no key 'data.batch_sise'; did you mean 'data.batch_size'?",
            "r.yaml:5: train.epochs: cannot be resolved: data.workers has its default; write the whole key, as in ${train.epochs}",
            "r.yaml:5: train.log_every: cannot be resolved: there is no key 'train.log_evry'; did you mean 'train.log_every'?",
        ]


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: " + "[" * 60 + "]" * 60, "r.yaml:1: is not valid YAML: more than 40 levels"),
            ("a: " + "{a: " * 5000, "r.yaml:1: is not valid YAML: more than 40 levels"),
            ("#" * (MAX_BYTES + 1), f"r.yaml: is larger than {MAX_BYTES:,} bytes: no recipe"),
        ],
        ids=["nested", "nested without an end", "large"],
    )
    def test_what_is_too_much(self, write, text, message):
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
        assert time.monotonic() - start < 60
