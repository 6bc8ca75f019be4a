"""What an environment variable with a name like a key's holds is in no file, no line and no message of frame's."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from frame import hide_secrets, names_a_secret
from frame.resolve import load_recipe
from frame.rundir import read_lines
from frame.secrets import printable
from frame.yamlfile import written

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"
SECRET = 'hunter2/"of\\the store'
PLUGIN = """
from pathlib import Path
from frame import *

class Client(CallbackComponent):
    '''Needs a credential, and is careless with it.'''
    credential: str
    address: str = ""
    fails: bool = False

    def build(self, run):
        seen = Path("seen.txt")
        seen.write_text(self.credential)
        run.warn(f"signing in with {self.credential} at {self.address}")
        assert self.credential not in repr(run.recipe) and self.address not in repr(run.recipe)
        settings = self

        class Inner(Callback):
            def on_epoch_end(self, metrics):
                if settings.fails:
                    raise LookupError(f"{settings.credential!r} was refused")

        return Inner()

class Careless(AnalyzerComponent):
    '''Says too much.'''
    credential: str

    def build(self, run):
        table = Table("t", "T", ("a",), [(self.credential,)])
        return AnalyzerResult("Said", notes=(f"with {self.credential}",), tables=(table,))

class Fails(AnalyzerComponent):
    '''Says too much about why it fails.'''
    credential: str

    def build(self, run):
        raise ValueError({"key": self.credential})

@hookimpl
def frame_components():
    return {"client": Client, "careless": Careless, "fails_loudly": Fails}
"""
RECIPE = f"""
extends: {TINY}
plugins: [./client.py]
data: {{root: "/mnt/${{oc.env:MY_API_TOKEN}}/data"}}
callbacks:
  - use: client
    credential: ${{oc.env:MY_API_TOKEN}}
    address: "https://user:${{oc.env:MY_API_TOKEN}}@host/\\\\${{seed}}"
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", SECRET)
    (tmp_path / "client.py").write_text(PLUGIN)
    path = tmp_path / "secret.yaml"
    path.write_text(RECIPE)
    return path


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "tiny").iterdir()
    return run


def holders(folder: Path) -> list[str]:
    """The files below a folder that hold the secret, as it is or as JSON and messages write it."""
    forms = [form.encode() for form in ("hunter2", "the store")]
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                contents = [archive.read(name) for name in archive.namelist()]
        else:
            contents = [path.read_bytes()] if path.is_file() else []
        if any(form in content for content in contents for form in forms):
            found.append(str(path.relative_to(folder)))
    return found


@pytest.mark.slow
def test_a_run_with_every_tracker_leaves_no_secret(frame, tmp_path, recipe):
    careless = (
        "analyzers=[{use: careless, credential: '${oc.env:MY_API_TOKEN}'}, {use: confusion},"
        " {use: fails_loudly, credential: '${oc.env:MY_API_TOKEN}'}]"
    )
    notes = "{notes: '${oc.env:MY_API_TOKEN}', group: '${oc.env:MY_API_TOKEN}', tags: ['${oc.env:MY_API_TOKEN}']}"
    trackers = f"trackers=[{notes.replace('{', '{use: wandb, mode: offline, ', 1)}, {{use: tensorboard}}]"
    typed = f"callbacks.0.address={json.dumps(SECRET)}"  # on the command line, which environment.json and W&B keep
    environment = {"MY_API_TOKEN": SECRET, "WANDB__DISABLE_STATS": "true"}
    result = frame("run", recipe, careless, trackers, typed, env=environment)
    assert result.returncode == 0, result.stderr
    assert "tracker" not in result.stderr
    assert (tmp_path / "seen.txt").read_text() == SECRET  # the component itself gets it
    run = only_run(tmp_path)
    assert (run / "tensorboard").is_dir()
    assert list((run / "wandb").rglob("*.wandb"))
    assert holders(run) == []
    assert "hunter2" not in result.stdout + result.stderr
    assert "warning: signing in with (hidden: MY_API_TOKEN) at (hidden: MY_API_TOKEN)" in result.stderr
    assert "signing in with (hidden: MY_API_TOKEN)" in (run / "log.txt").read_text()
    assert "(hidden: MY_API_TOKEN)" in json.loads((run / "environment.json").read_text())["command"][-1]


def test_the_resolved_recipe_runs_again_and_says_which_variable_it_needs(cli, tmp_path, recipe, monkeypatch):
    assert cli("run", recipe).code == 0
    run = only_run(tmp_path)
    resolved = run / "recipe.resolved.yaml"
    assert holders(run) == []
    assert "credential: ${oc.env:MY_API_TOKEN}" in resolved.read_text()
    (tmp_path / "seen.txt").unlink()
    again = cli("run", resolved, "--out", "again")
    assert again.code == 0, again.err
    assert (tmp_path / "seen.txt").read_text() == SECRET
    (copy,) = (tmp_path / "again" / "tiny").iterdir()
    assert read_lines(run / "metrics.jsonl") == read_lines(copy / "metrics.jsonl")
    first, second = (load_recipe(str(path / "recipe.resolved.yaml")).recipe for path in (run, copy))
    assert first.callbacks[0].component.model_dump() == second.callbacks[0].component.model_dump()
    assert second.callbacks[0].component.address == f"https://user:{SECRET}@host/${{seed}}"

    monkeypatch.delenv("MY_API_TOKEN")
    result = cli("run", resolved)
    assert result.code == 2
    assert "callbacks.0.credential: cannot be resolved: Environment variable 'MY_API_TOKEN' not found" in result.err


