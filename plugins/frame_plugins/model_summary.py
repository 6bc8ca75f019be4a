"""The model, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Table, hookimpl

if TYPE_CHECKING:
    from torchinfo.layer_info import LayerInfo

TITLE = "Model summary"


class ModelSummary(AnalyzerComponent):
    """Table of the model's layers in the order of their calls, with output shapes and parameters, and the totals.

    Counted by torchinfo for one image: https://github.com/TylerYep/torchinfo
    """

    needs_model: ClassVar[bool] = True

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        from torchinfo import summary

        from ._untouched import untouched

        inputs = run.evaluation_inputs([0])  # (1, C, H, W)
        with untouched(run.model) as model:
            found = summary(model, input_data=inputs, device=run.device, verbose=0)
        scalars = {
            "parameters": float(found.total_params),
            "trainable_parameters": float(found.trainable_params),
            "mult_adds": float(found.total_mult_adds),
            "input_mb": inputs.nbytes / 1e6,
            "forward_backward_mb": found.total_output_bytes / 1e6,
            "parameters_mb": found.total_param_bytes / 1e6,
            "total_mb": (inputs.nbytes + found.total_output_bytes + found.total_param_bytes) / 1e6,
        }
        caption = (
            f"{found.total_params:,} parameters, {found.trainable_params:,} of them trainable; "
            f"{found.total_mult_adds:,} multiply-adds for one image. Memory for one image (1 MB = 1,000,000 bytes): "
            f"input {scalars['input_mb']:.2f} MB, outputs and their gradients of the layers with parameters "
            f"{scalars['forward_backward_mb']:.2f} MB, parameters {scalars['parameters_mb']:.2f} MB "
            f"({found.total_param_bytes / 2**20:.2f} MiB), together {scalars['total_mb']:.2f} MB."
        )
        columns = ("#", "layer", "type", "output (C, H, W)", "parameters")
        table = Table("layers", "Layers in the order of their calls", columns, rows(found.summary_list), caption)
        return AnalyzerResult(TITLE, tables=(table,), scalars=scalars)


def rows(layers: list[LayerInfo]) -> list[tuple[Any, ...]]:
    """Return a row for each leaf layer, and for each container that holds parameters of its own.

    A layer that is called again shares its parameters: they count once.
    """
    found: list[tuple[Any, ...]] = []
    for layer in layers:
        own = layer.num_params if layer.is_leaf_layer else layer.leftover_params()
        if layer.is_leaf_layer or own > 0:
            shape = ", ".join(str(size) for size in layer.output_size[1:])  # without the batch
            parameters = 0 if layer.is_recursive else max(own, 0)
            found.append((len(found) + 1, path(layer), layer.class_name, shape, parameters))
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
