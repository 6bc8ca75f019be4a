"""Plugins: how they are found, what they may offer, and what a broken one takes down."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import frame
from conftest import clean_environment, on_path
from fakes import launching
from fakes.distributions import install_distribution, model, plugin
from fakes.recipes import MINIMAL as RECIPE
from frame import UserError
from frame.api.hookspecs import CHANGES
from frame.plugins.load import load_plugins
from frame.recipe.load import load_recipe

HOOK = "from frame import hookimpl\n@hookimpl"
RIGHT = "write @frame.hookimpl def frame_components() -> dict[str, type[Component]]"
REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "tests" / "sample_plugin"
FRAME = f"frame-train {frame.__version__}"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution of one module, and forget it at the end."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def install(distribution: str, text: str, name: str | None = None) -> Path:
        return install_distribution(site, distribution, text, name)

    yield install
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error(recipe: str | Path) -> str:
    with pytest.raises(UserError) as raised:
        load_recipe(str(recipe))
    assert raised.value.exit_code == 2
    return str(raised.value)


class TestInstalled:
    def test_the_built_in_ones_come_by_entry_points_like_all_others(self):
        plugins = load_plugins()
        declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["entry-points"][
            "frame.plugins"
        ]
        assert plugins.errors == []
        assert plugins.origins == dict.fromkeys(sorted(declared), FRAME)
        assert {"quickstart", "s10_resnet", "s10_resnet_original"} <= set(plugins.recipes)
        assert all(list(registry) for registry in plugins.registries), "a kind without a built-in component"

    def test_some_can_be_turned_off(self, monkeypatch):
        monkeypatch.setenv("FRAME_DISABLE_PLUGINS", "digits, wandb_tracker, tensorboard_tracker, mlflow_tracker")
        plugins = load_plugins()
        assert not {"digits", "wandb_tracker", "tensorboard_tracker"} & set(plugins.origins)
        assert "digits" not in plugins.registries["dataset"]
        assert list(plugins.registries["tracker"]) == []

    def test_one_more(self, install):
        install("some-models", model("some_net"))
        plugins = load_plugins()
        entry = plugins.registries["model"].entries["some_net"]
        assert (entry.component.__name__, entry.origin, entry.plugin) == ("Mine", "some-models 0.3", "some_models")

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("import os\n\nraise RuntimeError('no luck')\n", "RuntimeError: no luck ({file}:3)"),
            ("import nothing_like_this\n", "ModuleNotFoundError: No module named 'nothing_like_this' ({file}:1)"),
            ("def broken(:\n", "SyntaxError: invalid syntax ({file}:1)"),
            ("raise SystemExit('bye')\n", "SystemExit: bye ({file}:1)"),
            (plugin("def fail():\n    raise UserError('no licence')", "fail()"), "UserError: no licence ({file}:5)"),
        ],
        ids=["raises", "import", "syntax", "exit", "hook"],
    )  # fmt: skip
    def test_a_broken_one_is_named_and_takes_nothing_down(self, install, text, cause):
        file = install("broken-dist", text)
        plugins = load_plugins()
        (failure,) = plugins.errors
        assert str(failure) == f"plugin 'broken_dist' of broken-dist 0.3 failed to load: {cause.format(file=file)}"
        assert failure.traceback.startswith("Traceback (most recent call last):")
        assert "digits" in plugins.registries["dataset"]
        assert "broken_dist" not in plugins.origins

    def test_the_command_line_says_so(self, install, cli, here):
        file = install("broken-cli", "import os\n\nraise RuntimeError('no luck')\n")
        told = f"plugin 'broken_cli' of broken-cli 0.3 failed to load: RuntimeError: no luck ({file}:3)\n"
        everything = cli("list")
        assert (everything.code, everything.err) == (0, told)
        assert "custom_resnet" in everything.out

        pointed = cli("list", "plugins")
        assert (pointed.code, pointed.err) == (2, "error: plugins have a list of their own: frame plugin list\n")

        (here / "good.yaml").write_text(RECIPE)
        assert cli("validate", "good.yaml").err == f"warning: {told}"

        (here / "needs_it.yaml").write_text(RECIPE.replace("custom_resnet", "its_model"))
        result = cli("validate", "needs_it.yaml")
        assert result.code == 2
        assert result.err == (
            "error: needs_it.yaml:2: model.use: unknown model 'its_model'; "
            "there is custom_resnet, torchvision, whitened_convnet; " + told
        )

    def test_two_that_offer_the_same_are_refused_by_name(self, install, cli, monkeypatch):
        install("first-dist", model("same_net"))
        install("second-dist", model("same_net"))
        result = cli("list")
        assert result.code == 2
        assert result.err == (
            "error: two plugins offer the model 'same_net': 'first_dist' of first-dist 0.3 and 'second_dist' of "
            "second-dist 0.3; uninstall one, or turn one off: FRAME_DISABLE_PLUGINS=second_dist\n"
        )
        monkeypatch.setenv("FRAME_DISABLE_PLUGINS", "second_dist")
        assert load_plugins().registries["model"].entries["same_net"].origin == "first-dist 0.3"

    def test_a_name_of_frames_own_is_no_exception(self, install):
        install(
            "other-digits", plugin("class Mine(DatasetComponent):\n    def build(self, root): ...", "{'digits': Mine}")
        )
        with pytest.raises(
            UserError, match=rf"the dataset 'digits': 'digits' of {FRAME} and 'other_digits' of other-di"
        ):
            load_plugins()

    def test_a_recipe_that_extends_what_a_variable_names_is_copied_as_it_is(self, install, cli, tmp_path):
        (tmp_path / "recipes").mkdir()
        (tmp_path / "recipes/mine.yaml").write_text("extends: ${oc.env:PROBE_BASE,quickstart}\n")
        install("its-recipes", f"{HOOK}\ndef frame_recipes(): return {str(tmp_path / 'recipes')!r}\n")
        assert cli("init", "mine").code == 0
        assert (tmp_path / "mine.yaml").read_text().endswith("\nextends: ${oc.env:PROBE_BASE,quickstart}\n")
        assert cli("validate", "mine.yaml").out == "mine.yaml: ok\n"

    def test_plugins_of_one_name_from_two_distributions_both_count(self, install):
        install("name-sake", model("name_sake_net"), name="digits")
        plugins = load_plugins()
        assert plugins.errors == []
        assert "name_sake_net" in plugins.registries["model"]
        assert "digits" in plugins.registries["dataset"]

    def test_two_recipes_of_one_name(self, install, tmp_path):
        (tmp_path / "quickstart.yaml").touch()
        install(
            "other-recipes",
            f"from frame import hookimpl\n@hookimpl\ndef frame_recipes():\n    return {str(tmp_path)!r}\n",
        )
        with pytest.raises(UserError) as raised:
            load_plugins()
        assert str(raised.value) == (
            f"two plugins offer the recipe 'quickstart': 'other_recipes' of other-recipes 0.3 and 'shipped_recipes' of "
            f"{FRAME}; uninstall one, or turn one off: FRAME_DISABLE_PLUGINS=other_recipes"
        )

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("", "it offers nothing: none of its functions frame_components, frame_recipes is marked @frame.hookimpl"),
            ("from frame import hookimpl\n@hookimpl\ndef frame_component(): ...", "there is no hook frame_component(); did you mean 'frame_components'?"),
            (plugin("", "['a']"), "frame_components() returned ['a'], not a dict of components by name"),
            (plugin("", "None"), "frame_components() returned None, not a dict of components by name"),
            (plugin("Mine = 3"), "'NAME' is 3, not a component class"),
            (plugin("class Mine: ..."), "'NAME' is the class Mine, which derives from no kind's base (ModelComponent, ...)"),
            (plugin("class Mine(Component): ..."), "'NAME' is the class Mine, which derives from no kind's base (ModelComponent, ...)"),
            (plugin("class Mine(ModelComponent): ..."), "'NAME' is the class Mine, which lacks build()"),
            (plugin("class Mine(TransformComponent): ..."), "'NAME' is the class Mine, which derives from neither SampleTransform nor BatchTransform"),
            ("from frame import hookimpl\n@hookimpl\ndef frame_recipes(): return '/no/such/folder'", "frame_recipes() returned /no/such/folder, which is no folder"),
            ("def frame_components(): return {}", "its function frame_components() is no hook: put @frame.hookimpl above it"),
            (plugin("def frame_recipes(): ...", "{}"), "its function frame_recipes() is no hook: put @frame.hookimpl above it"),
            (f"{HOOK}\ndef frame_components(config, more=1): ...", f"its hook frame_components(config, more=1) asks for what frame does not give; {RIGHT}"),
            (f"{HOOK}\ndef frame_components(*, config): ...", f"its hook frame_components(*, config) asks for what frame does not give; {RIGHT}"),
            (f"{HOOK}(wrapper=True)\ndef frame_components(): yield", f"its hook frame_components() is a wrapper, and there is nothing to wrap; {RIGHT}"),
            (f"{HOOK}(wrapper=True)\ndef frame_components(): ...", "Declared as wrapper=True or hookwrapper=True but function is not a generator function"),
            (f"{HOOK}\ndef frame_components(): return {{}}\n@hookimpl(specname='frame_components')\ndef more(): return {{}}", "several of its functions are the hook frame_components(); one returns all"),
        ],
        ids=["nothing", "no hook", "list", "none", "value", "class", "no kind", "abstract", "transform", "folder", "unmarked", "one unmarked", "argument", "keyword", "wrapper", "no generator", "twice"],
    )  # fmt: skip
    def test_what_cannot_be_offered(self, install, text, cause):
        install("odd-offer", text)
        plugins = load_plugins()
        assert [failure.cause for failure in plugins.errors] == [cause]
        assert "NAME" not in plugins.registries["model"]


class TestStrict:
    """`frame --strict-plugins`, or FRAME_STRICT_PLUGINS=1."""

    def test_every_load_error_is_fatal_with_its_cause(self, install, cli):
        file = install("broken-one", "raise RuntimeError('no luck')\n")
        install("broken-two", "")
        result = cli("--strict-plugins", "list", "models")
        assert (result.code, result.out) == (2, "")
        assert result.err == (
            f"error: plugin 'broken_one' of broken-one 0.3 failed to load: RuntimeError: no luck ({file}:1)\n"
            "error: plugin 'broken_two' of broken-two 0.3 failed to load: it offers nothing: none of its functions frame_components, frame_recipes is marked @frame.hookimpl\n"
        )
        assert "FRAME_STRICT_PLUGINS" not in os.environ
        assert cli("list", "models").code == 0

    @pytest.mark.parametrize(("value", "code"), [("1", 2), ("0", 0), ("", 0)])
    def test_by_the_environment(self, install, frame, tmp_path, value, code):
        install("broken-env", "raise RuntimeError('no luck')\n")
        environment = {**on_path(tmp_path / "site"), "FRAME_STRICT_PLUGINS": value}
        assert frame("list", "models", env=environment).returncode == code

    def test_nothing_changes_where_all_load(self, cli):
        strict, lax = cli("--strict-plugins", "validate", "quickstart"), cli("validate", "quickstart")
        assert strict == lax
        assert strict.code == 0


class TestApiVersion:
    NEW = "{file} was written for plugin API 3, and this frame has plugin API 2; upgrade frame"
    OLD = (
        "{file} was written for plugin API 1, and this frame has plugin API 2; what was renamed stands in "
        "docs/plugins.md, 'From version 1 to 2': change it, or look for a newer version of the plugin"
    )

    @pytest.mark.parametrize("declared", ["", "FRAME_API = 2\n"])
    def test_its_own_or_none_at_all_is_accepted(self, install, declared):
        install("fitting-api", declared + model("fitting_net"))
        plugins = load_plugins()
        assert plugins.errors == []
        (offer,) = [offer for offer in plugins.offers if offer.plugin == "fitting_api"]
        assert offer.api == (2 if declared else None)

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("FRAME_API = 3\n" + model("late_net"), NEW),
            ("FRAME_API = 1\n" + model("late_net"), OLD),
            ("FRAME_API = '2'\n" + model("late_net"), "its FRAME_API is '2', not a whole number: FRAME_API = 2"),
            (
                "from frame import gone_since\n\nFRAME_API: int = 1\n",
                f"{OLD}: ImportError: cannot import name 'gone_since' from 'frame' ({frame.__file__}) ({{file}}:1)",
            ),
            ("import nothing\n\nFRAME_API = 2\n", "ModuleNotFoundError: No module named 'nothing' ({file}:1)"),
        ],
        ids=["newer", "older", "text", "does not get so far", "another reason"],
    )
    def test_another_one_is_named_with_both_versions(self, install, text, cause):
        file = install("other-api", text)
        plugins = load_plugins()
        assert [failure.cause for failure in plugins.errors] == [cause.format(file=file)]
        assert "late_net" not in plugins.registries["model"]

    def test_a_recipe_that_names_an_older_one_stops_with_exit_code_2(self, cli, tmp_path):
        (tmp_path / "mine.py").write_text("FRAME_API = 1\n" + model("mine_net"))
        (tmp_path / "r.yaml").write_text(f"{RECIPE}plugins: [./mine.py]\n")
        result = cli("run", "r.yaml")
        assert (result.code, result.out) == (2, "")
        said = self.OLD.format(file="mine.py")
        assert result.err == f"error: r.yaml:6: plugins: plugin './mine.py' failed to load: {said}\n"

    def test_what_the_message_points_to_is_there(self):
        page, _, heading = CHANGES.partition(", ")
        text = (REPOSITORY / page).read_text()
        assert f"\n#### {heading[1:-1]}\n" in text


class TestNamedByTheRecipe:
    def test_a_file_beside_it(self, here):
        (here / "mine.py").write_text(model("mine_net"))
        (here / "r.yaml").write_text("plugins: [./mine.py]\n" + RECIPE.replace("custom_resnet", "mine_net"))
        loaded = load_recipe("r.yaml")
        assert type(loaded.recipe.model.component).__name__ == "Mine"
        assert loaded.plugins.registries["model"].entries["mine_net"].origin == str(here / "mine.py")

    def test_files_are_found_from_the_recipe_that_names_them(self, here):
        for folder in ("base", "top"):
            (here / folder).mkdir()
            (here / folder / "mine.py").write_text(model(f"{folder}_net"))
        (here / "base/r.yaml").write_text("plugins: [./mine.py, ../top/mine.py]\n" + RECIPE)
        (here / "top/r.yaml").write_text("extends: ../base/r.yaml\nplugins: [./mine.py]\nmodel: {use: base_net}\n")
        models = load_recipe("top/r.yaml").plugins.registries["model"]
        assert {"base_net", "top_net"} <= set(models)

    def test_a_module(self, here, monkeypatch):
        (here / "named_module.py").write_text(model("module_net"))
        monkeypatch.syspath_prepend(here)
        (here / "r.yaml").write_text("plugins: [named_module]\n" + RECIPE.replace("custom_resnet", "module_net"))
        assert load_recipe("r.yaml").recipe.model.use == "module_net"

    def test_an_installed_one_does_not_clash_with_itself(self, here):
        (here / "r.yaml").write_text("plugins: [frame_plugins.data.digits]\n" + RECIPE)
        assert load_recipe("r.yaml").recipe.dataset.use == "digits"

    def test_it_can_be_turned_off(self, here, monkeypatch):
        monkeypatch.setenv("FRAME_DISABLE_PLUGINS", "./mine.py")
        (here / "mine.py").write_text("raise RuntimeError")
        (here / "r.yaml").write_text("plugins: [./mine.py]\n" + RECIPE)
        loaded = load_recipe("r.yaml")
        assert loaded.recipe.plugins == ()
        message = "'./mine.py' is turned off by FRAME_DISABLE_PLUGINS, and no part of the run"
        assert [str(warning) for warning in loaded.warnings] == [f"r.yaml:1: plugins: {message}"]

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) ({file}:2)"),
            ("x = 1\nif x\n", "SyntaxError: expected ':' ({file}:2)"),
            ("import nothing_like_this\n", "ModuleNotFoundError: No module named 'nothing_like_this' ({file}:1)"),
            ("raise SystemExit\n", "SystemExit ({file}:1)"),
            ("x = 1\n", "it offers nothing: none of its functions frame_components, frame_recipes is marked @frame.hookimpl"),
            (plugin("class Mine(ModelComponent): ..."), "'NAME' is the class Mine, which lacks build()"),
            (None, "there is no file {file}"),
        ],
        ids=["raises", "syntax", "import", "exit", "nothing", "abstract", "missing"],
    )  # fmt: skip
    def test_a_bad_file_stops_with_its_place_and_the_recipes(self, here, cli, text, cause):
        file = here / "bad.py"
        if text is not None:
            file.write_text(text)
        (here / "r.yaml").write_text(f"{RECIPE}plugins:\n  - ./bad.py\n")
        result = cli("validate", "r.yaml")
        assert result.code == 2
        assert result.err == f"error: r.yaml:7: plugins: plugin './bad.py' failed to load: {cause.format(file=file)}\n"

    def test_one_that_offers_what_there_is(self, here):
        file = here / "twice.py"
        file.write_text(plugin("class Mine(DatasetComponent):\n    def build(self, root): ...", "{'digits': Mine}"))
        (here / "r.yaml").write_text(f"{RECIPE}plugins: [./twice.py]\n")
        assert error("r.yaml") == (
            f"r.yaml:6: plugins: two plugins offer the dataset 'digits': 'digits' of {FRAME} and './twice.py' of {file}; "
            "rename yours in ./twice.py"
        )

    def test_an_installed_one_that_failed_is_not_taken_for_loaded(self, install, here):
        install("fails-twice", plugin("class Mine(ModelComponent): ..."))
        (here / "r.yaml").write_text(f"{RECIPE}plugins: [fails_twice]\n")
        assert error("r.yaml") == (
            "r.yaml:6: plugins: plugin 'fails_twice' failed to load: 'NAME' is the class Mine, which lacks build()"
        )

    def test_a_recipe_of_its_name_is_offered_twice(self, here, install):
        (here / "recipes").mkdir()
        (here / "recipes/mine.yaml").write_text(RECIPE)
        text = f"{HOOK}\ndef frame_recipes(): return {str(here / 'recipes')!r}\n"
        install("its-recipes", text)
        (here / "again.py").write_text(text)
        (here / "r.yaml").write_text(f"{RECIPE}plugins: [./again.py]\n")
        assert error("r.yaml") == (
            "r.yaml:6: plugins: two plugins offer the recipe 'mine': 'its_recipes' of its-recipes 0.3 and './again.py' "
            f"of {here / 'again.py'}; rename yours in ./again.py"
        )

    def test_a_missing_module(self, here):
        (here / "r.yaml").write_text(f"{RECIPE}plugins: [nothing_like_this]\n")
        assert error("r.yaml") == (
            "r.yaml:6: plugins: plugin 'nothing_like_this' failed to load: there is no such module; install it, or name a "
            "file: ./my_plugin.py"
        )


def test_a_third_partys_package_is_installed_and_used(tmp_path):
    target = tmp_path / "target"
    command = [
        "uv",
        "pip",
        "install",
        "--python",
        sys.executable,
        "--target",
        target,
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "--offline", "--no-cache", SAMPLE], check=True, capture_output=True)
    environment = clean_environment(tmp_path) | on_path(target)

    shown = launching.run(["show", "analyzer/predicted_classes"], tmp_path, environment)
    assert shown.stdout.startswith(
        "analyzer/predicted_classes  from frame-sample 1.2.3\n\nHow often each class was predicted"
    )
    assert "  at_least: integer >= 0 = 0\n      Leave out classes that were predicted less often.\n" in shown.stdout

    result = launching.run(["run", "sample", "model.width=6"], tmp_path, environment)
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "runs" / "sample").iterdir()
    assert "use: tiny_cnn" in (run / "recipe.resolved.yaml").read_text()
    assert json.loads((run / "environment.json").read_text())["plugins"]["sample"] == "frame-sample 1.2.3"
    assert json.loads((run / "run.json").read_text())["state"] == "finished"
    lines = (run / "analysis/predicted_classes/counts.csv").read_text().splitlines()
    assert lines[0] == "class,predicted,images"
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == 360
    assert "Predicted classes" in (run / "report.html").read_text()
