"""A W&B Report about runs, made from their folders: W&B fills in the curves, pictures and tables."""

from .saving import Wanted, save

__all__ = ["Wanted", "save"]
