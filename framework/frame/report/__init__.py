"""report.html: one self-contained page, made from a run's folder alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from ..console import duration
from ..recipe.yaml_text import quoted
from ..rundir.files import write_text
from ..rundir.folder import RunDir
from .gather import gather

SHARE = r"\b(accuracy|share|confidence|calibration error)\b"
"""In a scalar's name: it is a share, and shown in percent."""


def write_report(folder: RunDir, state: str | None = None) -> list[str]:
    """Write (or write again) a run's report, and return what is damaged and left out of it.

    A run that is not finished shows what there is. state: the one that run.json is about to say. Raises UserError where
    run.json is damaged.
    """
    page = gather(folder, state)
    write_text(folder.report, render("page.html.j2", page))
    return list(page["damaged"])


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page: a template of this folder, filled in."""
    return _templates().get_template(template).render(**values, asset=_asset)


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frame.report", "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "duration": duration,
        "cell": _cell,
        "percent": _percent,
        "metric": _metric,
        "measured": _measured,
        "day": _day,
    }
    environment.filters["setting"] = quoted
    return environment


@cache
def _asset(name: str) -> str:
    return (files("frame.report") / "assets" / name).read_text()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 1e5 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _metric(value: float | None, name: str) -> str:
    """Return a metric's value as it is written: accuracies in percent."""
    return _percent(value) if name.endswith("/acc") else _cell(value)


def _scalar(value: float | None) -> str:
    return _cell(int(value)) if value is not None and value.is_integer() and abs(value) < 1e9 else _cell(value)


def _measured(value: float | None, name: str) -> tuple[str, str]:
    """Return what a scalar is called and how it is written: shares in percent, a unit behind the number."""
    name, unit = match.groups() if (match := re.fullmatch(r"(.+) \((\S+)\)", name)) else (name, "")
    name = name.replace("_", " ")
    if value is not None and 0 <= value <= 1 and re.search(SHARE, name):
        return name, _percent(value)
    if value is not None and unit == "MiB" and value < 1:
        value, unit = 1024 * value, "KiB"
    return name, f"{_scalar(value)} {unit}".strip()


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")
