"""tools/wandb_live_check.py: what it says without an account, and, against a server of the tests, with one."""

import os
import runpy
import subprocess
import sys

import pytest

from conftest import REPOSITORY, clean_environment
from fakes.wandb_agents_server import WandbAgentsServer
from fakes.wandb_run import KEY, alone, reached

SCRIPT = REPOSITORY / "tools" / "wandb_live_check.py"


@pytest.fixture
def check(monkeypatch, capsys):
    """Call the script in this process: its exit code, and what it prints."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *arguments])
        with pytest.raises(SystemExit) as exit_:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return exit_.value.code, *capsys.readouterr()

    return call


@pytest.mark.usefixtures(alone.__name__)
def test_it_says_why_it_cannot_begin(check):
    code, out, err = check("runn")
    assert (code, out) == (2, "")
    assert "no check is called runn; there are account, run, resume," in err
    code, out, err = check()
    assert (code, out) == (2, "")
    assert "W&B has no credentials: set WANDB_API_KEY" in err


@pytest.fixture
def server(monkeypatch):
    yield from reached(WandbAgentsServer(), monkeypatch)


@pytest.mark.usefixtures(alone.__name__)
def test_it_says_of_each_check_whether_it_is_as_expected(check, server):
    here = f"ok      account: logs to someone/frame-live-check at {server.url}\n"
    assert check("account")[:2] == (0, here)
    server.drop = ("GetDefaultEntity",)
    code, out, _ = check("account", "--entity", "team")
    assert code == 1
    assert out.startswith("FAILED  account: The key is taken, and there is an entity to log to.\n        ")
    server.failure = 401
    code, out, _ = check()
    assert (code, out.count("\n")) == (1, 2)
    assert out.startswith("FAILED  account: W&B does not take the key\n        ")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_of_it_is_as_expected_at_the_server_of_the_tests(tmp_path):
    with WandbAgentsServer(projects=("frame-live-check",)) as server:
        variables = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, str(SCRIPT)], env=clean_environment(tmp_path) | variables, capture_output=True, text=True,
            timeout=1700, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("ok      ") == 8
        assert server.alerts[0][1] == "live-failed failed"
