"""Something that is done again and again, and gets dearer, takes a bounded share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Does something at most as often as its share of the time allows, counted since the throttle was made.

    share: of the time, in (0, 1). It is exceeded by one call at most, and by those that must be.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.share, self.clock = share, clock
        self.began, self.spent = clock(), 0.0

    def __call__(self, action: Callable[[], None], *, must: bool = False) -> None:
        """Do it if its share is not used up, or must not matter."""
        since = self.clock()
        if must or self.spent <= self.share * (since - self.began):
            action()
            self.spent += self.clock() - since
