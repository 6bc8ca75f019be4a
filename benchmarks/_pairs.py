"""Measurements side by side: each round takes every candidate once, one after the other, and every second round in
reverse, so that the machine's drift falls on all alike. What counts is a ratio (or difference) within a round."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Literal

import torch

from frame.compute.device import computes_bf16

PAIRS = 5
Found = dict[str, list[float]]  # candidate -> its figure in each round


def arguments(description: str | None, pairs: int = PAIRS) -> argparse.ArgumentParser:
    """Return a parser of the command line with the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=pairs, help="rounds; each takes every candidate once")
    return parser


def interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int) -> Found:
    """Call every candidate once a round; each returns its figure."""
    found: Found = {name: [] for name in candidates}
    for number in range(rounds):
        for name in list(candidates)[:: -1 if number % 2 else 1]:
            found[name].append(candidates[name]())
    return found


def ratios(found: Found, name: str, base: str) -> list[float]:
    """Return a candidate's figure over the base's, round by round."""
    return [one / other for one, other in zip(found[name], found[base], strict=True)]


def differences(found: Found, name: str, base: str) -> list[float]:
    """Return a candidate's figure less the base's, round by round."""
    return [one - other for one, other in zip(found[name], found[base], strict=True)]


def spread(values: Sequence[float], form: str = ".3f") -> list[str]:
    """Return median, minimum and maximum as text."""
    return [format(value, form) for value in (median(values), min(values), max(values))]


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as Markdown, ready for docs/performance.md."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    for cells in (head, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |")


def print_ratios(found: Found, base: str, unit: str, form: str = ".3f") -> None:
    """Print every candidate's median figure, and the spread of its ratio to the base."""
    rows = [[name, format(median(found[name]), form), *spread(ratios(found, name, base))] for name in found]
    print_table(["", f"median {unit}", f"/ {base}: median", "min", "max"], rows)
    print_conditions(len(found[base]))


def print_conditions(rounds: int) -> None:
    """Print what the figures depend on besides the code."""
    auto = f"precision auto is {precision('cuda' if torch.cuda.is_available() else 'cpu')}"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    print(f"\n{rounds} rounds, {date.today()}, {processor()}, {os.cpu_count()} cores, {auto}, {versions}")


def precision(device: str = "cpu") -> Literal["bf16", "fp32"]:
    """Return what `train.precision: auto` takes on a device: bf16 where the hardware computes in it."""
    return "bf16" if computes_bf16(torch.device(device)) else "fp32"


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
