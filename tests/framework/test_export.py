"""`frame export`: files that answer as the run's model did, run here by the libraries that others run them by."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from frame import load_run
from frame.training.build import load_data

TINY = Path(__file__).parent / "fixtures" / "tiny.yaml"


@pytest.fixture(scope="module")
def run(trained) -> Path:
    (run,) = (trained(TINY, "model.norm=true", "train.epochs=1") / "runs" / "tiny").iterdir()
    return run


def ask_onnx(path: Path, images: np.ndarray) -> tuple[np.ndarray, str]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0], session.get_modelmeta().custom_metadata_map["frame"]


def ask_torch(path: Path, images: np.ndarray) -> tuple[np.ndarray, str]:
    extra = {"frame.json": ""}
    model = torch.export.load(path, extra_files=extra).module()
    return model(torch.from_numpy(images)).detach().numpy(), extra["frame.json"]


def ask_weights(path: Path, images: np.ndarray) -> tuple[np.ndarray, str]:
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        text = file.metadata()["frame"]
    model = load_run(path.parents[1], trust=True).model()
    model.load_state_dict(weights)
    return model(torch.from_numpy(images)).detach().numpy(), text


@pytest.mark.parametrize(
    ("form", "name", "ask"),
    [
        ("onnx", "model.onnx", ask_onnx),
        ("torch_export", "model.pt2", ask_torch),
        ("safetensors", "model.safetensors", ask_weights),
    ],
)
def test_the_file_answers_as_the_run_did(cli, run, form, name, ask):
    done = cli("export", run, "--to", form, "--trust")
    assert done.code == 0, done.err
    path = run / "export" / name
    said, where = done.out.splitlines()[-2:]
    assert where == str(path)
    assert float(re.search(r"is ([\d.e+-]+) of", said)[1]) < 1e-5

    opened = load_run(run, trust=True)
    data = load_data(opened.loaded.recipe)
    pixels = data.test.images.astype(np.float32).transpose(0, 3, 1, 2)  # (N, C, H, W), 0..255
    text = ask(path, np.zeros((1, 1, 32, 32), np.float32))[1]
    facts = json.loads(text)
    assert facts["classes"] == list(data.classes)
    told = facts["preprocessing"]
    mean, std = (np.float32(told[key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    logits, _ = ask(path, (pixels / told["divide_by"] - mean) / std)  # as its own metadata says
    np.testing.assert_allclose(logits, opened.predictions().logits, atol=1e-4)


def test_an_export_that_answers_otherwise_is_refused(cli, run, tmp_path):
    """The model of this plugin forgets its training while it is exported."""
    (tmp_path / "moody.py").write_text(
        "from frame import *\n\n"
        "class Moody(ModelComponent):\n"
        "    def build(self, data):\n"
        "        import torch\n"
        "        class Net(torch.nn.Module):\n"
        "            def __init__(self):\n"
        "                super().__init__()\n"
        "                self.layer = torch.nn.Linear(1024, data.num_classes)\n"
        "            def forward(self, images):\n"
        "                factor = 3 if torch.compiler.is_compiling() else 1\n"
        "                return factor * self.layer(images.flatten(1))\n"
        "        return Net()\n\n"
        "@hookimpl\n"
        "def frame_components():\n"
        "    return {'moody': Moody}\n"
    )
    recipe = tmp_path / "moody.yaml"
    recipe.write_text(f"extends: {TINY}\nplugins: [./moody.py]\nmodel: {{use: moody}}\ntrain: {{epochs: 1}}\n")
    assert cli("run", recipe).code == 0
    (moody,) = (tmp_path / "runs" / "tiny").iterdir()
    done = cli("export", moody, "--to", "torch_export", "--out", "moody.pt2")
    assert done.code == 1
    assert "answers otherwise than the model, by up to" in done.err
    assert not (tmp_path / "moody.pt2").exists()


def test_without_the_extra_it_says_what_to_install(cli, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = cli("export", run, "--to", "onnx", "--trust")
    assert (done.code, done.err) == (
        2,
        "error: to export to ONNX, onnxruntime is missing: pip install 'frame-train[export]'\n",
    )


def test_a_place_that_is_not_there_is_named(cli, run):
    done = cli("export", run, "--to", "safetensors", "--out", "nowhere/model.safetensors", "--trust")
    assert (done.code, done.err) == (
        2,
        "error: nowhere/model.safetensors cannot be written: No such file or directory\n",
    )
