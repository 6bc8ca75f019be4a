"""What an environment variable with a name like a key's holds is in no file, no line and no message of frame's."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from frame import hide_secrets, names_a_secret
from frame.recipe.identity import check_same_run, identity
from frame.recipe.load import load_recipe
from frame.recipe.yaml_text import written
from frame.rundir.history import read_lines
from frame.secrets import printable
from frame.sweep.record import open_sweep
from frame.sweep.spec import load_sweep
from frame.training.build import load_data

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

class Signed(ModelComponent):
    '''Needs a key.'''
    api_key: str

    def build(self, data):
        from torch import nn
        height, width, channels = data.shape
        return nn.Sequential(nn.Flatten(), nn.Linear(height * width * channels, data.num_classes))

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
    return {"client": Client, "signed": Signed, "careless": Careless, "fails_loudly": Fails}
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
        "analyzers=[{use: careless, credential: '${oc.env:MY_API_TOKEN}'}, {use: confusion, pairs: 0},"
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


def test_a_backslash_before_a_line_s_end_and_a_secret_stays(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    text = "\\\nhunter2"
    assert OmegaConf.create({"text": written(text)}).text == text


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
        ("DB_PASS", True),
        ("GH_PAT", True),
        ("PASSPHRASE", True),
        ("SSH_KEY_PASSPHRASE", True),
        ("MYSQL_PWD", True),
        ("PWD", False),
        ("OLDPWD", False),
        ("PATH", False),
        ("COMPASS", False),
        ("DATABASE_URL", False),  # its password alone is one
        ("TOKENIZERS_PARALLELISM", False),
        ("KEYBOARD", False),
        ("MONKEY", False),
        ("HOME", False),
    ],
)
def test_names_of_secrets(name, secret):
    assert names_a_secret(name) == secret


def test_of_an_address_the_password_is_hidden(monkeypatch):
    address = "postgres://user:hunter2%2Fx@host/db"
    assert hide_secrets(f"cannot reach {address}") == "cannot reach postgres://user:(hidden)@host/db"
    assert hide_secrets("https://a:c@2@host, http://b:ab@host") == "https://a:(hidden)@host, http://b:(hidden)@host"
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setenv("GH_PAT", "ghp_0123456789")
    assert hide_secrets([address, "hunter2/x", "https://ghp_0123456789:ab@host"]) == [
        "postgres://user:(hidden: DATABASE_URL)@host/db",
        "(hidden: DATABASE_URL)",
        "https://(hidden: GH_PAT):(hidden)@host",
    ]
    assert written(address) == "${oc.env:DATABASE_URL}"


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/a@b",
        "https://user@host",
        "https://user:${oc.env:TOKEN}@host",
        "https://${oc.env:USER}@host",
        '{"a":"https://host:8080","b":"me@host"}',
        "https://host:80, and me@host",
    ],
)
def test_an_address_without_a_password_stays(text):
    assert hide_secrets(text) == text


@pytest.mark.parametrize(
    ("argument", "shown", "text"),
    [
        ("model.api_key=hunter2", "model.api_key=(hidden)", "hunter2"),
        ("model.api_key='hunter2, hunter3'", "model.api_key=(hidden)", "hunter2, hunter3"),
        ("model.api_key=hunter2 #3", "model.api_key=(hidden)", "hunter2 #3"),
        ("--api-key=hunter2", "--api-key=(hidden)", "hunter2"),
        ("model.api_key=ab", "model.api_key=(hidden)", None),
        ("model.tokens=100000", "model.tokens=(hidden)", None),
        ("model={api_key: hunter2, width: 100000}", "model={api_key: (hidden), width: 100000}", "hunter2"),
        ('x=[{"use": x, "pass": "a \\"b\\" c", k: 1}]', 'x=[{"use": x, "pass": (hidden), k: 1}]', 'a "b" c'),
        ("x={tokens: [hunter2, ab], width: 1}", "x={tokens: [(hidden), (hidden)], width: 1}", "hunter2"),
        ("x={api_key: hunter2", "x={api_key: (hidden)", "hunter2"),
        ("x={api_key: '${oc.env:MY_KEY}'}", "x={api_key: '${oc.env:MY_KEY}'}", None),
        ("model.api_key=${oc.env:MY_KEY}", "model.api_key=${oc.env:MY_KEY}", None),
        ("model.width=100000", "model.width=100000", None),
    ],
)
def test_what_the_command_line_gives_is_hidden_by_its_name(monkeypatch, argument, shown, text):
    monkeypatch.setattr("sys.argv", ["frame", "run", "quickstart", argument])
    assert hide_secrets(["run", argument]) == ["run", shown]
    if text:
        assert hide_secrets(f"with {text}!").startswith("with (hidden: ")
        assert text not in hide_secrets(json.dumps([text]))
    harmless = ["epoch 100000: ab", "model.api_key=abcdef"]  # no argument of this command
    assert hide_secrets(harmless) is harmless


class Pair(NamedTuple):
    name: str
    values: list[str]


@dataclass(frozen=True)
class Holder:
    pair: Pair
    kept: dict[str, object]
    made: int = field(default=0, init=False)


def test_secrets_are_found_in_every_shape_of_value(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    kept = {"a": object()}
    found = hide_secrets(Holder(Pair("a", ["hunter2"]), kept))
    assert found == Holder(Pair("a", ["(hidden: MY_TOKEN)"]), kept)
    assert found.kept is kept


EVERY = pytest.param("{use: wandb, mode: offline}, {use: tensorboard}", marks=pytest.mark.slow)


@pytest.mark.parametrize("trackers", ["", EVERY])
def test_a_secret_that_is_typed_stands_in_the_resolved_recipe_alone(cli, tmp_path, recipe, monkeypatch, trackers):
    monkeypatch.delenv("MY_API_TOKEN")
    typed = "callbacks=[{use: client, credential: hunter2-typed, address: 'https://me:ab@hunter2-typed'}]"
    careless = "analyzers=[{use: careless, credential: hunter2-typed}]"
    result = cli("run", recipe, "data.root=null", typed, careless, f"trackers=[{trackers}]")
    assert result.code == 0, result.err
    assert (tmp_path / "seen.txt").read_text() == "hunter2-typed"
    assert "signing in with (hidden: credential) at https://me:(hidden)@(hidden: credential)" in result.err
    assert "hunter2" not in result.out + result.err
    run = only_run(tmp_path)
    assert holders(run) == ["recipe.resolved.yaml"]
    assert "credential: (hidden)" in (run / "report.html").read_text()
    shown = "callbacks=[{use: client, credential: (hidden), address: 'https://me:(hidden)@(hidden: credential)'}]"
    assert shown in json.loads((run / "environment.json").read_text())["command"]
    for log in run.glob("wandb/*/*.wandb"):  # W&B's `args`
        assert shown.encode() in log.read_bytes()


def test_a_secret_in_a_recipe_is_hidden_by_its_name(cli, tmp_path, recipe):
    """In what is made of the recipe: report, comparison, export, what `explain` and a dry run print."""
    text = "model: {use: signed, api_key: hunter2-too}\nanalyzers: [{use: careless, credential: hunter2-too}]\n"
    recipe.write_text(f"extends: {TINY}\nplugins: [./client.py]\n{text}")
    for arguments in ([], ["--dry-run"], ["model.api_key=hunter3"]):
        result = cli("run", recipe, *arguments)
        assert result.code == 0, result.err
        assert "hunter" not in result.out + result.err
    runs = sorted((tmp_path / "runs" / "tiny").iterdir())
    result = cli("explain", runs[0] / "recipe.resolved.yaml")
    assert "api_key: (hidden)" in result.out
    assert "hunter" not in result.out
    result = cli("compare", *runs, "--html", "compared.html")
    assert "model.api_key" in result.out  # that they differ is said
    assert "hunter" not in result.out + (tmp_path / "compared.html").read_text()
    assert cli("export", runs[0], "--to", "safetensors").code == 0
    said_by_the_analyzer = ["analysis/careless/result.json", "analysis/careless/t.csv"]
    assert holders(runs[0]) == [*said_by_the_analyzer, "recipe.resolved.yaml"]
    assert ">with (hidden)</p>" in (runs[0] / "report.html").read_text()


def test_a_run_goes_on_with_its_own_secret_alone(cli, tmp_path, recipe):
    """A checkpoint keeps enough of a secret to tell it from most others."""
    arguments = ("data.root=null", "callbacks.0.credential=hunter2-typed", "callbacks.1={use: interrupt, step: 3}")
    assert cli("run", recipe, *arguments).code == 130
    run = only_run(tmp_path)
    result = cli("resume", run, "callbacks.0.credential=another-one")
    assert result.code == 2
    assert 'callbacks.0.credential: was "(hidden: ' in result.err
    assert "hunter2" not in result.err
    assert cli("resume", run).code == 0


def test_a_checkpoint_that_holds_a_secret_goes_on(cli, tmp_path, recipe):
    """As those of earlier versions do."""
    arguments = ("data.root=null", "callbacks.0.credential=hunter2-typed")
    loaded = load_recipe(str(recipe), arguments)
    data = load_data(loaded.recipe)
    kept = identity(loaded.recipe, data)
    assert "hunter2-typed" not in kept["recipe"]
    hidden = next(value for key, value in json.loads(kept["recipe"]) if key == ["callbacks", 0, "credential"])
    clear = {**kept, "recipe": kept["recipe"].replace(json.dumps(hidden), '"hunter2-typed"')}
    assert "hunter2-typed" in clear["recipe"]
    check_same_run(clear, loaded.recipe, loaded.source, data)


def test_a_sweep_goes_on_with_a_secret_that_is_typed(tmp_path, recipe, monkeypatch):
    argument = "callbacks.0.credential=hunter2-typed"
    monkeypatch.setattr("sys.argv", ["frame", "sweep", str(recipe), "search.yaml", argument])
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "search.yaml"
    file.write_text("method: grid\nspace: {optimizer.lr: {choice: [0.1, 0.2]}}\n")
    for _ in range(2):
        folder = open_sweep(load_sweep(str(recipe), file, [argument]))
        assert folder.sweep.base[1] == argument
        assert holders(folder.path) == []


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
