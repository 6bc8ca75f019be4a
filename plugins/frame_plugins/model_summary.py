"""The model, layer by layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Table, hookimpl, untouched

if TYPE_CHECKING:
    from torchinfo.layer_info import LayerInfo

TITLE = "Model summary"
CHAINS = ("Sequential", "ModuleList", "ModuleDict")


class ModelSummary(AnalyzerComponent):
    """Table of the model's layers in the order of their calls, with output shapes and parameters, and the totals.

    Traced by torchinfo (https://github.com/TylerYep/torchinfo) for one image. Memory is counted as torchsummary does:
    every layer's output once forward and once backward, in fp32, 1 MiB = 2^20 bytes.
    """

    needs_model: ClassVar[bool] = True

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from torchinfo import summary

        inputs = run.evaluation_inputs([0])  # (1, C, H, W)
        with untouched(run.model) as model:
            found = summary(model, input_data=inputs, device=run.device, verbose=0)
        layers = computing(found.summary_list)
        mib = {
            "input": inputs.nbytes / 2**20,
            "forward and backward": sum(2 * 4 * prod(layer.output_size[1:]) for layer in layers) / 2**20,
            "parameters": found.total_param_bytes / 2**20,
        }
        scalars: dict[str, float] = {
            "parameters": found.total_params,
            "trainable parameters": found.trainable_params,
            "multiply-adds": found.total_mult_adds,
            **{f"{name} (MiB)": size for name, size in mib.items()},
            "total (MiB)": sum(mib.values()),
        }
        caption = "For one image. A block that computes something itself, such as a sum, stands after its layers."
        columns = ("#", "layer", "type", "output (C, H, W)", "parameters")
        table = Table("layers", "Layers in the order of their calls", columns, rows(layers), caption)
        return AnalyzerResult(TITLE, tables=(table,), scalars=scalars)


def computing(layers: list[LayerInfo]) -> list[LayerInfo]:
    """Return the layers that compute something, in the order in which they are done.

    Left out are containers that only chain their layers, and the model itself unless it has parameters of its own.
    """
    found: list[LayerInfo] = []
    open_blocks: list[LayerInfo] = []
    for layer in layers:
        while open_blocks and layer.depth <= open_blocks[-1].depth:
            found.append(open_blocks.pop())
        if layer.is_leaf_layer:
            found.append(layer)
        elif layer.leftover_params() > 0 or (layer.depth > 0 and layer.class_name not in CHAINS):
            open_blocks.append(layer)
    return found + open_blocks[::-1]


def rows(layers: list[LayerInfo]) -> list[tuple[Any, ...]]:
    """Return a row for each layer with its own parameters; a layer that is called again shares them: counted once."""
    found = []
    for number, layer in enumerate(layers, 1):
        own = layer.num_params if layer.is_leaf_layer else layer.leftover_params()
        shape = ", ".join(str(size) for size in layer.output_size[1:])  # without the batch
        found.append((number, path(layer), layer.class_name, shape, 0 if layer.is_recursive else max(own, 0)))
    return found


def path(layer: LayerInfo) -> str:
    """Return a layer's name as `named_modules` writes it."""
    names = []
    at: LayerInfo | None = layer
    while at is not None and at.parent_info is not None:
        names.append(at.var_name)
        at = at.parent_info
    return ".".join(reversed(names))


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"model_summary": ModelSummary}
