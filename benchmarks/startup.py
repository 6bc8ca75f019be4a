"""How long the command takes to start, against `import torch`: `uv run python benchmarks/startup.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from _pairs import arguments, interleaved, print_ratios

RECIPE = Path(__file__).parents[1] / "recipes" / "s10_resnet.yaml"
FRAME = [str(Path(sys.executable).parent / "frame")]
COMMANDS = {
    "import torch": [sys.executable, "-c", "import torch"],
    "frame --help": [*FRAME, "--help"],
    "frame validate": [*FRAME, "validate", str(RECIPE)],
    "frame list": [*FRAME, "list"],
    "frame show": [*FRAME, "show", "model/custom_resnet"],
    "frame schema": [*FRAME, "schema"],
    "frame plugin list": [*FRAME, "plugin", "list"],
}


def seconds(command: list[str]) -> float:
    """Return the wall time of one process, in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    since = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - since


def main() -> None:
    """Time the commands and print the table."""
    pairs = arguments(__doc__, pairs=9).parse_args().pairs
    candidates = {name: partial(seconds, command) for name, command in COMMANDS.items()}
    interleaved(candidates, 1)  # fills the disk cache and the bytecode
    print_ratios(interleaved(candidates, pairs), "import torch", "s")


if __name__ == "__main__":
    main()
