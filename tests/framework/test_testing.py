"""The contract tests find what is broken, say what to do, and run under pytest and from the command line."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest

from fakes import launching
from fakes.broken import BROKEN
from frame import DatasetComponent, DataSplits, TrackerComponent, UserError
from frame.plugins.registry import OWN
from frame.testing import (
    CONTRACTS,
    ComponentContract,
    DatasetContract,
    LossContract,
    ModelContract,
    checks,
    contract_of,
    run_check,
)
from frame.testing.examples import CLASSES, random_split
from frame_plugins.models.custom_resnet import CustomResNet

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "tests" / "sample_plugin"
LISTING = "test_listing_it_imports_nothing_slow"


@pytest.mark.parametrize(("check", "says", "component"), BROKEN, ids=[f"{one[0]}-{one[1]}" for one in BROKEN])
def test_a_broken_component_is_told_what_to_do(check, says, component):
    outcome = run_check(contract_of(component), f"test_{check}")
    assert outcome.result == "failed"
    assert says in outcome.message


def test_every_check_finds_a_broken_component():
    found = {(contract_of(component).__mro__[1], f"test_{check}") for check, _, component in BROKEN}
    shared = set(checks(ComponentContract))
    assert shared - {check for _, check in found} == {LISTING}  # below: it takes files
    needs_curves = "test_keeps_one_statistic_under_one_name"  # below
    for contract in CONTRACTS:
        assert set(checks(contract)) - shared - {needs_curves} <= {check for one, check in found if one is contract}


class Mixing(TrackerComponent):
    """Draws steps and epochs as one curve."""

    def build(self, run):
        file = run.folder / "curves.json"
        curves = {}

        def log(metrics, epoch, step):
            for name, value in metrics.items():
                curves.setdefault(name.removesuffix("_step"), []).append(value)
            file.write_text(json.dumps(curves))

        return SimpleNamespace(log=log, log_result=lambda name, result: None, finish=lambda status: None)


def test_a_tracker_that_mixes_steps_and_epochs_is_found_by_what_it_keeps():
    def curves(contract, folder):
        return json.loads((folder / "curves.json").read_text())

    outcome = run_check(contract_of(Mixing, curves=curves), "test_keeps_one_statistic_under_one_name")
    assert outcome.result == "failed"
    assert "Mixing keeps [2.5, 1.5, 2.0, 0.5, 1.0] under train/loss, where [2.0, 1.0] was logged" in outcome.message


MODEL = """\
{imports}
from pydantic import Field
from frame import ModelComponent, hookimpl

class Tiny(ModelComponent):
    \"\"\"A linear layer on all pixels.\"\"\"

    hidden: int{default}
    \"\"\"Values between its two layers.\"\"\"

    def build(self, data):
        from torch import nn

        height, width, channels = data.shape
        layers = [nn.Flatten(), nn.Linear(height * width * channels, self.hidden), nn.Linear(self.hidden, {classes})]
        return nn.Sequential(*layers)

@hookimpl
def frame_components():
    return {{"tiny": Tiny}}
"""


def tiny(imports: str = "", default: str = " = 4", classes: str = "data.num_classes") -> str:
    return MODEL.format(imports=imports, default=default, classes=classes)


@pytest.fixture
def plugin(tmp_path):
    """Write a single-file plugin beside which the commands run."""

    def write(text: str, name: str = "mine.py") -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return f"./{name}"

    return write


class TestUnderPytest:
    def test_one_line_is_enough(self, plugin, tmp_path):
        plugin(tiny())
        plugin(tiny(classes="7"), "wrong.py")
        plugin(
            dedent("""\
            from mine import Tiny
            from wrong import Tiny as Wrong

            from frame.testing import ModelContract

            class TestTiny(ModelContract):
                component = Tiny

            class TestWide(TestTiny):
                settings = {"hidden": 64}
                image_shape = (28, 28, 1)

            class TestWrong(ModelContract):
                component = Wrong
            """),
            "test_mine.py",
        )
        arguments = ["-q", "-n", "0", "-p", "no:cacheprovider", "--tb=line", "."]
        done = launching.run(arguments, tmp_path, one_thread(), module="pytest")
        count = len(checks(ModelContract))
        assert f"1 failed, {3 * count - 1} passed" in done.stdout, done.stdout
        assert "logits are (1, 7), not (1, 10); size the last layer by data.num_classes" in done.stdout

    def test_frame_does_not_need_it(self):
        sources = (REPOSITORY / "framework" / "frame").rglob("*.py")
        assert [file for file in sources if re.search("^ *(import|from) pytest", file.read_text(), re.MULTILINE)] == []


class TestContracts:
    def test_without_a_component(self):
        with pytest.raises(AssertionError, match="ModelContract names no component: write `component = MyComponent`"):
            ModelContract().test_builds()

    def test_of_another_kind(self):
        contract = type("TestNet", (LossContract,), {"component": CustomResNet})
        with pytest.raises(AssertionError, match=r"checks a LossComponent, which .* take the contract of its kind"):
            contract().test_builds()

    def test_what_follows_from_a_failed_build_is_skipped(self, cli, recipe_file):
        text = """
