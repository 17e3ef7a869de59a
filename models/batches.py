"""Which rows are in which minibatch: a pure function of seed, pass and batch size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.permutation import Permutation

CHUNK = 65536  # rows whose order is computed at once


class Batches:
    """The minibatch order of `rows` (a slice of an array of `total` rows).

    Each pass is a fresh permutation, keyed by (seed, pass, batch size) alone; its incomplete last batch is
    dropped. An epoch is one pass, or `epoch_rows` rows that walk on through the passes.
    """

    def __init__(self, rows: slice, total: int, batch_size: int, seed: int, epoch_rows: int | None = None) -> None:
        self.start, stop, _ = rows.indices(total)
        self.rows, self.size, self.seed = stop - self.start, batch_size, seed
        self.per_pass = self.rows // batch_size
        self.steps = self.per_pass if epoch_rows is None else epoch_rows // batch_size
        if not self.steps or not self.per_pass:
            available = self.rows if not self.per_pass else epoch_rows
            raise ValueError(f"batch_size {batch_size} is more than the {available} rows of an epoch; make it smaller")

    def epoch(self, number: int, device: torch.device | None = None) -> Iterator[Tensor]:
        """The row numbers, int64 [batch size], of each of the `steps` minibatches of the 0-based epoch `number`."""
        step, last = number * self.steps, (number + 1) * self.steps
        while step < last:
            of_pass, place = divmod(step, self.per_pass)
            count = min(max(CHUNK // self.size, 1), self.per_pass - place, last - step)
            places = np.arange(place * self.size, (place + count) * self.size)
            rows = self.start + _order(self.rows, self.seed, of_pass, self.size)(places)
            yield from torch.from_numpy(rows).to(device).view(count, self.size)
            step += count


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, of_pass: int, size: int) -> Permutation:
    return Permutation(rows, np.random.SeedSequence((seed, of_pass, size)))
