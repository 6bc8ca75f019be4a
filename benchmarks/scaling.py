"""Step time in one and in several processes on the CPU, and how much of it the processes wait for each other.

    uv run python benchmarks/scaling.py --processes 2 --rounds 3

Three runs of the S10 network take turns, each process with one thread: one process with the whole batch, several with
the whole batch, and one with the share that each of the several has. What the several take longer than that last one
is communication, and what processes side by side lose to each other in memory and cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

PLUGIN = Path(__file__).with_name("_synthetic.py")
RECIPE = """
name: scaling
plugins: [{plugin}]
data: {{use: synthetic, train: {images}, test: 64, batch_size: {batch}, eval_batch_size: 64}}
model: {{use: custom_resnet}}
loss: {{use: cross_entropy}}
optimizer: {{use: sgd, lr: 0.01}}
train: {{epochs: 1, device: cpu, precision: fp32, log_every: 1}}
"""


def step_time(processes: int, batch: int, steps: int) -> float:
    """Return the median seconds of a step, the first two left out, of a run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(RECIPE.format(plugin=PLUGIN, images=steps * batch, batch=batch))
        command = [sys.executable, "-m", "frame", "run", str(recipe), "--devices", str(processes), "--out", folder]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        (timing,) = Path(folder).glob("scaling/*/timing.jsonl")
        lines = [json.loads(line) for line in timing.read_text().splitlines()]
    return median(batch / line["images_per_s"] for line in lines[2:] if line["kind"] == "step")


def main() -> None:
    """Print the medians over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    size, share = given.processes, given.batch // given.processes
    jobs = {"one": (1, given.batch), "several": (size, given.batch), "share": (1, share)}
    rounds = [{name: step_time(*job, given.steps) for name, job in jobs.items()} for _ in range(given.rounds)]
    one, several, alone = (median(times[name] for times in rounds) for name in jobs)
    print(f"1 process, batch {given.batch}: {1000 * one:.1f} ms a step")
    print(f"{size} processes, batch {given.batch}: {1000 * several:.1f} ms a step, {one / several:.2f} times as fast")
    print(f"1 process, batch {share}: {1000 * alone:.1f} ms a step")
    print(f"not computing in {size} processes: {1 - alone / several:.1%} of a step")


if __name__ == "__main__":
    main()
