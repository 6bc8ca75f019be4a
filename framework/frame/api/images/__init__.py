"""Image files: what datasets and `frame predict` find, read and count them by. It imports PIL and numpy: in a plugin
`from frame import images` stands inside `build`, or in a module that is imported there."""

from .decoding import decode_images
from .files import (
    IMAGE_ENDINGS,
    PrepareImage,
    UnreadableImageError,
    is_image_name,
    opened_image,
    read_image,
    refuse_more_than_8_bits,
    shown_name,
    to_rgb,
)
from .folders import count_others, empty_classes, images_by_class, names_and_targets
from .omissions import Omissions
from .pixels import checksum, mean_and_std
from .sources import ArraySource, EncodedSource, FileImages

__all__ = [
    "IMAGE_ENDINGS",
    "ArraySource",
    "EncodedSource",
    "FileImages",
    "Omissions",
    "PrepareImage",
    "UnreadableImageError",
    "checksum",
    "count_others",
    "decode_images",
    "empty_classes",
    "images_by_class",
    "is_image_name",
    "mean_and_std",
    "names_and_targets",
    "opened_image",
    "read_image",
    "refuse_more_than_8_bits",
    "shown_name",
    "to_rgb",
]