from frame import ModelComponent, hookimpl

class Broken(ModelComponent):
    \"\"\"Cannot be built.\"\"\"

    def build(self, data):
        raise ValueError("no such layer")

@hookimpl
def frame_components():
    return {"broken": Broken}
"""
        result = cli("plugin", "check", recipe_file(text, "broken.py"))
        assert result.code == 1
        assert result.out.count("  failed\n") == 1
        assert result.out.count("no such layer") == 1
        assert "follows from `builds`, which failed for Broken" in result.out
        assert re.search(r"documented +ok", result.out)

    def test_wrong_settings(self):
        outcome = run_check(contract_of(CustomResNet, settings={"widths": [1, 2]}), "test_builds")
        assert "refuses the settings {'widths': [1, 2]}: widths: " in outcome.message
        assert outcome.message.endswith("correct the test's `settings`")

    def test_a_model_may_refuse_other_channels_but_not_its_own(self):
        class Grey(CustomResNet):
            """Grey images only."""

            def build(self, data):
                if data.channels != 1:
                    raise UserError("for grey images only")
                return super().build(data)

        check = "test_answers_a_batch_of_any_size"
        assert run_check(contract_of(Grey, image_shape=(16, 16, 1)), check).result == "ok"
        assert "for grey images only" in run_check(contract_of(Grey), check).message

    def test_a_dataset_gets_its_data(self, tmp_path):
        class Folder(DatasetComponent):
            """Needs a file."""

            def build(self, root):
                if not (root / "here").is_file():
                    raise UserError(f"{root}: no file 'here'")
                return DataSplits(random_split(20), random_split(10), CLASSES, (16, 16, 3), (0.5,) * 3, (0.5,) * 3, "x")

        def prepare(self, root):
            (root / "here").touch()

        (tmp_path / "here").touch()
        check = "test_targets_are_as_promised"
        assert run_check(contract_of(Folder, prepare=prepare), check).result == "ok"
        assert run_check(contract_of(Folder, root=tmp_path), check).result == "ok"
        assert "override prepare(root)" in run_check(contract_of(Folder), check).message
        skipped = run_check(contract_of(Folder, root=tmp_path / "no", data_may_be_missing=True), check)
        assert (skipped.result, "no file 'here'" in skipped.message) == ("skipped", True)

    def test_no_network_but_this_machines(self):
        class Downloads(DatasetComponent):
            """Asks a server."""

            def build(self, root):
                import urllib.request

                urllib.request.urlopen("https://example.org")

        assert "a contract test has no network: example.org" in run_check(contract_of(Downloads), "test_builds").message
        assert issubclass(contract_of(Downloads), DatasetContract)


class TestListing:
    def test_a_package_must_not_import_what_is_slow(self, plugin, tmp_path, monkeypatch):
        plugin("", "my_package/__init__.py")
        plugin(tiny("import numpy"), "my_package/model.py")
        monkeypatch.syspath_prepend(tmp_path)
        from my_package.model import Tiny

        outcome = run_check(contract_of(Tiny), LISTING)
        assert outcome.result == "failed"
        assert "my_package.model imports numpy, which slows every command down: import it in build()" in outcome.message
        del sys.modules["my_package"], sys.modules["my_package.model"]

    def test_a_file_had_better_not(self, plugin, cli):
        result = cli("plugin", "check", plugin(tiny("import numpy")))
        assert result.code == 0, result.out
        assert "imports numpy, which slows every command down: import it in build()\n" in result.out
        assert (
            f"{len(checks(ModelContract))} checks of 1 component: {len(checks(ModelContract)) - 1} ok, 1 advice\n"
            in result.out
        )


class TestCommand:
    def test_a_file(self, plugin, cli):
        result = cli("plugin", "check", plugin(tiny()))
        assert (result.code, result.err) == (0, "")
        lines = result.out.splitlines()
        assert [line.split()[0] for line in lines[:-1]] == ["model/tiny"] * len(checks(ModelContract))
        assert all(line.endswith("  ok") for line in lines[:-1])
        assert lines[-1] == f"{len(lines) - 1} checks of 1 component: {len(lines) - 1} ok"

    def test_what_fails_is_said_below_it(self, plugin, cli):
        result = cli("plugin", "check", plugin(tiny(classes="7")))
        assert result.code == 1
        lines = result.out.splitlines()
        (failed,) = [number for number, line in enumerate(lines) if "answers a batch of any size" in line]
        assert lines[failed].split() == ["model/tiny", "answers", "a", "batch", "of", "any", "size", "failed"]
        assert lines[failed + 1].strip() == (
            "Tiny in eval mode, a batch of 1 with 3 channels: logits are (1, 7), not (1, 10); size the last layer by "
            "data.num_classes"
        )

    def test_required_settings(self, plugin, cli):
        result = cli("plugin", "check", plugin(tiny(default="")))
        assert result.code == 0
        assert "Tiny cannot be built: hidden has no default; give each an example, Field(examples=[...])" in result.out
        assert result.out.endswith("1 check of 1 component: 1 skipped\n")
        result = cli("plugin", "check", plugin(tiny(default=" = Field(gt=0, examples=[5])"), "with_example.py"))
        assert (result.code, "failed" in result.out, "skipped" in result.out) == (0, False, False)

    def test_another_shape_of_images(self, plugin, cli):
        file = plugin(tiny(classes="data.num_classes if data.shape[0] == 28 else 1"))
        assert cli("plugin", "check", file).code == 1
        assert cli("plugin", "check", file, "--image-shape", "28x28x1").code == 0
        result = cli("plugin", "check", file, "--image-shape", "28x28")
        assert result.code == 2
        assert "'28x28' is no shape of an image; write height, width and channels: 32x32x3" in result.err

    @pytest.mark.parametrize("name", ["cross_entropy", "frame_plugins.losses.cross_entropy"])
    def test_an_installed_plugin_by_its_name_or_module(self, cli, name):
        result = cli("plugin", "check", name)
        assert result.code == 0
        assert {line.split()[0] for line in result.out.splitlines()[:-1]} == {"loss/cross_entropy"}

    def test_an_installed_distribution_and_all_but_frames_own(self, cli, tmp_path, monkeypatch):
        info = tmp_path / "site" / "frame_sample-1.2.3.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: frame-sample\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text("[frame.plugins]\nsample = frame_sample\n")
        monkeypatch.syspath_prepend(SAMPLE)
        monkeypatch.syspath_prepend(tmp_path / "site")
        for arguments in (["Frame_Sample"], []):
            result = cli("plugin", "check", *arguments)
            assert result.code == 0, result.out + result.err
            labels = {line.split()[0] for line in result.out.splitlines()[:-1]}
            assert labels == {"model/tiny_cnn", "analyzer/predicted_classes"}
        for name in [name for name in sys.modules if name.startswith("frame_sample")]:
            del sys.modules[name]

    def test_a_dataset_without_its_data(self, cli, tmp_path):
        result = cli("plugin", "check", "image_folder")
        assert (result.code, result.err) == (0, "")
        assert result.out.count("set FRAME_DATA_DIR to a folder that has them\n") == 1
        assert (result.out.count("  skipped\n"), result.out.count("as above\n")) == (6, 5)
        assert list(tmp_path.iterdir()) == []

    def test_nothing_to_check(self, cli):
        result = cli("plugin", "check")
        assert result.code == 0
        assert result.out == (
            "no plugin but frame's own is installed; name one, or a file: frame plugin check ./my_plugin.py\n"
        )

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("cross_entropi", "there is no plugin, distribution or module 'cross_entropi'; did you mean 'cross_entropy'?"),
            ("frame-trian", f"there is no plugin, distribution or module 'frame-trian'; did you mean '{OWN}'?"),
            ("zzz", "there is no plugin, distribution or module 'zzz'; `frame plugin list` shows all, and a file is ./NAME.py"),
            ("./none.py", "there is no file ./none.py"),
        ],
    )  # fmt: skip
    def test_a_name_that_does_not_exist(self, cli, name, says):
        result = cli("plugin", "check", name)
        assert (result.code, result.out, result.err) == (2, "", f"error: {says}\n")

    def test_one_that_does_not_load(self, plugin, cli, tmp_path):
        result = cli("plugin", "check", plugin("raise RuntimeError('no luck')"))
        assert result.code == 1
        assert result.out == (
            "./mine.py  loads                                         failed\n"
            f"             plugin './mine.py' failed to load: RuntimeError: no luck ({tmp_path}/mine.py:1)\n"
            "1 check of 0 components: 1 failed\n"
        )


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
