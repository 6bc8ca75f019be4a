"""What the page of a run in training costs, by the number of epochs that are done: seconds and megabytes.

    uv run python benchmarks/page_cost.py
    uv run python benchmarks/page_cost.py --epochs 3000 --lines 10

The history is made up: `--lines` logged steps an epoch, with loss, accuracy, gradient's norm, rate and momentum. What
is done for one page is measured: the analyzer `curves` and the page itself, read from the folder and written. A run
pays at most its share of the training's time in all (`PAGES_SHARE` in frame/events.py).
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from statistics import median

from frame.analysis.after_training import explain_so_far
from frame.recipe.load import load_recipe
from frame.report import write_report
from frame.rundir.folder import RunDir, write_json
from frame.rundir.jsonfile import to_json

RECORD = {"id": "run", "name": "long", "state": "running", "started": "2026-11-23T10:00:00+00:00"}


def made_up(folder: RunDir, epochs: int, lines: int) -> None:
    """Write the history of a run of so many epochs."""
    folder.analysis.mkdir(parents=True)
    write_json(folder.record, RECORD | {"epochs": epochs + 1})
    metrics, timing, step = [], [], 0
    for epoch in range(epochs):
        for line in range(1, lines + 1):
            step += 10
            loss = 2.3 / (1 + epoch + line / lines) + 0.01 * math.sin(step)
            place = {"kind": "step", "epoch": epoch + line / lines, "step": step}
            train = {"train/loss": loss, "train/acc": 1 - loss / 3}
            rates = {"lr": 0.01, "momentum": 0.9}
            metrics.append(place | train | {"train/grad_norm": 3 * loss} | rates)
            timing.append(place | {"images_per_s": 900 + round(100 * math.sin(step), 1)})
        place = {"kind": "epoch", "epoch": epoch + 1, "step": step}
        metrics.append(place | train | {"test/loss": loss + 0.1, "test/acc": 1 - loss / 2.9} | rates)
        timing.append(place | {"seconds": 0.1})
    for path, values in ((folder.metrics, metrics), (folder.timing, timing)):
        path.write_text("".join(f"{to_json(value)}\n" for value in values))


def main() -> None:
    """Measure pages of each length and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 100, 1000, 3000])
    parser.add_argument("--lines", type=int, default=3)
    parser.add_argument("--pages", type=int, default=5, help="pages of each length; the median is printed")
    given = parser.parse_args()
    print("epochs  CPU s  result.json MB  page MB")
    with tempfile.TemporaryDirectory() as home:
        Path(home, "recipe.yaml").write_text(
            "data: {use: digits}\nmodel: {use: custom_resnet}\nloss: {use: cross_entropy}\n"
            "optimizer: {use: adam}\nanalyzers: [{use: curves}]\ntrain: {epochs: 1}\n"
        )
        recipe = load_recipe(str(Path(home, "recipe.yaml"))).recipe
        for epochs in given.epochs:
            folder, seconds = RunDir(Path(home, str(epochs))), []
            made_up(folder, epochs, given.lines)
            for _ in range(given.pages + 1):  # the first one imports
                since = time.process_time()
                explain_so_far(recipe, folder)
                write_report(folder)
                seconds.append(time.process_time() - since)
            sizes = [path.stat().st_size / 1e6 for path in (folder.analysis / "curves/result.json", folder.report)]
            print(f"{epochs:6}  {median(seconds[1:]):5.2f}  {sizes[0]:14.2f}  {sizes[1]:7.2f}")


if __name__ == "__main__":
    main()
