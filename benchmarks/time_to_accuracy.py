"""Seconds to train, and accuracy, of frame's fastest recipes against airbench94's own loop, in turns.

    uv run python benchmarks/time_to_accuracy.py --root data

On a CPU against the port in benchmarks/reference, about 9 minutes a run; with CUDA against the package airbench,
where that is installed (`uv run --with airbench ...`). It downloads the original CIFAR-10 by itself: give frame the
same with --root. Times mean nothing at another accuracy: look at that first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median

import torch
from _pairs import arguments, interleaved, print_conditions, print_table, ratios, spread

from frame.recipe.load import load_recipe

HERE = Path(__file__).parent
RECIPES = ("cifar10_speedrun", "cifar10_muon")
"""airbench94 itself, and with another optimizer."""
ORIGINAL = """
import json, time, torch, airbench
airbench.warmup94(verbose=False)
torch.cuda.synchronize(); since = time.perf_counter()
accuracy = airbench.train94(verbose=False)
torch.cuda.synchronize()
print(json.dumps({"seconds": time.perf_counter() - since, "accuracy": float(accuracy)}))
"""
Result = dict[str, float]  # seconds of training, accuracy


def run_frame(recipe: str, root: Path, overrides: Sequence[str], seed: int) -> Result:
    """Run a recipe without analyzers and trackers; its steps' seconds (evaluation left out), and its accuracy."""
    with tempfile.TemporaryDirectory() as out:
        bare = ["analyzers=[]", "trackers=[]", "train.log_every=1"]
        settings = [f"data.root={root}", f"seed={seed}", *bare, *overrides]
        call([str(Path(sys.executable).parent / "frame"), "run", recipe, *settings, "--out", out])
        (record,) = Path(out).glob("*/*/run.json")
        accuracy = json.loads(record.read_text())["test_accuracy"]
        lines = [json.loads(line) for line in record.with_name("timing.jsonl").read_text().splitlines()]
        batch = load_recipe(str(record.with_name("recipe.resolved.yaml"))).recipe.data.batch_size
    rates = [line["images_per_s"] for line in lines if line["kind"] == "step"]
    return {"seconds": sum(batch / rate for rate in rates), "accuracy": accuracy}


def run_port(root: Path, options: Sequence[str], seed: int) -> Result:
    """Run the port of airbench94's loop, whose last line is JSON."""
    port = [sys.executable, str(HERE / "reference" / "airbench94_cpu.py")]
    return json.loads(call([*port, "--root", str(root), "--seed", str(seed), *options]))


def run_original(_seed: int) -> Result:
    """Run airbench94 itself, compiled and warmed up; it seeds nothing."""
    return json.loads(call([sys.executable, "-c", ORIGINAL]))


def call(command: list[str]) -> str:
    """Run a process and return its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]


def main() -> None:
    """Run all in turns and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("FRAME_DATA_DIR", "data")), help="CIFAR-10")
    parser.add_argument("--recipe", action="append", help="one of frame's; may be repeated")
    parser.add_argument("--override", action="append", default=[], help="KEY=VALUE for frame; may be repeated")
    parser.add_argument("--port-option", action="append", default=[], help="--name=value for the port; may be repeated")
    options = parser.parse_args()
    root = options.root.resolve()
    ways: dict[str, Callable[[int], Result]] = {
        f"frame, {recipe}": partial(run_frame, recipe, root, options.override) for recipe in options.recipe or RECIPES
    }
    if torch.cuda.is_available() and find_spec("airbench"):
        ways["airbench94"] = run_original
    else:
        ways["airbench94, ported"] = partial(run_port, root, options.port_option)
    results: dict[str, list[Result]] = {name: [] for name in ways}

    def seconds(name: str) -> float:
        results[name].append(ways[name](len(results[name])))
        print(f"{name}: {results[name][-1]}", flush=True)
        return results[name][-1]["seconds"]

    found = interleaved({name: partial(seconds, name) for name in ways}, options.pairs)
    base = list(ways)[-1]
    rows = []
    for name in ways:
        accuracies = [one["accuracy"] for one in results[name]]
        accuracy = f"{mean(accuracies):.2%} ({min(accuracies):.2%} to {max(accuracies):.2%})"
        rows.append([name, accuracy, format(median(found[name]), ".1f"), *spread(ratios(found, name, base))])
    print()
    print_table(["", "test accuracy: mean (min to max)", "median s", f"/ {base}: median", "min", "max"], rows)
    print_conditions(options.pairs)


if __name__ == "__main__":
    main()
