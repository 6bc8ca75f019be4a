"""What the tests of faults share: a recipe whose components die and hang, and a look at the run that it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FAULTY = Path(__file__).parents[1] / "framework" / "fixtures" / "faulty.yaml"


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "faulty").iterdir()
    return run


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())
