"""Figures: the house style, images in grids, heat maps over them, and test images with what the model made of them.

It imports neither matplotlib nor numpy before a figure is made.
"""

from .charts import png
from .grids import IMAGES_PER_ROW, MOST_ROWS, Captioned, ImageRow, image_grid, image_rows
from .heat import HEAT, heat_bar, overlay, show_image
from .predictions import Order, choose, image_table, labelled_images, shortage, verdict
from .style import COLORS, INK, RIGHT, WRONG, house_style, new_figure

__all__ = [
    "COLORS",
    "HEAT",
    "IMAGES_PER_ROW",
    "INK",
    "MOST_ROWS",
    "RIGHT",
    "WRONG",
    "Captioned",
    "ImageRow",
    "Order",
    "choose",
    "heat_bar",
    "house_style",
    "image_grid",
    "image_rows",
    "image_table",
    "labelled_images",
    "new_figure",
    "overlay",
    "png",
    "shortage",
    "show_image",
    "verdict",
]
