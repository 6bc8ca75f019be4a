"""After the training: the model that is kept, one prediction pass over the test set, and the analyzers that read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors
from torch import nn

from ..api.contracts import AnalysisRun, RunHistory, TrainingRun
from ..api.data import Predictions
from ..recipe.recipe import Recipe
from ..rundir.checkpoints import load_best
from ..rundir.files import write_bytes
from ..rundir.folder import RunDir
from ..rundir.history import read_lines
from ..training.build import Parts
from ..training.engine import predict
from ..training.lr_finder import read_finding
from ..training.schedule_plan import read_plan
from ..training.state import plain
from .analyze import analyze_history


def keep_model(run: TrainingRun, recipe: Recipe, folder: RunDir, *, is_best: bool) -> str:
    """Put the weights that the recipe keeps into `run.eval_model`, save them, and say which they are.

    is_best: whether some epoch is the best; where none is, the last is kept.
    """
    model = plain(run.eval_model)
    if recipe.keeps == "best" and is_best:
        best = load_best(folder)
        model.load_state_dict(best["model"])
        which = f"epoch {best['epoch']}, the best by {recipe.monitor}"
    else:
        which = f"epoch {run.epoch}, the last"
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_bytes(folder.weights, save_tensors(tensors, metadata={"classes": json.dumps(run.data.classes)}))
    return which


def predict_test(run: TrainingRun, parts: Parts, folder: RunDir) -> Predictions:
    """Run the kept model over the test set once, and save what it answered."""
    predictions = predict(run.eval_model, parts.test, parts.forward, parts.backend)
    arrays: dict[str, Any] = {
        "logits": predictions.logits,
        "targets": predictions.targets,
        "losses": predictions.losses,
    }
    write_bytes(folder.predictions, save_arrays(arrays))
    return predictions


def analysis_run(model: nn.Module, parts: Parts, folder: RunDir, predictions: Predictions) -> AnalysisRun:
    """Return what analyzers see of a run. model: the kept one."""
    recipe = parts.recipe
    return AnalysisRun(
        **vars(history(folder)),
        data=parts.data.read_only(),
        predictions=predictions,
        model=plain(model).eval(),
        cam_layers=tuple(recipe.model.component.cam_layers()),
        device=parts.backend.device,
        seed=recipe.seed,
        evaluation_inputs=parts.test.inputs,
        evaluation_pixels=parts.test.pixels,
        training_pixels=parts.training.pixels,
        logits=logits_of(model, parts),
    )


def explain_so_far(recipe: Recipe, folder: RunDir) -> None:
    """Run those of the recipe's analyzers that read the history alone."""
    analyze_history(recipe.analyzers, history(folder), folder.analysis)


def history(folder: RunDir) -> RunHistory:
    """Return what a run's folder tells of its training so far."""
    return RunHistory(
        folder=folder.path,
        metrics=read_lines(folder.metrics),
        timing=read_lines(folder.timing),
        plan=read_plan(folder),
        lr_finding=read_finding(folder),
    )


def logits_of(model: nn.Module, parts: Parts) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of `AnalysisRun.logits`: pixels (N, H, W, C) uint8 -> logits (N, classes) float32."""
    pipeline, backend = parts.test, parts.backend

    @torch.inference_mode()
    def logits(pixels: np.ndarray) -> np.ndarray:
        found = []
        for part in torch.split(torch.from_numpy(pixels), pipeline.batch_size):
            images = part.to(backend.device).permute(0, 3, 1, 2)  # (N, C, H, W)
            with backend.autocast():
                found.append(parts.forward(model, backend.order(pipeline.normalize(images))).float().cpu())
        return torch.cat(found).numpy()

    return logits
