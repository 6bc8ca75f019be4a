"""What `frame.figures` offers beside pictures that others test: images under their heat maps."""

from __future__ import annotations

import logging

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager

from fakes.pictures import render
from frame import Chart, Picture, Series, figures
from frame.api.figures import style


@pytest.mark.parametrize("channels", [1, 3])
def test_the_overlay_shows_the_heat_where_it_is(channels):
    heat = np.zeros((2, 2), np.float32)
    heat[0, 0] = 1
    shown = figures.overlay(np.full((8, 8, channels), 100, np.uint8), heat, side=128).astype(int)
    assert shown.shape == (128, 128, 3)
    hot, cold = shown[8, 8], shown[-8, -8]
    assert hot[0] > 200  # inferno: the hottest is yellow
    assert hot[2] < hot[0]
    assert cold.max() < 100  # darkened by the map's black


def test_an_image_without_heat_is_pale_under_its_map():
    image = np.full((9, 6, 3), 100, np.uint8)
    shown = figures.overlay(image, np.zeros((2, 2), np.float32))
    assert shown.shape == image.shape  # not enlarged unless asked for
    np.testing.assert_array_equal(shown, 193)  # 0.4 of the image on white


@pytest.mark.parametrize("kind", ["line", "points", "bars"])
def test_intervals_are_drawn(kind):
    line = Series("a", (1, 2, 3), (0.5, None, 0.7), kind=kind)
    plain, sure = (
        render(Chart("c", "C", "x", "y", [each], "Three values and their intervals.", y_range=(0, 1)))
        for each in (line, Series("a", line.x, line.y, kind=kind, low=(0.2, None, 0.4), high=(0.8, None, 0.9)))
    )
    assert (plain != sure).any()


def test_a_name_in_any_script_is_drawn_without_a_warning(recwarn, caplog):
    note = "Failed to find font weight bold for WenQuanYi Zen Hei, now using 500."
    with figures.house_style():
        figure = figures.new_figure(1)
        figure.suptitle("猫 кот قطة 🐱 बिल्ली ແມວ")
        logging.getLogger("matplotlib.font_manager").warning(note)
    assert figures.png(Picture("cats", "Cats", figure)).startswith(b"\x89PNG")
    assert [str(one.message) for one in recwarn] == []
    assert caplog.messages == []


def test_letters_come_from_the_first_font_of_this_machine_that_has_them(monkeypatch):
    monkeypatch.setattr(font_manager, "get_font_names", lambda: ["Comic Sans MS", "Noto Sans CJK JP", "DejaVu Sans"])
    style._fonts.cache_clear()
    try:
        with figures.house_style():
            assert matplotlib.rcParams["font.family"] == ["DejaVu Sans", "Noto Sans CJK JP"]
    finally:
        style._fonts.cache_clear()
