"""What the tests of W&B's reports share: folders of finished runs, and what a saved report holds."""

import json
from pathlib import Path

import yaml

FIRST, SECOND, THIRD = "20261124-010000-aaaa", "20261124-020000-bbbb", "20261124-030000-cccc"
CHECKSUM = "c0ffee00" + 28 * "12"
RECIPE = {
    "name": "tiny", "seed": 3, "data": {"use": "digits", "batch_size": 128}, "model": {"use": "custom_resnet"},
    "loss": {"use": "cross_entropy"}, "optimizer": {"use": "adam", "lr": 0.01}, "train": {"epochs": 2},
    "analyzers": [{"use": "curves"}, {"use": "confusion"}],
}  # fmt: skip


def make_run(
    tmp_path, run_id=FIRST, segment="run-20261124_010203-", project="frame", entity="someone", bound=60,
    changes=None, checksum=CHECKSUM, **record,
) -> Path:  # fmt: skip
    """Write the files of a finished run that was logged online, as the host and W&B write them.

    changes: of the recipe. record: changes of run.json.
    """
    folder = tmp_path / "runs" / "tiny" / run_id
    (folder / "analysis").mkdir(parents=True)
    facts = {"id": run_id, "name": "tiny", "state": "finished", "epochs": 2, "kept": "last", "training_seconds": 90.0}
    best = {"metric": "test/acc", "value": 0.97222, "epoch": 2}
    (folder / "run.json").write_text(json.dumps(facts | {"test_accuracy": 0.97222, "best": best} | record))
    tracker = {"use": "wandb", "patience_s": bound}
    (folder / "recipe.resolved.yaml").write_text(
        yaml.safe_dump(RECIPE | {"trackers": [tracker]} | (changes or {}), sort_keys=False)
    )
    git = {"commit": "77602f070d2533ae80b63207d79fcc63cb14b79b", "changed": True}
    environment = {"python": "3.11.7", "versions": {"torch": "2.15.0"}, "device": "cpu | fp32", "git": git}
    environment["data_checksum"] = checksum
    (folder / "environment.json").write_text(json.dumps(environment))
    lines = [
        {
            "kind": "step",
            "epoch": 0.5,
            "step": 1,
            "train/loss": 2.0,
            "train/acc": 0.1,
            "train/grad_norm": 2.0,
            "lr": 0.1,
        },
        {"kind": "epoch", "epoch": 1, "step": 2, "train/loss": 1.0, "test/loss": 1.1, "test/acc": 0.5, "lr": 0.1},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "st')
    (folder / "timing.jsonl").write_text('{"kind": "step", "epoch": 0.5, "step": 1, "images_per_s": 9.0}\n')
    matrices = [{"kind": "matrix", "classes": classes} for classes in (["cat"], ["cat"] * 101)]
    found = {"order": 1, "title": "Confusion", "figures": [
        matrices[0] | {"file": "few.png"}, matrices[1] | {"file": "many.png"}, {"kind": "chart", "file": "bars.png"},
    ]}  # fmt: skip
    curves = {"order": 0, "title": "Curves", "figures": [{"kind": "chart", "file": "loss.png"}]}
    results = {"confusion": found, "curves": curves,
               "grad_cam": {"order": 2, "title": "Grad-CAM", "error": "RuntimeError: no"}}  # fmt: skip
    for name, result in results.items():
        (folder / "analysis" / name).mkdir()
        (folder / "analysis" / name / "result.json").write_text(json.dumps(result))
    (folder / "predictions.safetensors").touch()
    if segment:
        (folder / "wandb" / f"{segment}{run_id}").mkdir(parents=True)
        (folder / "wandb" / f"{segment}{run_id}" / f"run-{run_id}.wandb").touch()
        place = {"id": run_id, "project": project, "entity": entity}
        (folder / "wandb" / "place.json").write_text(json.dumps(place))
    return folder


def make_sweep(tmp_path, metric="test/acc") -> Path:
    """Write a sweep's folder whose trials are FIRST, stopped, SECOND, the best one that finished, and one that failed
    before it had a run."""
    values = [
        {"state": "stopped", "value": 0.99, "run": make_run(tmp_path, FIRST)},
        {"state": "finished", "value": 0.97222, "run": make_run(tmp_path, SECOND)},
        {"state": "failed", "value": None, "run": None, "error": "lr: | must be greater than 0"},
    ]
    trials = [
        {"number": number, "point": {"optimizer.lr": 0.01 * number, "loss": {"use": "cross_entropy"}, "x": [1]},
         "epochs": 2, "gaps": 0, "error": None} | given | {"run": given["run"] and str(given["run"])}
        for number, given in enumerate(values, 1)
    ]  # fmt: skip
    space = {
        "optimizer.lr": {"loguniform": [0.001, 0.1]}, "loss": {"choice": [{"use": "cross_entropy"}]},
        "x": {"choice": [[1], [2]]},
    }  # fmt: skip
    sweep = {"recipe": ["quickstart"], "name": "search", "method": "tpe", "space": space}
    folder = tmp_path / "sweeps" / "search"
    folder.mkdir(parents=True)
    content = {"sweep": sweep, "metric": metric, "mode": "max", "trials": trials}
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder


class Spec:
    """A report's blocks: headings, tables (lines of Markdown), paragraphs and lists as text, and the panels of all
    grids by their view."""

    def __init__(self, spec: dict) -> None:
        kinds = {}
        for block in spec["blocks"]:
            kinds.setdefault(block["type"], []).append(block)
        self.kinds = set(kinds)
        self.headings = [block["children"][0]["text"] for block in kinds["heading"]]
        markdown = [block["content"].splitlines() for block in kinds["markdown-block"]]
        self.tables = [lines for lines in markdown if len(lines) > 1]
        self.links = [lines[0] for lines in markdown if len(lines) == 1]
        ((self.code,),) = ([line["children"][0]["text"] for line in block["children"]] for block in kinds["code-block"])
        self.text = json.dumps([*kinds["paragraph"], *kinds.get("list", ())])
        self.grids = [grid["metadata"] for grid in kinds["panel-grid"]]
        self.runsets = [runset for grid in self.grids for runset in grid["runSets"]]
        self.panels: dict[str, list[dict]] = {}
        for grid in self.grids:
            for panel in grid["panelBankSectionConfig"]["panels"]:
                self.panels.setdefault(panel["viewType"], []).append(panel["config"])

    @property
    def ids(self) -> set[str]:
        """What the runsets' filters let through."""
        return {name for runset in self.runsets for name in ids_of(runset)}

    def table(self, *columns: str) -> list[dict[str, str]]:
        """Return the rows of the only table with these columns."""
        rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table] for table in self.tables]
        ((head, _, *lines),) = [table for table in rows if set(columns) <= set(table[0])]
        return [dict(zip(head, line, strict=True)) for line in lines]


def ids_of(runset: dict) -> list[str]:
    """What a runset's filter lets through."""
    (one,) = runset["filters"]["filters"]
    assert (one["key"], one["op"]) == ({"section": "run", "name": "name"}, "IN")
    return one["value"]
