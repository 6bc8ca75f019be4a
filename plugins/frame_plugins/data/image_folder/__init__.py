"""Plugin `image_folder`: your own images, one folder a class."""

from __future__ import annotations

from pathlib import Path

from frame import Component, DatasetComponent, DataSplits, hookimpl


class ImageFolder(DatasetComponent):
    """Your own images: `train/<class>/` and `test/<class>/` in the data root, the folder names being the class names.

    A folder `val/` is the validation part, or the test part where there is no `test/`. Images may have any size: they
    are turned upright as their EXIF data says and fitted to `data.size`, made RGB unless `data.channels` says
    otherwise. Up to 1 GiB of pixels is decoded at the start and held in memory; more is decoded whenever it is needed.
    Mean and standard deviation are those of up to 2,000 training images. Files with endings that it does not know,
    images in no class folder, links to folders within one, and folders beside the three are counted and named, hidden
    ones passed over.
    """

    def build(self, root: Path) -> DataSplits:
        from .reading import read_folder

        return read_folder(root)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the dataset."""
    return {"image_folder": ImageFolder}
