"""After the training: the model that is kept, one prediction pass over the test set, and the analyzers that read it."""

from __future__ import annotations

from typing import Any

from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from .analysis import analyze
from .build import Parts
from .console import Console
from .contracts import AnalysisRun, TrainingRun
from .data import Predictions
from .engine import predict
from .lr import read_finding
from .recipe import Recipe
from .rundir import RunDir, read_lines, write_bytes
from .state import load_weights, plain
from .tracking import Trackers


def keep_model(run: TrainingRun, recipe: Recipe, folder: RunDir) -> str:
    """Put the weights that the recipe keeps into `run.eval_model`, save them, and say which they are."""
    model = plain(run.eval_model)
    if recipe.keeps == "best":
        best = load_weights(folder.checkpoints / "best.pt")
        model.load_state_dict(best["model"])
        which = f"epoch {best['epoch']}, the best by {recipe.monitor}"
    else:
        which = f"epoch {run.epoch}, the last"
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_bytes(folder.weights, save_tensors(tensors, metadata={"classes": "\n".join(run.data.classes)}))
    return which


def predict_test(run: TrainingRun, parts: Parts, folder: RunDir) -> Predictions:
    """Run the kept model over the test set once, and save what it answered."""
    predictions = predict(run.eval_model, parts.test, parts.answer, parts.backend)
    arrays: dict[str, Any] = {
        "logits": predictions.logits,
        "targets": predictions.targets,
        "losses": predictions.losses,
    }
    write_bytes(folder.predictions, save_arrays(arrays))
    return predictions


def explain(
    run: TrainingRun, parts: Parts, recipe: Recipe, folder: RunDir, predictions: Predictions, trackers: Trackers,
    console: Console,
) -> int:  # fmt: skip
    """Run the recipe's analyzers and return how many failed."""
    view = AnalysisRun(
        folder=folder.path,
        data=parts.data,
        predictions=predictions,
        metrics=read_lines(folder.metrics),
        lr_finding=read_finding(folder),
        model=plain(run.eval_model).eval(),
        cam_layers=recipe.model.component.cam_layers(),
        device=parts.backend.device,
        seed=recipe.seed,
        evaluation_inputs=parts.test.inputs,
        evaluation_pixels=parts.test.pixels,
        training_pixels=parts.training.pixels,
    )
    return analyze(recipe.analyzers, view, folder.analysis, console.warn, trackers.log_result)
