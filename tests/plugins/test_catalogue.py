"""Names and arguments of albumentations and torchvision: what `frame validate` says, and where it knows them from."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from textwrap import indent

import pytest

from conftest import clean_environment, on_path
from frame_plugins._catalogue import FORMAT, Library
from frame_plugins.models.torchvision_models import CLASSIFIERS
from frame_plugins.transforms.albumentations_pipeline import ALBUMENTATIONS
from frame_plugins.transforms.torchvision_transform import TORCHVISION

RECIPE = """\
model: {use: custom_resnet}
loss: {use: cross_entropy}
optimizer: {use: adam}
train: {epochs: 1}
data:
  use: digits
  train_transforms:
"""
LIBRARIES = [ALBUMENTATIONS, TORCHVISION]
INNER = {"transforms": [], "first": {"use": "HorizontalFlip"}, "second": {"use": "HorizontalFlip"}}


def recipe(*transforms: str) -> str:
    """A recipe with the transforms, whose text begins in line 8."""
    return RECIPE + indent("\n".join(transforms), "    ") + "\n"


def pipeline(library, *steps: dict) -> str:
    """A recipe with one pipeline: step 0 stands in line 10, and each step in one line."""
    return recipe(f"- use: {library}", "  pipeline:", *(f"    - {json.dumps(step)}" for step in steps))


WRONG = recipe(
    "- use: albumentations",
    "  pipeline:",
    "    - {use: HorizontlFlip}",
    "    - use: OneOf",
    "      prob: 0.5",
    "      transforms:",
    "        - {use: RandomCrop, heigth: 3}",
    "        - use: OneOrOther",
    "          first: {use: VerticalFlip, prbability: 1}",
    "          second: {p: 1}",
    "        - {use: OneOf, transforms: {use: Blur}}",
    "        - {use: OneOf, transforms: [Blur]}",
    "- use: torchvision",
    "  pipeline:",
    "    - {use: RandomHorizontalFlip, p: 0.5}",
    "    - use: RandomAply",
    "      transforms:",
    "        - {use: Resize, interpolatoin: bilinear, size: 8}",
    "        - {use: Pad}",
)
PLACE = "data.train_transforms"
MISTAKES = [
    f"recipe.yaml:10: {PLACE}.0.pipeline.0.use: albumentations {version('albumentations')} has no transform "
    "'HorizontlFlip'; did you mean 'HorizontalFlip'?",
    f"recipe.yaml:12: {PLACE}.0.pipeline.1.prob: OneOf has no argument 'prob'; there is p",
    f"recipe.yaml:14: {PLACE}.0.pipeline.1.transforms.0.heigth: RandomCrop has no argument 'heigth'; "
    "did you mean 'height'?",
    f"recipe.yaml:14: {PLACE}.0.pipeline.1.transforms.0.width: is required by RandomCrop",
    f"recipe.yaml:16: {PLACE}.0.pipeline.1.transforms.1.first.prbability: VerticalFlip has no argument 'prbability'; "
    "there is p",
    f"recipe.yaml:17: {PLACE}.0.pipeline.1.transforms.1.second: each step needs `use`, the name of a transform, "
    "as in {use: HorizontalFlip, p: 0.5}",
    f"recipe.yaml:18: {PLACE}.0.pipeline.1.transforms.2.transforms: must be a list of steps; begin each with `- `, "
    "a dash and a space",
    f"recipe.yaml:19: {PLACE}.0.pipeline.1.transforms.3.transforms.0: each step needs `use`, the name of a transform, "
    "as in {use: HorizontalFlip, p: 0.5}",
    f"recipe.yaml:23: {PLACE}.1.pipeline.1.use: torchvision {version('torchvision')} has no transform 'RandomAply'; "
    "did you mean 'RandomApply'?",
    f"recipe.yaml:25: {PLACE}.1.pipeline.1.transforms.0.interpolatoin: Resize has no argument 'interpolatoin'; "
    "did you mean 'interpolation'?",
    f"recipe.yaml:26: {PLACE}.1.pipeline.1.transforms.1.padding: is required by Pad",
]


@pytest.mark.parametrize("command", ["validate", "run"])
def test_every_wrong_name_and_argument_is_told_with_its_line(cli, recipe_file, command):
    result = cli(command, recipe_file(WRONG).name)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [f"error: {mistake}" for mistake in MISTAKES]


def test_they_are_told_together_with_whatever_else_is_wrong(cli, recipe_file):
    text = pipeline("albumentations", {"use": "HorizontlFlip"}, 3).replace("epochs: 1", "epochs: -1")
    recipe_file(text.replace("- use: albumentations", "- use: albumentations\n      pipelines: 1"))
    keys = [one["key"] for one in json.loads(cli("validate", "--json", "recipe.yaml").out)]
    first = "data.train_transforms.0"
    assert keys == ["train.epochs", f"{first}.pipelines", f"{first}.pipeline.0.use", f"{first}.pipeline.1"]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.distribution)
class TestAllThereIs:
    def test_every_name_with_every_argument_is_accepted(self, cli, recipe_file, library):
        entries = library.catalogue().entries
        assert len(entries) > 40
        whole = [
            {"use": name, **{argument: INNER.get(argument, 1) for argument in entry.arguments}}
            for name, entry in entries.items()
        ]
        bare = [{"use": name} for name, entry in entries.items() if not entry.required]
        bare += [{"use": "OneOrOther", "first": None, "second": None}] * ("OneOrOther" in entries)
        result = cli("validate", recipe_file(pipeline(library.distribution, *whole, *bare)).name)
        assert (result.code, result.out, result.err) == (0, "recipe.yaml: ok\n", "")

    def test_every_name_that_is_misspelt_is_refused_with_the_right_one(self, cli, recipe_file, library):
        names = list(library.catalogue().entries)
        text = pipeline(library.distribution, *({"use": f"x{name}"} for name in names))
        found = json.loads(cli("validate", "--json", recipe_file(text).name).out)
        assert [(one["line"], one["suggestion"]) for one in found] == [(10 + n, name) for n, name in enumerate(names)]

    def test_every_argument_that_is_misspelt_is_refused_with_the_right_one(self, cli, recipe_file, library):
        entries = library.catalogue().entries
        cases = [
            (name, argument, [other for other in entry.required if other != argument])
            for name, entry in entries.items()
            for argument in entry.arguments
            if not entry.takes_any
        ]
        steps = [
            {"use": name, f"x{wrong}": 1, **{one: INNER.get(one, 1) for one in needed}} for name, wrong, needed in cases
        ]
        found = json.loads(cli("validate", "--json", recipe_file(pipeline(library.distribution, *steps)).name).out)
        told = [(one["line"], one["suggestion"]) for one in found]
        assert told == [(10 + n, argument) for n, (_, argument, _) in enumerate(cases)]

    def test_it_is_what_the_library_has_when_it_is_imported(self, library):
        assert library.catalogue() == library.imported()


def test_classifiers_of_torchvision_are_checked_too(cli, recipe_file):
    text = RECIPE.replace("{use: custom_resnet}", "{use: torchvision, name: resnet19}").replace(
        "  train_transforms:\n", ""
    )
    result = cli("validate", recipe_file(text).name)
    named = f"torchvision {version('torchvision')} has no classifier 'resnet19'; did you mean 'resnet18'?"
    assert (result.code, result.err) == (2, f"error: recipe.yaml:1: model.name: {named}\n")
    assert CLASSIFIERS.catalogue() == CLASSIFIERS.imported()
    for name in ("resnet50", "vit_b_16"):
        assert cli("validate", "recipe.yaml", f"model.name={name}").code == 0


STAND_IN = {
    "__init__.py": """
