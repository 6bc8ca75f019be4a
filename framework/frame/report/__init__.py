"""report.html: one self-contained page, made from a run's folder alone."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from ..console import duration
from ..rundir import RunDir, read_lines, write_text


def write_report(folder: RunDir) -> None:
    """Write (or write again) a run's report; a run that is not finished shows what there is."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frame.report", "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"duration": duration, "cell": _cell, "percent": _percent, "day": _day}
    write_text(folder.report, environment.get_template("report.html.j2").render(**gather(folder)))


def gather(folder: RunDir) -> dict[str, Any]:
    """Return everything that the page shows."""
    lines = read_lines(folder.metrics)
    epochs = [line for line in lines if line["kind"] == "epoch"]
    seconds = {line["epoch"]: line["seconds"] for line in read_lines(folder.timing)}
    return {
        "record": folder.read_record(),
        "folder": str(folder.path.resolve()),
        "epochs": [line | {"seconds": seconds.get(line["epoch"])} for line in epochs],
        "columns": [name for name in (epochs[0] if epochs else {}) if "/" in name],
        "lr_finding": _read(folder.lr_finding),
        "recipe": folder.recipe.read_text() if folder.recipe.is_file() else "",
        "environment": _read(folder.environment),
        "results": [_result(path) for path in sorted(folder.analysis.glob("*/result.json"), key=_order)],
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None


def _order(path: Path) -> tuple[int, str]:
    return json.loads(path.read_text())["order"], path.parent.name


def _result(path: Path) -> dict[str, Any]:
    """Return an analyzer's result with its pictures inlined."""
    defaults: dict[str, Any] = {"error": None, "notes": [], "scalars": {}, "pictures": [], "tables": [], "images": []}
    result = defaults | _read(path)
    for picture in result["pictures"]:
        content = (path.parent / picture["file"]).read_bytes()
        picture["data"] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        picture["width"], picture["height"] = Image.open(BytesIO(content)).size
    return result | {"name": path.parent.name}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _day(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
