"""Randomness for batch transforms in tests: fixed rows, or numbers from a seed."""

import numpy as np
import torch


class SeededDraws:
    """Draws for `samples` samples from a seed; each call gives new numbers."""

    epoch = 0

    def __init__(self, samples, seed=0):
        self.samples = samples
        self.rng = np.random.default_rng(seed)

    def per_sample(self, columns, epoch=None):
        return torch.from_numpy(self.rng.random((self.samples, columns), dtype=np.float32))

    def per_batch(self):
        return self.rng


class GivenDraws:
    """The rows that a test writes down."""

    epoch = 0

    def __init__(self, rows):
        self.rows = torch.tensor(rows, dtype=torch.float32)

    def per_sample(self, columns, epoch=None):
        assert self.rows.shape[1] == columns
        return self.rows

    def per_batch(self):
        raise AssertionError("no draw of the batch as a whole was expected")
