"""What the tests share: the real images, and runs through the real command line."""

from __future__ import annotations

import atexit
import fcntl
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

import pytest

# Without compiled files, each of hundreds of processes would compile frame, and each test process all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

from fakes import launching  # noqa: E402
from fakes.processor import sitecustomize as processor  # noqa: E402
from frame.cli import main  # noqa: E402
from frame.plugins import load  # noqa: E402
from frame_plugins import _catalogue  # noqa: E402
from frame_plugins.models import torchvision_models  # noqa: E402
from frame_plugins.transforms import albumentations_pipeline, torchvision_transform  # noqa: E402

REPOSITORY = Path(__file__).parents[1]
ARCHIVE = REPOSITORY.parent / "shared" / "data" / "cifar10-jpeg.tar.xz"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frame-tests"

Frame = Callable[..., subprocess.CompletedProcess[str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that stand for other processors; CONTRIBUTING.md has the loop over them."""
    parser.addoption("--threads", type=int, help="threads of torch; 1 where tests run side by side")
    parser.addoption("--auto-precision", choices=("fp32", "bf16"), help="what `train.precision: auto` takes on the CPU")


def pytest_configure(config: pytest.Config) -> None:
    """Set the number of threads before torch is imported: side by side, test processes spin against each other."""
    threads = config.getoption("threads") or (1 if "PYTEST_XDIST_WORKER" in os.environ else None)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what is imported and collected, now and later: a quarter of the time that it takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # else modules that count what they leak would find fault with Python's end
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take minutes, and says so: at the end one process would be alone with it."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(scope="session", autouse=True)
def auto_precision(request: pytest.FixtureRequest) -> None:
    """With --auto-precision: let torch say of the CPU that it computes in bf16, or not; in processes of tests too."""
    if precision := request.config.getoption("auto_precision"):
        os.environ[processor.VARIABLE] = precision
        os.environ.update(on_path(Path(processor.__file__).parent))
        processor.pretend()


@pytest.fixture(autouse=True)
def drafts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures with a tenth of their pixels, but for tests that are marked `sharp`: to draw takes a second each."""
    if "sharp" not in request.keywords:
        monkeypatch.setattr("frame.api.figures.style.DPI", launching.DRAFT_DPI)


@pytest.fixture(scope="session", autouse=True)
def distributions() -> None:
    """Read once which plugins are installed, not for each of thousands of calls: the files of all distributions tell.

    It is read anew where Python imports from elsewhere, or a test has installed something.
    """
    known: dict[object, EntryPoints] = {}

    def installed(group: str) -> EntryPoints:
        own = [Path(place) for place in sys.path if not place.startswith(sys.prefix)]
        files = [file for place in own for file in place.glob("*.dist-info/entry_points.txt")]
        key = (group, *sys.path, *((file, file.stat().st_mtime_ns) for file in files))
        if key not in known:
            known[key] = entry_points(group=group)
        return known[key]

    load.entry_points = installed


@pytest.fixture(scope="session", autouse=True)
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the tests be users whose cache has catalogues of albumentations and torchvision: reading these takes seconds.

    They are kept for the next time that tests run, for as long as the code that makes them is the same.
    """
    own = [_catalogue, albumentations_pipeline, torchvision_models, torchvision_transform]
    code = hashlib.sha256(b"".join(Path(module.__file__).read_bytes() for module in own)).hexdigest()[:12]
    kept = CACHE / f"catalogues-{code}"
    kept.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(kept)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        libraries = (
            albumentations_pipeline.ALBUMENTATIONS,
            torchvision_transform.TORCHVISION,
            torchvision_models.CLASSIFIERS,
        )
        for library in libraries:
            library.catalogue()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("caches"))
    shutil.copytree(kept / "frame", Path(os.environ["XDG_CACHE_HOME"]) / "frame")


@pytest.fixture(scope="session")
def cifar10_root() -> Path:
    """CIFAR-10 as `train|test/<class>/NNNN.jpg`: of FRAME_TEST_CIFAR10, or of the shared archive, unpacked once."""
    if given := os.environ.get("FRAME_TEST_CIFAR10"):
        return Path(given)
    if not ARCHIVE.is_file():
        pytest.skip(f"no CIFAR-10 images: set FRAME_TEST_CIFAR10, or put the archive at {ARCHIVE}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "complete").exists():
            with tarfile.open(ARCHIVE) as archive:
                archive.extractall(CACHE, filter="data")
            (CACHE / "complete").touch()
    return CACHE


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    """Run the command `frame` as a user does: a process of its own, in an empty folder, W&B without credentials.

    With what changes where Python imports from, or its clock, it is a new Python; else one with its imports done.
    """

    def call(*arguments, cwd: Path = tmp_path, env: Mapping[str, str] | None = None, timeout: float = 240):
        environment = {**clean_environment(tmp_path), **(env or {})}
        if not {"PYTHONPATH", "LD_PRELOAD"} & set(env or {}):
            return launching.run(arguments, cwd, environment, timeout)
        command = [sys.executable, "-m", "frame", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return the home of a user with one finished run of these arguments, made once for all test processes.

    Tests that change something copy it.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def home(*arguments: object) -> Path:
        name = hashlib.sha256(repr([str(argument) for argument in arguments]).encode()).hexdigest()[:16]
        home = base / f"trained-{name}"
        with home.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.with_suffix(".done").exists():  # for whoever comes after one that failed, too
                shutil.rmtree(home, ignore_errors=True)
                home.mkdir()
                done = launching.run(["run", *arguments], home, clean_environment(home))
                assert done.returncode == 0, done.stderr
                home.with_suffix(".done").touch()
        return home

    return home


@dataclass(frozen=True)
class Result:
    """What a call of the command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command `frame` in this process, in an empty folder: `frame` without the wait for torch's import."""

    def call(*arguments: str | Path) -> Result:
        monkeypatch.chdir(tmp_path)
        for name in set(os.environ) - set(clean_environment(tmp_path)):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr(sys, "argv", ["frame", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        output = capsys.readouterr()
        return Result(exit_.value.code, output.out, output.err)

    return call


def on_path(folder: Path) -> dict[str, str]:
    """Return the variable that makes processes of tests import from a folder too, before what they do already."""
    paths = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without what would steer frame or W&B, and with an empty home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRAME_", "WANDB_", "MLFLOW_"))}
    return {**kept, "HOME": str(home), "COLUMNS": "160", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven by Playwright."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def recipe_file(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Write a recipe's text into the test's folder."""

    def write(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
