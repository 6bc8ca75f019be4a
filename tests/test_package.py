"""The package: what pyproject.toml promises, and a wheel that is whole."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import frame as package
from conftest import on_path

REPOSITORY = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PLUGINS = REPOSITORY / "plugins" / "frame_plugins"


def test_the_version_is_said_once_in_two_places():
    assert package.__version__ == PYPROJECT["project"]["version"]


def test_exactly_the_plugins_that_exist_are_registered():
    found = [path for path in PLUGINS.glob("*/*") if path.suffix == ".py" or (path / "__init__.py").is_file()]
    plugins = {path.stem: f"frame_plugins.{path.parent.name}.{path.stem}" for path in found if path.stem[0] != "_"}
    plugins["shipped_recipes"] = "frame_plugins.shipped_recipes"
    assert PYPROJECT["project"]["entry-points"]["frame.plugins"] == plugins


def test_every_direct_dependency_is_pinned_within_its_range():
    pins = {
        canonicalize_name(pin.name): pin for pin in map(Requirement, PYPROJECT["tool"]["uv"]["constraint-dependencies"])
    }
    groups = [PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"].values()]
    groups += PYPROJECT["project"]["optional-dependencies"].values()
    wanted = [Requirement(text) for group in groups for text in group if isinstance(text, str)]
    assert len(wanted) > 25
    for requirement in wanted:
        (pin,) = pins[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "=="
        assert pin.version in requirement.specifier, requirement


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return path


def test_the_wheel_holds_everything_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = [path for root in ("framework", "plugins") for path in (REPOSITORY / root).rglob("*.py")]
    expected = {str(Path(*path.relative_to(REPOSITORY).parts[1:])) for path in sources}
    expected |= {f"frame_plugins/recipes/{path.name}" for path in (REPOSITORY / "recipes").glob("*.yaml")}
    report = REPOSITORY / "framework" / "frame" / "report"
    expected |= {f"frame/report/{path.relative_to(report)}" for path in report.rglob("*.*") if path.suffix != ".pyc"}
    expected |= {"frame/py.typed", "frame_plugins/py.typed"}
    assert len(expected) > 70
    assert expected <= names
    assert {name.split("/")[0] for name in names} == {"frame", "frame_plugins", "frame_train-0.1.0.dist-info"}
    assert "frame_train-0.1.0.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]


def test_the_unpacked_wheel_works_in_an_empty_folder(wheel, tmp_path, frame):
    shutil.unpack_archive(wheel, tmp_path / "unpacked", format="zip")
    (tmp_path / "empty").mkdir()
    here = {"cwd": tmp_path / "empty", "env": on_path(tmp_path / "unpacked")}
    listed = frame("list", "recipes", **here)
    paths = re.findall(r"(\S+)\.yaml", listed.stdout)
    assert {Path(path).parent for path in paths} == {tmp_path / "unpacked" / "frame_plugins" / "recipes"}
    for path in paths:
        done = frame("validate", Path(path).name, **here)
        assert done.stdout.endswith(": ok\n"), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_installed_wheel_runs_the_quickstart_in_an_empty_folder(wheel, tmp_path):
    """What a user gets who installs the wheel and nothing else. Needs uv and the packages."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FRAME_", "VIRTUAL_ENV"))}
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True, env=environment)
    subprocess.run(["uv", "pip", "install", "-q", "--python", python, wheel], check=True, env=environment)
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [python.with_name("frame"), "run", "quickstart"],
        cwd=tmp_path / "empty",
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "empty" / "runs" / "quickstart").iterdir()
    assert float(re.search(r"test accuracy ([\d.]+)%", done.stdout)[1]) >= 97
    assert (run / "report.html").is_file()
