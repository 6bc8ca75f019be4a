"""Shell completion: through click's own interface, and in a real bash."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from conftest import clean_environment
from fakes.distributions import model
from fakes.recipes import MINIMAL as RECIPE
from frame.api.kinds import KINDS
from frame.cli import cli as command
from frame.plugins.load import load_plugins

BIN = Path(sys.executable).parent


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def items(line: str) -> list[CompletionItem]:
    """Complete a command line at its end, as zsh and fish have it: `key=value` is one word."""
    *words, last = line.split(" ")
    return ShellComplete(command, {}, "frame", "_FRAME_COMPLETE").get_completions(words[1:], last)


def completed(line: str) -> list[str]:
    found = items(line)
    assert {item.type for item in found} <= {"plain"}
    return [item.value for item in found]


class TestComponents:
    def test_names(self, here):
        names = ["adam", "adamw", "muon", "sgd"]
        assert completed("frame show optimizer/") == [f"optimizer/{name}" for name in names]
        every = [f"{registry.kind}/{name}" for registry in load_plugins().registries for name in registry]
        assert completed("frame show ") == every
        (item,) = items("frame show loss/cross")
        assert item.help == load_plugins().registries["loss"]["cross_entropy"].__doc__.partition("\n")[0]

    def test_kinds(self, here):
        assert completed("frame list lo") == ["losses"]
        assert completed("frame list ") == [*(kind.plural for kind in KINDS), "recipes"]


class TestRecipes:
    @pytest.mark.parametrize("name", ["run", "lr-find"])
    def test_shipped_ones_and_files_of_the_folder(self, here, name):
        (here / "mine.yaml").touch()
        (here / "notes.txt").touch()
        assert completed(f"frame {name} ") == [*load_plugins().recipes, "mine.yaml"]
        assert completed(f"frame {name} m") == ["mine.yaml"]

    def test_others_are_left_to_the_shell(self, here):
        (item,) = items("frame run recipes/s")
        assert (item.type, item.value) == ("file", "recipes/s")

    def test_folders_of_runs_the_latest_first(self, here):
        for run in ("s10/20260101-000000-aaaa", "quick/20270101-000000-bbbb", "s10/not-a-run"):
            (here / "runs" / run).mkdir(parents=True)
            if "not" not in run:
                (here / "runs" / run / "run.json").touch()
        assert completed("frame resume ") == ["runs/quick/20270101-000000-bbbb", "runs/s10/20260101-000000-aaaa"]
        assert completed("frame resume runs/s") == ["runs/s10/20260101-000000-aaaa"]
        assert [item.type for item in items("frame resume elsewhere")] == ["dir"]


class TestSettings:
    def test_a_recipe_that_takes_a_default_by_interpolation(self, here):
        (here / "mine.yaml").write_text(RECIPE + "checkpoint: {every_steps: '${data.batch_size}'}\n")
        assert completed("frame run mine.yaml optimizer.weight") == ["optimizer.weight_decay="]

    def test_those_of_the_host(self, here):
        assert completed("frame run quickstart train.e") == ["train.epochs="]
        assert completed("frame run quickstart na") == ["name="]
        assert completed("frame run quickstart data.nor") == [
            "data.normalize=",
            "data.normalize.mean=",
            "data.normalize.std=",
        ]
        assert completed("frame run quickstart checkpoint.") == [
            f"checkpoint.{name}="
            for name in ("monitor", "mode", "keep", "every_epochs", "every_steps", "every_minutes")
        ]
        (item,) = items("frame run quickstart train.acc")
        assert item.help == "Batches whose gradients are added up to one optimizer step."

    def test_those_of_the_recipes_components(self, here):
        (here / "mine.yaml").write_text(RECIPE + "callbacks: [{use: ema}]\n")
        settings = ["use", "widths", "scale", "softmax"]
        assert completed("frame run mine.yaml model.") == [f"model.{name}=" for name in settings]
        assert "callbacks.0.decay=" in completed("frame run mine.yaml callbacks.0.")
        assert completed("frame run mine.yaml callbacks.1") == ["callbacks.1.use="]
        assert completed("frame run mine.yaml data.train_transforms.") == ["data.train_transforms.0.use="]
        assert completed("frame run mine.yaml sched") == ["scheduler.use="]

    def test_those_of_a_component_that_stands_before(self, here):
        before, after = "frame run quickstart optimizer.m", "frame run quickstart optimizer.use=sgd optimizer.m"
        assert (completed(before), completed(after)) == ([], ["optimizer.momentum="])

    @pytest.mark.parametrize(
        ("word", "values"),
        [
            ("optimizer.use=", ["adam", "adamw", "muon", "sgd"]),
            ("optimizer.use=adamw", ["adamw"]),
            ("train.precision=", ["auto", "fp32", "bf16", "fp16"]),
            ("train.channels_last=t", ["true"]),
            ("optimizer.lr=", ["auto"]),
            ("data.train_transforms.0.use=cuto", ["cutout"]),
            ("train.epochs=", []),
            ("no.such.setting=", []),
        ],
    )
    def test_known_values(self, here, word, values):
        key = word.partition("=")[0]
        assert completed(f"frame run quickstart {word}") == [f"{key}={value}" for value in values]

    def test_a_recipes_own_plugin(self, here, capfd):
        (here / "mine.py").write_text("print('loud')\n" + model("mine_net"))
        (here / "mine.yaml").write_text("plugins: [./mine.py]\n" + RECIPE)
        assert "model.use=mine_net" in completed("frame run mine.yaml model.use=")
        assert capfd.readouterr() == ("", "")

    def test_nothing_where_nothing_is_known(self, here):
        (here / "broken.yaml").write_text("data: [")
        for recipe in ("broken.yaml", "no_such_recipe"):
            assert completed(f"frame run {recipe} tr") == []

    def test_a_wrong_override_before_does_not_matter(self, here):
        assert completed("frame run quickstart nonsense train.ep") == ["train.epochs="]
        assert completed("frame run quickstart seed.x=1 train.ep") == ["train.epochs="]


@pytest.fixture
def bash(tmp_path, frame):
    """Type a line with TABs in it in an interactive bash; the arguments that the command is then called with."""
    script = frame("completion", "bash")
    assert (script.returncode, script.stderr) == (0, "")
    # The function takes the command's place when the line is run; completion calls the program.
    show = "frame() { printf 'CALLED'; printf ' %s' \"$@\"; printf ' END'; }\nPS1='READY>'\n"
    (tmp_path / "rc").write_text(show + script.stdout)
    ours, theirs = pty.openpty()
    environment = {**clean_environment(tmp_path), "TERM": "dumb", "PATH": f"{BIN}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"], cwd=tmp_path, env=environment,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)

    def until(sign: str) -> str:
        said = ""
        while sign not in said:
            assert select.select([ours], [], [], 60)[0], f"bash says no more than {said!r}"
            said += os.read(ours, 4096).decode()
        return said

    def type_in(line: str) -> str:
        os.write(ours, f"{line}\n".encode())
        return until(" END").partition("CALLED ")[2].partition(" END")[0]

    until("READY>")
    yield type_in
    process.kill()
    process.wait()
    os.close(ours)


def test_in_a_real_bash(bash, tmp_path):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "my_first.yaml").touch()
    assert bash("frame show model/cus\t") == "show model/custom_resnet"
    assert bash("frame run quicks\ttrain.ep\t7") == "run quickstart train.epochs=7"  # no space behind the `=`
    assert bash("frame run quickstart optimizer.use=sg\toptimizer.mom\t.5") == (
        "run quickstart optimizer.use=sgd optimizer.momentum=.5"
    )
    assert bash("frame run recipes/my\t") == "run recipes/my_first.yaml"
    assert bash("frame --strict-plugins lr\tquickstart --h\t") == "--strict-plugins lr-find quickstart --help"
    assert bash("frame run no_such_recipe tr\t") == "run no_such_recipe tr"


def test_scripts_for_the_other_shells(cli):
    for shell, sign in (("zsh", "#compdef frame"), ("fish", "complete --no-files --command frame")):
        result = cli("completion", shell)
        assert result.code == 0
        assert sign in result.out
        assert f"_FRAME_COMPLETE={shell}_complete" in result.out
    assert cli("completion", "csh").code == 2


def test_it_imports_nothing_heavy(tmp_path):
    script = (
        "import sys\nsys.argv = ['frame']\nfrom frame.cli import main\ntry:\n    main()\nfinally:\n"
        "    heavy = {'torch', 'numpy', 'matplotlib', 'rich'}\n    print(heavy & set(sys.modules), file=sys.stderr)\n"
    )
    environment = {**os.environ, "_FRAME_COMPLETE": "bash_complete", "COMP_LINE": "frame run s10_resnet train.ep"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("plain,train.epochs=\n", "set()\n")
