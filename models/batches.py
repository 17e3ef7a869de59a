"""Which rows are in which minibatch: a pure function of seed, pass and batch size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


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

    def epoch(self, number: int) -> Tensor:
        """Row numbers [steps, batch size] of the 0-based epoch `number`."""
        first, last = number * self.steps, (number + 1) * self.steps
        passes = range(first // self.per_pass, -(-last // self.per_pass))
        order = np.concatenate([self._pass(each) for each in passes])
        skip = first - passes.start * self.per_pass
        return torch.from_numpy(order[skip : skip + self.steps])

    def _pass(self, number: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        key = np.random.SeedSequence((self.seed, number, self.size))
        order = np.random.Generator(np.random.Philox(key)).permutation(self.rows)
        return self.start + order[: self.per_pass * self.size].reshape(self.per_pass, self.size)
