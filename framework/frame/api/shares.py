"""Shares of images: how sure they are."""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile: 95 % lie within so many standard deviations."""


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval, in [0, 1], of the share of right answers that so many images (1 or more) stand for.

    Wilson, JASA 22, 209-212 (1927): unlike the textbook's, it holds near 0 and 1, and for few images. scipy's takes a
    millisecond, for the exact test that comes with it; a curve has an interval for each of its points.
    """
    share, spread = right / images, Z**2 / images
    centre = (share + spread / 2) / (1 + spread)
    half = sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
