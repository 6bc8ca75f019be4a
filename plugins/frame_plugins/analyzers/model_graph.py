"""A picture of the model's graph."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Picture, hookimpl, untouched

if TYPE_CHECKING:
    from graphviz import Digraph

TITLE = "Model graph"
LONGEST_SIDE = 4000
"""Pixels."""
DPI = 150


class ModelGraph(AnalyzerComponent):
    """Picture of how the model's layers are connected, with the shapes between them. Needs Graphviz on the machine.

    Drawn by torchview: https://github.com/mert-kurttutan/torchview
    """

    needs_model: ClassVar[bool] = True

    depth: int = Field(3, ge=1)
    """How deep to look into modules made of modules: at 1 each child of the model is one box."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        if not shutil.which("dot"):
            note = (
                "The graph is not drawn: Graphviz's `dot` was not found. Install it (`apt-get install graphviz`, "
                "`brew install graphviz`, or https://graphviz.org/download/) and run the analysis again."
            )
            return AnalyzerResult(TITLE, notes=(note,))
        from torchview import draw_graph

        inputs = run.evaluation_inputs([0])  # (1, C, H, W)
        with untouched(run.model) as model:
            graph = draw_graph(model, input_data=inputs, depth=self.depth, expand_nested=True, device=run.device)
        caption = (
            "The layers and what flows between them, from the input at the top; shapes are those of one image, "
            f"(N, C, H, W). Dashed boxes are modules made of modules, up to {self.depth} deep."
        )
        return AnalyzerResult(TITLE, figures=(Picture("graph", TITLE, render(graph.visual_graph), caption),))


def render(graph: Digraph) -> bytes:
    """Return the graph as a PNG whose longer side has at most LONGEST_SIDE pixels."""
    graph.graph_attr.pop("size", None)  # torchview's guess, which shrinks the text
    graph.node_attr.update(fontname="Helvetica")
    size = graph.pipe(format="plain", encoding="utf-8").splitlines()[0]  # "graph <scale> <width> <height>", in inches
    longest = max(float(inches) for inches in size.split()[2:4])
    graph.graph_attr["dpi"] = str(int(min(DPI, LONGEST_SIDE / (longest + 0.2))))  # the margin is 0.1 a side
    return bytes(graph.pipe(format="png"))


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"model_graph": ModelGraph}
