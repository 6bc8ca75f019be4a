"""What a run needs of the machine it runs on: looked at without changing anything, and without a network.

torch and what else is slow or may be broken is imported where it is looked at.
"""

from __future__ import annotations

import importlib
import math
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import distributions, version
from io import StringIO
from pathlib import Path
from typing import Literal

from ..errors import UserError, expanded
from ..rundir.cache import cache_root
from ..runs.versions import installed
from .strictness import strictness

GIB = 2**30
LITTLE_SPACE, NO_SPACE = 2 * GIB, GIB // 10
"""Bytes: the checkpoints of the S10 network, its predictions and figures take some 0.4 GiB."""
PACKAGES = ("torch", "torchvision", "numpy", "albumentations", "matplotlib", "wandb")
EXTRAS = {"mlflow-skinny": "mlflow", "tensorboard": "tensorboard", "wandb-workspaces": "wandb-reports"}
CIFAR10_FORMS = ("train", "test", "cifar-10-batches-py", "cifar-10-python.tar.gz")


@dataclass(frozen=True)
class Finding:
    """What was found of one thing, and what to do about it. A `problem` keeps runs from working."""

    subject: str
    state: Literal["ok", "warning", "problem"]
    message: str
    advice: str = ""


Findings = Iterator[Finding]


def examine(out: Path) -> Findings:
    """Yield one finding after the other. out: the folder that runs are to be made in."""
    looks: tuple[tuple[str, Callable[[], Findings]], ...] = (
        ("frame", _frame),
        ("packages", _packages),
        ("OpenCV", _opencv),
        ("device", _device),
        ("threads", _threads),
        ("W&B", _wandb),
        ("output", lambda: _folder("output", out, "choose another folder: frame run --out FOLDER", "problem")),
        (
            "cache",
            lambda: _folder("cache", cache_root(), "set XDG_CACHE_HOME to a folder that can be written", "warning"),
        ),
        ("data", _data),
        ("Graphviz", _graphviz),
        ("plugins", _plugins),
    )
    for subject, look in looks:
        try:
            yield from look()
        except Exception as error:  # broken installations break in every way
            yield Finding(subject, "problem", f"cannot be looked at: {type(error).__name__}: {error}")


def _frame() -> Findings:
    yield Finding("frame", "ok", f"{version('frame-train')}, Python {platform.python_version()}, {platform.platform()}")


def _packages() -> Findings:
    """Import every package, for the metadata does not say that it works."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # without it, importing asks a server for news
    for name in PACKAGES:
        try:
            with redirect_stderr(StringIO()):
                importlib.import_module(name)
        except Exception as error:
            advice = f"install it: pip install {name}"
            if "torchvision::nms" in str(error) or (name == "torchvision" and installed("torchvision")):
                advice = "install torch and torchvision anew, both from the same place"
            elif "libGL" in str(error):
                advice = "see OpenCV below"
            elif found := installed(name):
                advice = f"{found} is installed and broken: pip install --force-reinstall {name}"
            yield Finding(name, "problem", f"cannot be imported: {type(error).__name__}: {_line(error)}", advice)
        else:
            yield Finding(name, "ok", installed(name) or "no distribution of this name, but it imports")
    for name, extra in EXTRAS.items():
        found = installed(name)
        advice = "" if found else f"only if you want it: pip install 'frame-train[{extra}]'"
        yield Finding(name, "ok", found or "not installed", advice)


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _opencv() -> Findings:
    """Look for distributions that overwrite each other's `cv2`, and for the libGL that only one of them needs."""
    names = sorted({name for one in distributions() if re.match(r"opencv[-_](contrib[-_])?python", name := one.name)})
    one_only = "keep one: pip uninstall " + " ".join(names) + "; pip install opencv-python-headless"
    try:
        importlib.import_module("cv2")
    except Exception as error:
        advice = one_only if names else "pip install opencv-python-headless"
        if "libGL" in str(error):
            advice += " (which needs no libGL; or install the system's: apt-get install libgl1)"
        yield Finding("OpenCV", "problem", f"cv2 cannot be imported: {_line(error)}", advice)
        return
    if len(names) > 1:
        yield Finding("OpenCV", "warning", f"{' and '.join(names)} install the same cv2 over each other", one_only)
    else:
        yield Finding("OpenCV", "ok", ", ".join(f"{name} {installed(name)}" for name in names))


