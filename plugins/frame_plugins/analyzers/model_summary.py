"""The model, layer by layer."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Table, hookimpl, layers_of, untouched

TITLE = "Model summary"


class ModelSummary(AnalyzerComponent):
    """Table of the model's layers in the order of their calls, with output shapes and parameters, and the totals.

    For one image. Multiply-adds are counted by torchinfo (https://github.com/TylerYep/torchinfo), memory as
    torchsummary does: every layer's output once forward and once backward, in fp32, 1 MiB = 2^20 bytes.
    """

    needs_model: ClassVar[bool] = True

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from torchinfo import summary

        inputs = run.evaluation_inputs([0])  # (1, C, H, W)
        layers = layers_of(run.model, inputs)
        with untouched(run.model) as model:
            multiply_adds = summary(model, input_data=inputs, device=run.device, verbose=0).total_mult_adds
        parameters = list(run.model.parameters())
        mib = {
            "input": inputs.nbytes / 2**20,
            "forward and backward": sum(2 * 4 * prod(layer.output) for layer in layers) / 2**20,
            "parameters": sum(parameter.nbytes for parameter in parameters) / 2**20,
        }
        scalars: dict[str, float] = {
            "parameters": sum(parameter.numel() for parameter in parameters),
            "trainable parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
            "multiply-adds": multiply_adds,
            **{f"{name} (MiB)": size for name, size in mib.items()},
            "total (MiB)": sum(mib.values()),
        }
        caption = "For one image. A block that computes something itself, such as a sum, stands after its layers."
        columns = ("#", "layer", "type", "output (C, H, W)", "parameters")
        rows = [
            (number, layer.name, layer.kind, ", ".join(map(str, layer.output)), layer.parameters)
            for number, layer in enumerate(layers, 1)
        ]
        table = Table("layers", "Layers in the order of their calls", columns, rows, caption)
        return AnalyzerResult(TITLE, tables=(table,), scalars=scalars)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"model_summary": ModelSummary}
