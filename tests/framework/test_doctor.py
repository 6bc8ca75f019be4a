"""`frame doctor`: what it finds on a machine as it is, and on one where this or that is missing."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import frame as package
from conftest import on_path
from fakes.distributions import install_distribution
from frame.cli.health import CIFAR10_FORMS, examine
from frame_plugins.data.cifar10.original import ARCHIVE, BATCHES

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def look(tmp_path, monkeypatch):
    """What is found, by subject, with these variables set; the home folder and the current one are empty."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("FRAME_", "WANDB_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def look(out: Path = Path("runs"), **variables: str):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return {finding.subject: finding for finding in examine(out)}

    return look


def test_this_machine_has_no_problem(cli):
    result = cli("doctor")
    assert result.code == 0, result.out
    lines = result.out.splitlines()
    assert lines[0].startswith(f"ok       frame: {package.__version__}, Python 3.")
    assert f"ok       torch: {version('torch')}\n" in result.out
    for subject in ("torchvision", "OpenCV", "device", "bf16", "threads", "W&B", "output", "cache", "data", "plugins"):
        assert any(line[9:].startswith(f"{subject}: ") for line in lines), subject
    for line, after in zip(lines, [*lines[1:], ""], strict=True):  # whoever is warned is told what to do
        assert not line.startswith("warning") or after.startswith("            -> "), line


def test_as_json(cli):
    result = cli("doctor", "--json")
    findings = json.loads(result.out)
    assert {finding["state"] for finding in findings} <= {"ok", "warning"}
    assert set(findings[0]) == {"subject", "state", "message", "advice"}
    assert all(finding["advice"] for finding in findings if finding["state"] != "ok")


def test_a_folder_that_cannot_be_written_is_a_problem(cli, tmp_path):
    (tmp_path / "taken").touch()
    result = cli("doctor", "--out", "/proc/frame-runs")
    assert result.code == 1
    assert "problem  output: /proc/frame-runs cannot be written: " in result.out
    assert "-> choose another folder: frame run --out FOLDER" in result.out
    assert f"problem  output: {tmp_path}/taken/runs cannot be written: " in cli("doctor", "--out", "taken/runs").out


def test_little_space_is_said(look, monkeypatch):
    usage = type("Usage", (), {"free": 2**30})
    monkeypatch.setattr("frame.cli.health.shutil.disk_usage", lambda path: usage)
    found = look()["output"]
    assert (found.state, found.message.partition(", ")[2]) == ("warning", "1.0 GiB free")
    usage.free = 2**20
    assert look()["output"].state == "problem"


class TestData:
    def test_the_forms_are_those_that_the_dataset_reads(self):
        assert CIFAR10_FORMS == ("train", "test", BATCHES, ARCHIVE)

    @pytest.mark.parametrize("place", ["data/cifar10/train", f"data/{BATCHES}", "elsewhere/test"])
    def test_it_is_found_where_the_dataset_finds_it(self, look, tmp_path, place):
        (tmp_path / place).mkdir(parents=True)
        variables = {"FRAME_DATA_DIR": str(tmp_path / "elsewhere")} if "elsewhere" in place else {}
        found = look(**variables)["data"]
        assert (found.state, found.message) == ("ok", f"CIFAR-10 is at {tmp_path / place}")

    def test_none(self, look, tmp_path):
        found = look()["data"]
        assert found.state == "warning"
        assert found.message == (
            f"no CIFAR-10 in {tmp_path / 'data'}; the first run that needs it downloads it there (170 MB)"
        )

    @pytest.mark.parametrize("folder", ["/no/such/folder", "~nobody-here/data"])
    def test_a_variable_that_leads_nowhere(self, look, folder):
        found = look(FRAME_DATA_DIR=folder)["data"]
        assert (found.state, found.message) == ("problem", f"FRAME_DATA_DIR is {folder}, which is no folder")


