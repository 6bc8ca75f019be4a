"""What the contract tests look with: what differs, what was drawn, what is loaded, what goes over the network."""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, NoReturn
from unittest import SkipTest, mock

import numpy as np
import torch
from torch import Tensor, nn

from ..compute.randomness import rng_state
from ..plugins.files import is_plugin_file

HEAVY = ("torch", "torchvision", "albumentations", "numpy", "scipy", "sklearn", "matplotlib", "cv2", "pandas", "wandb")
"""What takes long to import: a component imports it inside `build`."""
LISTING = """
import importlib, json, sys
from pathlib import Path
name, file, path, heavy = json.loads(sys.argv[1])
sys.path[:] = path
import frame
from frame.plugins.files import import_plugin, read_plugin
before = set(sys.modules)
if file:
    import_plugin(list(read_plugin(Path(file))))
else:
    importlib.import_module(name)
print(json.dumps([one for one in heavy if one in sys.modules and one not in before]))
"""


class Advice(UserWarning):
    """What a component need not obey, but had better."""


def require(condition: object, message: str) -> None:
    """Raise AssertionError unless `condition`: what is wrong, and what to do. (`assert` is gone under `python -O`.)"""
    if not condition:
        raise AssertionError(message)


def fail(message: str) -> NoReturn:
    """Raise AssertionError."""
    raise AssertionError(message)


@contextmanager
def doing(what: str, advice: str = "") -> Iterator[None]:
    """Turn what a component raises into a failed check that says in what, and what to do."""
    try:
        yield
    except (AssertionError, SkipTest):
        raise
    except Exception as error:
        hint = f"; {advice}" if advice else ""
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}{hint}") from error


def difference(one: Any, other: Any, place: str = "") -> str | None:
    """Return where two values differ (`.weights['stem'][0]`), None if they are the same to the bit."""
    where = place or "the value itself"
    if isinstance(one, nn.Module) and isinstance(other, nn.Module):
        return difference(one.state_dict(), other.state_dict(), place)
    if type(one) is not type(other):
        return where
    if isinstance(one, Tensor | np.ndarray):
        same = one.shape == other.shape and one.dtype == other.dtype and bool(((one == other) | (one != one)).all())
        return None if same else where
    if isinstance(one, Mapping):
        if list(one) != list(other):
            return f"{where} (its keys)"
        return _first((one[key], other[key], f"{place}[{key!r}]") for key in one)
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return f"{where} (its length)"
        return _first((a, b, f"{place}[{index}]") for index, (a, b) in enumerate(zip(one, other, strict=True)))
    if is_dataclass(one):
        return _first((getattr(one, f.name), getattr(other, f.name), f"{place}.{f.name}") for f in fields(one))
    if hasattr(one, "savefig"):
        return None if _pixels(one) == _pixels(other) else where
    return None if one == other or one != one else where


def _first(parts: Any) -> str | None:
    return next((found for found in (difference(*part) for part in parts) if found), None)


def _pixels(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.set_layout_engine("none")  # most of the time, and the same for the same content
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def saved_and_loaded(state: Any, owner: str) -> Any:
    """Return a state as a resumed run gets it from its checkpoint. Fails where it is no tensor and no plain value."""
    buffer = io.BytesIO()
    advice = "a state holds tensors and plain values only (numbers, texts, lists, dicts): convert it in state_dict()"
    try:
        torch.save(state, buffer)
        buffer.seek(0)
        return torch.load(buffer, weights_only=True)
    except (pickle.PicklingError, pickle.UnpicklingError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        fail(f"the state of {owner} cannot be loaded from a checkpoint: {_odd(state) or reason}; {advice}")


def _odd(value: Any, place: str = "state") -> str | None:
    """Return the first thing in a state that is neither a tensor nor plain."""
    if isinstance(value, Tensor | str | int | float | bool | None) and not isinstance(value, np.generic):
        return None
    if isinstance(value, Mapping):
        return next((odd for key in value if (odd := _odd(value[key], f"{place}[{key!r}]"))), None)
    if isinstance(value, list | tuple | set):
        return next((odd for i, item in enumerate(value) if (odd := _odd(item, f"{place}[{i}]"))), None)
    return f"{place} is a {type(value).__module__}.{type(value).__qualname__}"


def drawn_since(before: dict[str, Any]) -> list[str]:
    """Return which of the global generators are not where they were: python, numpy, torch, cuda."""
    now = rng_state()
    return [name for name in before if difference(before[name], now[name])]


def modes(model: nn.Module) -> dict[str, bool]:
    """Return which of a model's modules are in train mode."""
    return {name: module.training for name, module in model.named_modules()}


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of a model's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse connections to other machines: OSError, as on a machine without a network."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a contract test has no network: {address[0]}")
        connect(self, address)

    def unknown(host: Any, *_: Any, **__: Any) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, f"a contract test has no network: {host}")

    resolve = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **named: Any) -> Any:
        known = host in (None, "127.0.0.1", "::1", "localhost")
        return resolve(host, *args, **named) if known else unknown(host)

    with mock.patch.object(socket.socket, "connect", refuse), mock.patch.object(socket, "getaddrinfo", lookup):
        yield


def in_a_package(module: str) -> bool:
    """Whether an imported module belongs to a package of Python, and is no file of its own, as a recipe names one."""
    loaded = sys.modules[module]
    return bool(getattr(loaded, "__package__", "")) and not is_plugin_file(loaded)


@lru_cache
def heavy_imports(module: str) -> list[str]:
    """Import a module in a process of its own, as listing does; return what it imports of HEAVY beyond frame's own."""
    file = None if in_a_package(module) else getattr(sys.modules[module], "__file__", None)
    request = json.dumps([module, file, sys.path, HEAVY])
    command = [sys.executable, "-c", LISTING, request]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})  # noqa: S603
    require(done.returncode == 0, f"{module} does not import by itself: {done.stderr.strip().splitlines()[-1:]}")
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found
