"""How long the command takes to start, against `import torch`: `uv run python benchmarks/startup.py`.

Each round times every command once, one after the other, so that the machine's drift falls on all alike. The ratio of a
round is the command's time over that of `import torch` in the same round.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS = 9
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
    for command in COMMANDS.values():  # fills the disk cache and the bytecode
        seconds(command)
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(ROUNDS)]
    print(f"{'command':<20}{'median s':>10}{'/ import torch: median':>26}{'min':>8}{'max':>8}   ({ROUNDS} rounds)")
    for name in COMMANDS:
        ratios = [one[name] / one["import torch"] for one in rounds]
        spread = f"{median(ratios):>26.3f}{min(ratios):>8.3f}{max(ratios):>8.3f}"
        print(f"{name:<20}{median(one[name] for one in rounds):>10.3f}{spread}")


if __name__ == "__main__":
    main()
