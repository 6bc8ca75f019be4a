"""What is kept in the user's cache: found again, made anew where it is damaged, and no failure where it cannot be."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from frame import cached
from frame.rundir.cache import cache_root


@dataclass(frozen=True)
class Entry:
    names: tuple[str, ...]


VALUE = {"one": Entry(("a", "b")), "two": Entry(())}


@dataclass(frozen=True)
class Maker:
    """Makes the value and counts how often. The process's memory knows it again by its number."""

    number: int
    calls: list[int] = field(default_factory=list, compare=False)

    def __call__(self) -> dict[str, Entry]:
        self.calls.append(1)
        return VALUE


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frame"


def ask(maker, name="library-1.0"):
    assert cached(name, dict[str, Entry], maker) == VALUE
    return len(maker.calls)


def test_a_value_is_made_once_and_found_by_other_processes(folder):
    assert ask(Maker(1)) == 1
    assert ask(Maker(2)) == 0  # as another process: nothing in its memory
    assert [file.name for file in folder.iterdir()] == ["library-1.0.json"]


def test_another_name_is_another_value():
    assert ask(Maker(1)) == 1
    assert ask(Maker(1), "library-1.1") == 1


@pytest.mark.parametrize("damage", [b"", b"\xff", b"{", b'{"one": {}}', b"[]"])
def test_a_damaged_file_is_made_anew(folder, damage):
    folder.mkdir(parents=True)
    (folder / "library-1.0.json").write_bytes(damage)
    assert ask(Maker(1)) == 1
    assert ask(Maker(2)) == 0


@pytest.mark.parametrize("place", ["cache", "cache/frame", "cache/frame/library-1.0.json/below"])
def test_where_nothing_can_be_kept_the_process_keeps_it(tmp_path, place):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("in the way")
    maker = Maker(1)
    assert ask(maker) == 1
    assert ask(maker) == 1
    assert ask(Maker(2)) == 1


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(OSError, match="no home"):
        cache_root()
    maker = Maker(1)
    assert ask(maker) == 1
    assert ask(maker, "library-1.1") == 2


def test_a_relative_cache_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache"


def test_what_fails_is_tried_again():
    def fails():
        raise ValueError("not yet")

    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            cached("library-1.0", dict[str, Entry], fails)
    assert ask(Maker(1)) == 1