from .core.composition import BaseCompose, OneOf
from .core.transforms_interface import BasicTransform

print("a library may greet")

class SoftFlip(BasicTransform):
    def __init__(self, softness, p=0.5):
        pass
""",
    "core/__init__.py": "",
    "core/composition.py": """
class BaseCompose: ...

class OneOf(BaseCompose):
    def __init__(self, transforms, p=0.5):
        pass
""",
    "core/transforms_interface.py": "class BasicTransform: ...\n",
}


@pytest.fixture
def other_version(tmp_path, monkeypatch):
    """Install another version of albumentations, which has little more than a transform of its own."""

    def install(number: str = "99.1", **changes: str) -> None:
        site = tmp_path / f"site-{number}"
        files = STAND_IN | {"__init__.py": changes.get("text", STAND_IN["__init__.py"])}
        for name, text in files.items():
            (site / "albumentations" / name).parent.mkdir(parents=True, exist_ok=True)
            (site / "albumentations" / name).write_text(text)
        info = site / f"albumentations-{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: albumentations\nVersion: {number}\n")
        monkeypatch.syspath_prepend(site)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return install


NEW = pipeline("albumentations", {"use": "OneOf", "transforms": [{"use": "SoftFlip", "softness": 3}]})
READING = "reading the transforms of albumentations 99.1 once, which takes a few seconds ..."
OK = (0, "recipe.yaml: ok\n")


def test_what_another_version_has_is_accepted_and_what_it_has_not_is_refused(cli, recipe_file, other_version):
    recipe_file(NEW)
    other_version()
    result = cli("validate", "recipe.yaml")
    assert (result.code, result.out, result.err) == (*OK, f"{READING}\n")
    recipe_file(pipeline("albumentations", {"use": "Posterize"}))
    result = cli("validate", "recipe.yaml")
    key = "data.train_transforms.0.pipeline.0.use"
    assert result.err == f"error: recipe.yaml:10: {key}: albumentations 99.1 has no transform 'Posterize'\n"


SCRIPT = """
import sys
from frame.cli import main
try:
    main()
