"""Values in values: one walk that finds leaves, one that changes them."""

from dataclasses import dataclass
from typing import NamedTuple

from frame.nested import changed, each_text, leaves, name_at


class Pair(NamedTuple):
    name: str
    count: int


@dataclass(frozen=True)
class Note:
    text: str
    pairs: list[Pair]


def test_leaves_have_their_keys_and_what_is_empty_is_one():
    values = {"a": {"b": [1, {"c": None}]}, "empty": {}, "none": [], "t": ("x",)}
    assert list(leaves(values)) == [
        (("a", "b", 0), 1), (("a", "b", 1, "c"), None), (("empty",), {}), (("none",), []), (("t", 0), "x"),
    ]  # fmt: skip


def test_what_counts_as_one_value_is_not_looked_into():
    values = {"a": [1, 2], "b": {"c": [3]}}
    found = dict(leaves(values, lambda key, value: key == ("b",) or value == [1, 2]))
    assert found == {("a",): [1, 2], ("b",): {"c": [3]}}


def test_leaves_are_changed_within_whatever_holds_them():
    value = {"note": Note("x", [Pair("x", 1)]), "rest": ("x", 2.5, None)}
    assert each_text(value, str.upper) == {"note": Note("X", [Pair("X", 1)]), "rest": ("X", 2.5, None)}
    found = changed(value, lambda key, leaf: (key, leaf))
    assert found["note"].pairs == [Pair((("note", "pairs", 0, 0), "x"), (("note", "pairs", 0, 1), 1))]


def test_what_has_no_leaf_that_changes_is_the_same_object():
    note, rest = Note("x", [Pair("y", 1)]), ["z"]
    value = each_text({"note": note, "rest": rest}, lambda text: text.replace("z", "!"))
    assert value == {"note": note, "rest": ["!"]}
    assert value["note"] is note


def test_an_entry_of_a_list_stands_under_the_lists_name():
    assert [name_at(key) for key in [("a", "keys", 0, 1), ("a",), (0,), ()]] == ["keys", "a", "", ""]