def _device() -> Findings:
    """Compute something on the device that a recipe gets with `auto`."""
    import torch

    from ..compute.device import choose_backend
    from ..recipe.settings import TrainSettings

    backend = choose_backend(TrainSettings(epochs=1))
    if backend.device.type == "cpu" and (Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")):
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        advice = "install a torch that fits the driver (nvidia-smi shows its CUDA version)"
        yield Finding(
            "device", "warning", f"there is an NVIDIA driver, but torch (built {built}) cannot use it", advice
        )
    try:
        layer = torch.nn.Conv2d(3, 3, 3).to(backend.device)
        with torch.no_grad(), backend.autocast():
            float(layer(torch.ones(1, 3, 8, 8, device=backend.device)).sum())
    except Exception as error:
        advice = "install a torch that is built for this device, or set train.device=cpu"
        yield Finding("device", "problem", f"{backend.describe()} does not compute: {_line(error)}", advice)
        return
    yield Finding("device", "ok", backend.describe())
    bf16 = "computed by the hardware; precision auto takes it"
    if backend.precision != "bf16":
        bf16 = "not computed by the hardware; precision auto takes fp32"
    yield Finding("bf16", "ok", bf16)


def _threads() -> Findings:
    """Compare torch's threads with the cores that this process may use."""
    import torch

    threads, cores = torch.get_num_threads(), _cores()
    told = f"torch computes with {threads}, this process may use {cores:g} of {os.cpu_count()} cores"
    if threads > math.ceil(cores):
        yield Finding(
            "threads", "warning", told, f"set train.threads={math.ceil(cores)}: more only wait for each other"
        )
    else:
        advice = "OMP_NUM_THREADS or train.threads changes it" if threads < math.floor(cores) else ""
        yield Finding("threads", "ok", told, advice)


def _cores() -> float:
    """Return the cores that the process may use: those it is bound to, and no more than its container's share."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(bound, int(share) / int(period))
    except (OSError, ValueError):  # no such file, or `max`
        return bound


def _wandb() -> Findings:
    """Say whether W&B has credentials and where they are from; never what they are."""
    from wandb.errors import AuthenticationError
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib.wbauth import check_api_key, read_netrc_auth

    log_in = "run `wandb login`, or set WANDB_API_KEY"
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        settings = wandb_setup.singleton().settings
        try:
            key = os.environ.get("WANDB_API_KEY") or read_netrc_auth(host=settings.base_url)
        except AuthenticationError:
            key = "malformed"
    mode = os.environ.get("WANDB_MODE", "online")
    where = "WANDB_API_KEY" if os.environ.get("WANDB_API_KEY") else "the netrc file"
    token = os.environ.get("WANDB_IDENTITY_TOKEN_FILE")
    if mode != "online":
        yield Finding(
            "W&B", "ok", f"WANDB_MODE={mode}: nothing is sent", "`frame sync RUN` sends what was kept offline"
        )
    elif key and check_api_key(key):
        yield Finding("W&B", "warning", f"the key in {where} is none that W&B gives out", log_in)
    elif key or token:
        yield Finding("W&B", "ok", f"credentials for {settings.base_url} in {where if key else token} (not tried)")
    else:
        told = f"not logged in to {settings.base_url}; the tracker keeps its runs offline"
        yield Finding("W&B", "warning", told, f"{log_in}; `frame sync RUN` sends them later")


def _folder(subject: str, folder: Path, advice: str, if_not: Literal["warning", "problem"]) -> Findings:
    """Write into the folder, or where it would be made, and look how much room is left."""
    folder = expanded(folder).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        yield Finding(subject, if_not, f"{folder} cannot be written: {error.strerror}", advice)
        return
    told = f"{folder} can be written, {free / GIB:.1f} GiB free"
    if free < LITTLE_SPACE:
        yield Finding(subject, if_not if free < NO_SPACE else "warning", told, f"make room, or {advice}")
    else:
        yield Finding(subject, "ok", told)


def _data() -> Findings:
    """Look for CIFAR-10 where its dataset will: in the data root and in the folder `cifar10` in it."""
    variable = os.environ.get("FRAME_DATA_DIR")
    root = expanded(variable or "data")
    set_it = "set FRAME_DATA_DIR to the folder of the data, or data.root in a recipe"
    if variable and not root.is_dir():
        yield Finding("data", "problem", f"FRAME_DATA_DIR is {variable}, which is no folder", set_it)
        return
    found = [place / form for place in (root / "cifar10", root) for form in CIFAR10_FORMS if (place / form).exists()]
    if found:
        yield Finding("data", "ok", f"CIFAR-10 is at {found[0].absolute()}")
    else:
        told = f"no CIFAR-10 in {root.absolute()}; the first run that needs it downloads it there (170 MB)"
        yield Finding("data", "warning", told, f"if you have it elsewhere, {set_it}; `quickstart` needs no data")


def _graphviz() -> Findings:
    if dot := shutil.which("dot"):
        yield Finding("Graphviz", "ok", dot)
    else:
        told = "there is no `dot`; the analyzer model_graph draws nothing"
        yield Finding("Graphviz", "warning", told, "install it: apt-get install graphviz")


def _plugins() -> Findings:
    from ..plugins.load import load_plugins

    try:
        with strictness("0"):
            plugins = load_plugins()
    except UserError as error:
        yield Finding("plugins", "problem", str(error))
        return
    for failure in plugins.errors:
        advice = f"install it anew, or turn it off: FRAME_DISABLE_PLUGINS={failure.plugin}"
        yield Finding("plugins", "problem", str(failure), advice)
    yield Finding("plugins", "ok", f"{len(plugins.offers)} are loaded", "frame plugin list")