class TestWandb:
    def test_nobody_is_logged_in(self, look):
        found = look()["W&B"]
        assert found.state == "warning"
        assert "the tracker keeps its runs offline" in found.message
        assert "wandb login" in found.advice

    def test_a_key_in_the_environment(self, look):
        found = look(WANDB_API_KEY=KEY)["W&B"]
        assert found.state == "ok"
        assert "in WANDB_API_KEY (not tried)" in found.message
        assert KEY not in str(found)

    def test_a_key_of_wandb_login(self, look, tmp_path):
        from wandb.sdk import wandb_setup

        host = wandb_setup.singleton().settings.base_url.partition("://")[2]
        (tmp_path / ".netrc").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
        (tmp_path / ".netrc").chmod(0o600)
        found = look()["W&B"]
        assert (found.state, "the netrc file" in found.message, KEY in str(found)) == ("ok", True, False)

    def test_a_key_that_is_none(self, look):
        found = look(WANDB_API_KEY="hunter2")["W&B"]
        assert (found.state, found.message) == ("warning", "the key in WANDB_API_KEY is none that W&B gives out")

    def test_what_is_turned_off_needs_no_key(self, look):
        found = look(WANDB_MODE="offline")["W&B"]
        assert (found.state, found.message) == ("ok", "WANDB_MODE=offline: nothing is sent")


def test_more_threads_than_cores(look, monkeypatch):
    monkeypatch.setattr("frame.cli.health._cores", lambda: 1.5)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = look()["threads"]
    finally:
        torch.set_num_threads(before)
    assert found.state == "warning"
    assert found.message.startswith("torch computes with 4, this process may use 1.5 of ")
    assert found.advice == "set train.threads=2: more only wait for each other"


def test_no_graphviz(look, monkeypatch, tmp_path):
    found = look(PATH=str(tmp_path))["Graphviz"]
    assert (found.state, found.advice) == ("warning", "install it: apt-get install graphviz")


def test_two_distributions_of_one_cv2(look, monkeypatch, tmp_path):
    info = tmp_path / "site" / "opencv_python-4.0.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.0.0\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = look()["OpenCV"]
    assert found.state == "warning"
    assert found.message == "opencv-python and opencv-python-headless install the same cv2 over each other"
    assert found.advice == (
        "keep one: pip uninstall opencv-python opencv-python-headless; pip install opencv-python-headless"
    )


def test_a_broken_installation(frame, tmp_path):
    """A torch that does not load, a torchvision for another one, a cv2 that needs libGL, a plugin that raises."""
    site = tmp_path / "site"
    install_distribution(site, "broken-plugin", "raise RuntimeError('no luck')\n")
    (site / "torch.py").write_text("raise ImportError('libcudart.so.13: no such file')\n")
    (site / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    (site / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    result = frame("--strict-plugins", "doctor", env=on_path(site))
    assert (result.returncode, result.stderr) == (1, "")
    said = result.stdout.splitlines()
    problems = {line[9:].partition(": ")[0]: said[at : at + 2] for at, line in enumerate(said) if line[0] == "p"}
    assert set(problems) == {"torch", "torchvision", "albumentations", "OpenCV", "device", "threads", "plugins"}
    assert problems["torch"] == [
        "problem  torch: cannot be imported: ImportError: libcudart.so.13: no such file",
        f"            -> {version('torch')} is installed and broken: pip install --force-reinstall torch",
    ]
    assert problems["torchvision"] == [
        "problem  torchvision: cannot be imported: RuntimeError: operator torchvision::nms does not exist",
        "            -> install torch and torchvision anew, both from the same place",
    ]
    assert problems["OpenCV"][0] == (
        "problem  OpenCV: cv2 cannot be imported: libGL.so.1: cannot open shared object file"
    )
    assert problems["OpenCV"][1].endswith("(which needs no libGL; or install the system's: apt-get install libgl1)")
    assert problems["plugins"] == [
        "problem  plugins: plugin 'broken_plugin' of broken-plugin 0.3 failed to load: RuntimeError: no luck "
        f"({site / 'broken_plugin.py'}:1)",
        "            -> install it anew, or turn it off: FRAME_DISABLE_PLUGINS=broken_plugin",
    ]
