"""Recipes that are bombs: what is small and means a lot, or never ends, is refused in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SECONDS, BYTES = 60, 300_000_000
"""Time for each bomb, on a busy machine; and memory beside what the process has once frame is imported."""
LOADS = f"""
import json, resource, sys, time
from pathlib import Path
from frame.errors import UserError
from frame.recipe.load import load_recipe
try:
    load_recipe("quickstart", ["train.epochs=1"])  # imports all that it needs
except UserError as error:
    sys.exit(str(error))
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + {BYTES}
resource.setrlimit(resource.RLIMIT_AS, (size, size))
answers = []
for recipe, overrides in json.load(sys.stdin):
    since = time.monotonic()
    try:
        load_recipe(recipe, overrides)
    except UserError as error:
        answer = str(error)
    else:
        answer = "loaded"
    answers.append((answer, time.monotonic() - since))
print(json.dumps(answers))
"""
LAUGHS = "{a: &a [x, x, x, x, x, x, x, x, x]" + "".join(
    f", {chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]" for i in range(9)
) + "}"  # fmt: skip
MERGES = "{a: &a {k0: 1}" + "".join(
    f", {chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join([f'*{chr(97 + i)}'] * 9)}], k{i + 1}: 1}}" for i in range(9)
) + "}"  # fmt: skip
DOUBLING = "{a0: xxxxxxxxxx" + "".join(f', a{i + 1}: "${{v.a{i}}}${{v.a{i}}}"' for i in range(60)) + "}"

VALUES = {
    "a billion laughs": (LAUGHS, ""),
    "a billion merges": (MERGES, ""),
    "interpolations that double": (DOUBLING, ""),
    "nested lists": ("[" * 50_000, "is not valid YAML"),
    "nested sections": ("{a: " * 20_000, "is not valid YAML"),
    "a number of 90,000 digits": ("9" * 90_000, "a number of 90,000 characters"),
    "a number in base 16": ("0x" + "f" * 90_000, "a number of 90,002 characters"),
    "a number with an absurd exponent": ("1e999999999", ""),
    "a number in base 60": (":".join(["59"] * 30_000), "a number of 89,999 characters"),
    "many keys": ("{" + ", ".join(f"k{i}: 1" for i in range(400)) + "}", ""),
    "many entries": ("[" + "1," * 700 + "]", ""),
    "one long word": ("x" * 90_000, ""),
    "many anchors": ("[" + ", ".join(f"&a{i} x" for i in range(700)) + "]", ""),
    "a nested interpolation": ("${" * 1_000 + "}" * 1_000, ""),
}


def load(*cases: tuple[Path | str, list[str]]) -> list[str]:
    """Load recipes with overrides in a process of its own, within bounds; return what it says to each."""
    given = json.dumps([(str(recipe), overrides) for recipe, overrides in cases])
    command = [sys.executable, "-c", LOADS]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    assert max(seconds for _, seconds in answers) < SECONDS
    return [answer for answer, _ in answers]


def check(folder: Path, bombs: Mapping[str, tuple[str, str]]) -> None:
    """Give each bomb as a value of a recipe's file, and as one on the command line."""
    cases: list[tuple[Path | str, list[str]]] = []
    for number, (text, _) in enumerate(bombs.values()):
        recipe = folder / f"{number}.yaml"
        recipe.write_text(f"name: bomb\nv: {text}\n")
        cases += [(recipe, []), ("quickstart", [f"v={text}", f"train.epochs={text}"])]
    answers = load(*cases)
    for number, (kind, (_, said)) in enumerate(bombs.items()):
        for answer in answers[2 * number : 2 * number + 2]:
            assert answer != "loaded", kind
            assert said in answer, kind
            assert len(answer) < 200_000, kind


def test_a_value_that_is_a_bomb_is_refused_in_bounded_time_and_memory(tmp_path):
    check(tmp_path, VALUES)


@pytest.mark.slow
def test_the_slowest_bombs_are_refused_in_bounded_time_and_memory(tmp_path):
    bombs = {
        "a nested interpolation": "${" * 20_000 + "}" * 20_000,
        "many keys": "{" + ", ".join(f"k{i}: 1" for i in range(9_000)) + "}",
        "many entries": "[" + "1," * 45_000 + "]",
        "many anchors": "[" + ", ".join(f"&a{i} x" for i in range(8_000)) + "]",
    }
    check(tmp_path, {kind: (text, "") for kind, text in bombs.items()})


def chain(folder: Path, files: int) -> Path:
    for number in range(files):
        (folder / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\nseed: {number}\n")
    (folder / f"{files}.yaml").write_text("extends: quickstart\n")
    return folder / "0.yaml"


def test_a_chain_of_a_thousand_recipes_is_refused(tmp_path):
    (answer,) = load((chain(tmp_path, 1000), []))
    assert "40.yaml:1: extends: more than 40 recipes extend each other" in answer


def test_a_chain_of_a_few_recipes_is_followed(tmp_path):
    assert load((chain(tmp_path, 10), [])) == ["loaded"]


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**36)


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (lambda path: os.mkfifo(path), "there is no recipe"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "there is no recipe"),
    "a folder": (lambda path: path.mkdir(), "is a folder; name a recipe in it"),
    "64 GiB": (sparse, "is larger than 100,000 bytes"),
    "itself": (lambda path: path.symlink_to(path.name), ""),
}


def test_what_is_no_recipe_is_not_read_to_its_end(tmp_path):
    cases: list[tuple[Path | str, list[str]]] = []
    for number, (make, _) in enumerate(PLACES.values()):
        odd, top = tmp_path / f"odd{number}.yaml", tmp_path / f"top{number}.yaml"
        make(odd)
        top.write_text(f"extends: {odd.name}\n")
        cases += [(odd, []), (top, [])]
    answers = load(*cases)
    for number, (kind, (_, said)) in enumerate(PLACES.items()):
        assert all(said in answer and answer != "loaded" for answer in answers[2 * number : 2 * number + 2]), kind
