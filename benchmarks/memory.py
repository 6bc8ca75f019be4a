"""Memory of frame's training against a loop written by hand, and what growing data costs.

    uv run python benchmarks/memory.py

Every figure comes from a process of its own. First: peak memory of an epoch of the S10 network (of the host, and of the
GPU where there is one), in frame and by hand. Then: time and memory of an epoch over images that a worker makes one by
one, for 1, 10 and 100 times as many, with a model of no work.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from _pairs import arguments, interleaved, precision, print_conditions, print_ratios, print_table, ratios, spread

GROWTH = (1, 10, 100)
LAZY = """
data: {{use: synthetic, train: {images}, lazy: true, batch_size: 100, workers: 1}}
model: {{use: "null"}}
loss: {{use: cross_entropy}}
optimizer: {{use: sgd}}
train: {{epochs: 1, device: cpu, precision: fp32, threads: 1}}
"""
S10 = """
data: {{use: synthetic, train: {images}, batch_size: 512}}
model: {{use: custom_resnet}}
loss: {{use: cross_entropy}}
optimizer: {{use: adam}}
train: {{epochs: 1}}
"""
MIB = 2**20
KEEPING = "bare loop, freed memory kept"
"""As frame keeps it on a CPU, for speed."""


def child(kind: str, images: int) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, "--child", kind, "--images", str(images)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def measure(kind: str, images: int) -> dict[str, float]:
    """Train an epoch; return seconds and peak memory in MiB: of this process, of its largest worker, of the GPU."""
    import torch

    epochs = {"lazy": partial(in_frame, LAZY), "frame": partial(in_frame, S10), "bare loop": by_hand, KEEPING: by_hand}
    if kind == KEEPING:
        from frame.compute.allocator import keep_freed_memory

        keep_freed_memory()
    seconds = epochs[kind](images)
    host, worker = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    gpu = torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else 0.0
    return {"seconds": seconds, "host": host, "worker": worker, "gpu": gpu}


def in_frame(recipe: str, images: int) -> float:
    """Return the seconds of a recipe's first epoch."""
    from _job import prepare

    from frame.training.engine import train_epoch

    with tempfile.TemporaryDirectory() as folder:
        job, events, _ = prepare(recipe.format(images=images), Path(folder))
        since = time.perf_counter()
        with events.active():
            train_epoch(job, events)
        seconds = time.perf_counter() - since
        vars(job.training).pop("_processes", None)  # ends the workers: what they took is known when they have ended
    return seconds


def by_hand(images: int) -> float:
    """Return the seconds of the same epoch of the S10 network in a loop written by hand."""
    import torch
    from _synthetic import split
    from torch.nn.functional import cross_entropy

    from frame_plugins.models.custom_resnet.network import CustomResNetModule

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = split(images, 32)
    pixels, targets = torch.from_numpy(data.images).to(device), torch.from_numpy(data.targets).to(device)
    model = CustomResNetModule((64, 128, 256, 512), 3, 10).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    since = time.perf_counter()
    for at in torch.randperm(images, device=device).split(512):
        batch = pixels.index_select(0, at).permute(0, 3, 1, 2).float().sub_(127.5).div_(63.75)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision(device.type) == "bf16"):
            loss = cross_entropy(model(batch), targets.index_select(0, at))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - since


def main() -> None:
    """Measure in processes and print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=5_120, help="images of the S10 network's epoch")
    parser.add_argument("--lazy", type=int, default=500, help="images of the smallest growing epoch")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.images)))
        return
    compare(options.images, options.pairs)
    grow([factor * options.lazy for factor in GROWTH], options.pairs)


def compare(images: int, pairs: int) -> None:
    """Print peak memory of frame's epoch over the bare loop's."""
    print("Peak memory of an epoch of the S10 network\n")
    measured: dict[str, list[dict[str, float]]] = {"bare loop": [], KEEPING: [], "frame": []}

    def peak(kind: str) -> float:
        measured[kind].append(child(kind, images))
        return measured[kind][-1]["host"]

    print_ratios(interleaved({kind: partial(peak, kind) for kind in measured}, pairs), "bare loop", "MiB", ".3f")
    gpu = {kind: [one["gpu"] for one in found] for kind, found in measured.items()}
    if all(gpu["bare loop"]):
        print()
        print_ratios(gpu, "bare loop", "MiB of the GPU")


def grow(counts: list[int], pairs: int) -> None:
    """Print time and memory of an epoch of so many images."""
    print("\nGrowing data, one worker\n")
    measured: dict[str, list[dict[str, float]]] = {f"{count:,}": [] for count in counts}

    def seconds(count: int) -> float:
        measured[f"{count:,}"].append(child("lazy", count))
        return measured[f"{count:,}"][-1]["seconds"]

    found = interleaved({f"{count:,}": partial(seconds, count) for count in counts}, pairs)
    base = f"{counts[0]:,}"
    rows = []
    for name, ones in measured.items():
        memory = [format(median(one[part] for one in ones), ".0f") for part in ("host", "worker")]
        rows.append([name, format(median(found[name]), ".3f"), *spread(ratios(found, name, base), ".1f"), *memory])
    print_table(["images", "median s", f"/ {base}: median", "min", "max", "host MiB", "worker MiB"], rows)
    print_conditions(pairs)


if __name__ == "__main__":
    main()