finally:
    print(*sorted({"torch", "torchvision", "albumentations"} & set(sys.modules)), file=sys.stderr)
"""


def test_it_is_read_once_and_not_in_the_process_that_validates(recipe_file, other_version, tmp_path):
    recipe_file(NEW)
    other_version()
    variables = clean_environment(tmp_path) | on_path(tmp_path / "site-99.1")
    command = [sys.executable, "-c", SCRIPT, "validate", "recipe.yaml"]
    said = []
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout) == OK, done.stderr
        said.append(done.stderr.splitlines())
    assert said == [[READING, ""], [""]]


def test_each_version_has_a_file_of_its_own(cli, recipe_file, other_version, tmp_path):
    recipe_file(NEW)
    for number in ("99.1", "99.2"):
        other_version(number)
        assert f"albumentations {number} once" in cli("validate", "recipe.yaml").err
    kept = sorted(file.name for file in (tmp_path / "cache" / "frame").iterdir())
    assert [name.split("-")[1] for name in kept] == ["99.1", "99.2"]


def test_a_damaged_file_is_made_anew(cli, recipe_file, other_version, tmp_path):
    recipe_file(NEW)
    other_version()
    (tmp_path / "cache" / "frame").mkdir(parents=True)
    file = tmp_path / "cache" / "frame" / f"albumentations-99.1-transforms-{FORMAT}.json"
    file.write_text('{"SoftFlip": {"arguments": 3}}')
    result = cli("validate", "recipe.yaml")
    assert (result.code, result.out, result.err) == (*OK, f"{READING}\n")
    assert set(json.loads(file.read_text())) == {"OneOf", "SoftFlip"}


def test_what_has_no_version_is_not_kept(other_version, tmp_path):
    other_version()
    library = Library("of-no-distribution", "transform", ALBUMENTATIONS.find)
    assert (
        library.catalogue().lacks("SoftFlap")
        == "of-no-distribution has no transform 'SoftFlap'; did you mean 'SoftFlip'?"
    )
    assert not (tmp_path / "cache").exists()


def test_without_a_cache_it_is_read_once_a_process(cli, recipe_file, other_version, tmp_path):
    recipe_file(NEW)
    recipe_file(NEW, "second.yaml")
    (tmp_path / "cache").write_text("a file where the folder would be")
    other_version()
    result = cli("validate", "recipe.yaml", "second.yaml")
    assert (result.code, result.out, result.err) == (0, "recipe.yaml: ok\nsecond.yaml: ok\n", f"{READING}\n")


def test_a_library_that_cannot_be_imported_is_said_to_be_unchecked(cli, recipe_file, other_version):
    recipe_file(NEW)
    other_version(text="raise ImportError('libGL.so.1: cannot open shared object file')\n")
    result = cli("validate", "recipe.yaml")
    assert (result.code, result.out) == OK
    assert result.err.splitlines() == [
        READING,
        "warning: recipe.yaml:9: data.train_transforms.0.pipeline: not checked against albumentations 99.1, which "
        "could not be read: ImportError: libGL.so.1: cannot open shared object file",
    ]
    recipe_file(pipeline("albumentations", {"p": 1}))
    assert "pipeline.0: each step needs `use`" in cli("validate", "recipe.yaml").err