@pytest.mark.parametrize(("command", "says"), [("sync", "upload nothing"), ("report", "without the tracker 'wandb'")])
def test_what_only_needs_the_trackers_needs_no_other_variables(cli, tmp_path, recipe, monkeypatch, command, says):
    assert cli("run", recipe, "trackers=[{use: broken}]", "train.epochs=1").code == 0
    monkeypatch.delenv("MY_API_TOKEN")
    result = cli(command, only_run(tmp_path), *["--wandb"] * (command == "report"))
    assert result.code == 2
    assert says in result.err
    assert "MY_API_TOKEN" not in result.err


def test_a_failed_run_does_not_say_it_either(cli, tmp_path, recipe):
    result = cli("run", recipe, "callbacks.0.fails=true")
    assert result.code == 1
    run = only_run(tmp_path)
    assert "LookupError: '(hidden: MY_API_TOKEN)' was refused" in result.err
    assert "was refused" in (run / "error.txt").read_text()
    assert "(hidden: MY_API_TOKEN)" in json.loads((run / "run.json").read_text())["error"]
    assert holders(run) == []
    assert "hunter2" not in result.out + result.err


@pytest.mark.parametrize(
    "command",
    [
        ("explain",),
        ("explain", "--json"),
        ("validate",),
        ("validate", "--json", "seed=${oc.env:MY_API_TOKEN}"),
        ("validate", "seed=x${oc.env:MY_API_TOKEN}", "model.use=${oc.env:MY_API_TOKEN}"),
        ("validate", "optimizer.lr=" + "x" * 35 + "${oc.env:MY_API_TOKEN}"),  # the message cuts it in two
        ("run", "--dry-run"),
        ("run", "data={use: image_folder, root: '/mnt/${oc.env:MY_API_TOKEN}', train_transforms: []}"),
        ("lr-find", "--" + SECRET),
    ],
    ids=lambda command: " ".join(command)[:40],
)
def test_what_only_prints_hides_it(cli, tmp_path, recipe, command):
    name, *rest = command
    result = cli(name, recipe, *rest)
    assert "Traceback" not in result.err
    assert not any(part in result.out + result.err for part in ("hunter2", "the store"))
    if "--json" in command:
        json.loads(result.out)
    if name in ("explain", "run") and "${oc.env:MY_API_TOKEN}" not in rest[-1:]:
        assert "MY_API_TOKEN" in result.out + result.err


def test_a_secret_cannot_name_a_run(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", "hunter2hunter2")
    result = cli("run", TINY, "name=run_${oc.env:MY_API_TOKEN}")
    assert result.code == 2
    message = "name: names the run's folder, and holds a secret: run_(hidden: MY_API_TOKEN)"
    assert result.err == f"error: command line: {message}\n"


@given(st.data())
def test_what_a_recipe_writes_is_read_as_what_it_was(data):
    alphabet = "ab${}\\:'\" \n"
    secrets = data.draw(st.lists(st.text(alphabet, min_size=6, max_size=9), max_size=2))
    parts = data.draw(st.lists(st.sampled_from([*secrets, "${", "\\", "$", "{"]) | st.text(alphabet), max_size=6))
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as environment:
        for number, secret in enumerate(secrets):
            environment.setenv(f"KEY_{number}", secret)
        config = OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create({"text": written(text)})))
        assert config.text == text
        shown = [secret for secret in secrets if len(secret.strip()) >= 6 and secret in hide_secrets(text)]
        assert shown == []


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("WANDB_API_KEY", True),
        ("GITHUB_TOKEN", True),
        ("INPUT_MY-TOKEN", True),
        ("PGPASSWORD", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("OPENAI_APIKEY2", True),
        ("TOKENIZERS_PARALLELISM", False),
        ("KEYBOARD", False),
        ("MONKEY", False),
        ("HOME", False),
    ],
)
def test_names_of_secrets(name, secret):
    assert names_a_secret(name) == secret


def test_short_values_hide_nothing(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "epoch")
    assert hide_secrets(["epoch 1"]) == ["epoch 1"]


def test_control_characters_are_shown_as_escapes(cli, tmp_path):
    assert printable("a\x1b[2J\r\x9b\u202e\ud800\tb\n") == "a\\x1b[2J\\x0d\\u009b\\u202e\\ud800\tb\n"
    for arguments in (("validate", "no\x1b[2Jsuch\x07.yaml"), ("no\x1b[2Jsuch",), ("run", TINY, "model.use=\x1b[2J")):
        result = cli(*arguments)
        assert result.code == 2
        assert "\x1b" not in result.out + result.err
        assert "[2J" in result.err
    for name in ("cat", "dog\x1b[2J"):
        (tmp_path / "pets" / "train" / name).mkdir(parents=True)
    (tmp_path / "pets" / "test").mkdir()
    result = cli("run", TINY, "data={use: image_folder, root: pets, batch_size: 2}")
    assert result.code == 2
    assert "\\x1b[2J" in result.err
    assert "\x1b" not in result.err
