"""What analyzers drew, made readable for tests."""

import io

import numpy as np
from PIL import Image

from frame.api.figures import png


def render(figure):
    """Draw a figure as the host does and return it as an array (H, W, 3)."""
    assert figure.title
    assert len(figure.caption) > 20
    with Image.open(io.BytesIO(png(figure))) as image:
        return np.asarray(image.convert("RGB"))


def captions(picture):
    """Return what is written above each image of a picture."""
    return [text.get_text() for axes in picture.image.axes for text in axes.texts]
