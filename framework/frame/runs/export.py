"""A finished run's model as one file for other programs, run beside the original before it is kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ..api.data import Split
from ..errors import RunFailed, UserError
from ..input.fitting import fit_of
from ..rundir.files import write_bytes, writing
from ..training.build import Network, mean_and_std
from ..training.culprit import blame
from .open import Run

Format = Literal["onnx", "torch_export", "safetensors"]
ENDINGS: dict[Format, str] = {"onnx": "onnx", "torch_export": "pt2", "safetensors": "safetensors"}
BATCHES = (1, 2, 5)
"""Images of the batches that an export is checked on: the number must not be fixed in it."""
TOLERANCE = 1e-3
"""How far a logit may be from the original's, as a share of the largest logit, or of 1 where all are smaller."""
KEY = "frame"
"""Where the metadata stands in each format, as JSON; in a .pt2 it is the extra file `frame.json`."""

Ask = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) float -> logits (N, classes)."""


@dataclass(frozen=True)
class Exported:
    """A file that was written. difference: the largest of a logit to the original's, on random images."""

    path: Path
    difference: float


def export(run: Run, form: Format, out: Path | None = None) -> Exported:
    """Write the kept model of a run, which must be loaded on the CPU, in fp32 and for batches of any size.

    out: the file, `export/model.<ending>` in the run's folder if None. Raises UserError, or RunFailed where the model
    cannot be exported or its export answers otherwise.
    """
    network = run.network()
    text = json.dumps(metadata(run), ensure_ascii=False)
    with blame(f"the export to {form}"):
        content, ask = {"onnx": _onnx, "torch_export": _torch_export, "safetensors": _safetensors}[form](network, text)
        difference = max(_differences(network, ask))
    if not difference <= TOLERANCE:
        raise RunFailed(
            f"the export to {form} answers otherwise than the model, by up to {difference:.3g} of the largest logit "
            f"(more than {TOLERANCE:g}); nothing is written"
        )
    path = out or run.folder.exports / f"model.{ENDINGS[form]}"
    with writing(path):
        if out is None:
            path.parent.mkdir(exist_ok=True)
        write_bytes(path, content)
    return Exported(path, difference)


def metadata(run: Run) -> dict[str, Any]:
    """Return what one must know to use the model: its classes, and how an image becomes its input."""
    recipe, info = run.loaded.recipe, run.info
    mean, std = mean_and_std(recipe, info)
    values = recipe.shown()
    height, width, channels = info.shape
    return {
        "classes": list(info.classes),
        "input": {"channels": channels, "height": height, "width": width, "layout": "NCHW", "dtype": "float32"},
        "preprocessing": {
            "color": "grey" if channels == 1 else "RGB",
            "fit": {
                "to": [height, width],
                "how": recipe.data.fit,
                "crop_ratio": recipe.data.crop_ratio,
                "interpolation": recipe.data.interpolation,
                "background": list(fit_of(recipe.data, info).background),
            },
            "transforms": values["data"]["eval_transforms"],
            "divide_by": 255,
            "mean": list(mean),
            "std": list(std),
        },
        "output": "logits",
        "model": values["model"],
        "run": run.record["id"],
    }


def _differences(network: Network, ask: Ask) -> Iterator[float]:
    """Yield, for each size of a batch, how far the logits are from the original's, as a share of the largest."""
    rng = np.random.default_rng(0)
    for size in BATCHES:
        images = rng.integers(0, 256, (size, *network.info.shape), dtype=np.uint8)
        inputs = network.evaluation(Split(images, np.zeros(size, np.int64))).inputs(range(size)).contiguous()
        with torch.inference_mode():
            logits = network.model(inputs)
        found = ask(inputs)
        if found.shape != logits.shape:
            raise RunFailed(f"it answers {size} images with shape {tuple(found.shape)}, not {tuple(logits.shape)}")
        yield float((found - logits).abs().max() / logits.abs().max().clamp(min=1))


def _program(network: Network) -> torch.export.ExportedProgram:
    height, width, channels = network.info.shape
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros(2, channels, height, width)
    model = network.model.to(memory_format=torch.contiguous_format)
    return torch.export.export(model, (example,), dynamic_shapes=({0: batch},))


def _onnx(network: Network, text: str) -> tuple[bytes, Ask]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch writes ONNX by it
    except ModuleNotFoundError as error:
        text = f"to export to ONNX, {error.name} is missing: pip install 'frame-train[export]'"
        raise UserError(text, "missing-package") from error
    program = torch.onnx.export(
        _program(network), input_names=["images"], output_names=["logits"], dynamo=True, verbose=False
    )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {KEY: text})
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _torch_export(network: Network, text: str) -> tuple[bytes, Ask]:
    buffer = io.BytesIO()
    torch.export.save(_program(network), buffer, extra_files={f"{KEY}.json": text})
    model: nn.Module = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    return buffer.getvalue(), torch.inference_mode()(model)


def _safetensors(network: Network, text: str) -> tuple[bytes, Ask]:
    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in network.model.state_dict().items()}
    content = save_tensors(tensors, metadata={KEY: text})
    with torch.random.fork_rng(devices=[]):
        again = network.recipe.model.component.build(network.info).eval()
    again.load_state_dict(load_tensors(content))
    return content, torch.inference_mode()(again)
