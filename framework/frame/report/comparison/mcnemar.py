"""McNemar's test: do two models err differently on the same images?

McNemar, Psychometrika 12, 153-157 (1947); the correction for continuity is that of Edwards, Psychometrika 13 (1948).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, chdtrc

FEW = 25
"""With fewer images that one model alone has right, the chi-square distribution is too coarse: the test is exact."""


@dataclass(frozen=True)
class McNemar:
    """What the test came to. only_first: images that the first model has right and the second wrong.

    statistic: chi-square with one degree of freedom, None where the test was exact. p: two-sided.
    """

    only_first: int
    only_second: int
    method: str
    statistic: float | None
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Test two models' answers on the same images. first, second: (N,) bool, whether each is right."""
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    if b + c < FEW:
        p = min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5))) if b + c else 1.0
        return McNemar(b, c, "exact binomial", None, p)
    statistic = max(0, abs(b - c) - 1) ** 2 / (b + c)
    return McNemar(b, c, "chi-square with continuity correction", statistic, float(chdtrc(1, statistic)))
