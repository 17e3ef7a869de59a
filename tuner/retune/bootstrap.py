"""A paired block bootstrap: how sure a mean over rows is where the rows of one block are alike. Pure, numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GROUPS = 1000  # more blocks are pooled into so many at random: the variance is still known to 2%, the cost is bounded
COLUMNS = 64  # means whose resamples are held at once
ROUNDING = 1e-12  # relative: residuals below are those of adding up floats


@dataclass(frozen=True)
class Interval:
    """A mean and both ends of its interval, which are infinite where nothing is sure."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Intervals:
    """The same of C means, each [C], and how many blocks have a row of each."""

    mean: Floats
    low: Floats
    high: Floats
    blocks: Ints


class Bootstrap:
    """Draws blocks with replacement, as many as there are, `resamples` times; every mean is taken over the same draws.

    `blocks` [N] names the block of each row, such as its day; None says that rows are independent. The intervals are
    studentised (bootstrap-t: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5): the plain
    percentiles are too narrow where there are as few blocks as a holdout has days. Memory is of the order of
    resamples * min(blocks, 1000) floats, whatever N is.
    """

    def __init__(self, rows: int, blocks: Ints | None, *, resamples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        ids = np.arange(rows) if blocks is None else np.unique(blocks, return_inverse=True)[1]
        self.blocks = int(ids.max(initial=-1)) + 1
        self._groups = groups = min(max(self.blocks, 1), GROUPS)
        self._group = (rng.permutation(self.blocks) % groups)[ids]
        drawn = rng.integers(groups, size=(resamples, groups)) + groups * np.arange(resamples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=resamples * groups)
        self._weights = counts.reshape(resamples, groups).astype(np.float64)

    def interval(self, values: Floats, tail: float) -> Interval:
        """Of the mean of `values` [N], N > 0; the true mean is below low, or above high, with chance `tail` each."""
        found = self.intervals(values, np.zeros(len(values), np.int64), 1, tail)
        return Interval(float(found.mean[0]), float(found.low[0]), float(found.high[0]))

    def intervals(self, values: Floats, places: Ints, count: int, tail: float) -> Intervals:
        """The same for the mean of each of `count` slices; `places` [N] is each row's slice, -1 is none of them.

        Every slice must have a row.
        """
        inside = places >= 0
        cells = self._group[inside] * count + places[inside]
        shape = (self._groups, count)
        rows = np.bincount(cells, minlength=self._groups * count).reshape(shape).astype(np.float64)
        sums = np.bincount(cells, values[inside], minlength=self._groups * count).reshape(shape)
        mean = sums.sum(0) / rows.sum(0)
        residuals = sums - mean * rows
        residuals[np.abs(residuals) <= ROUNDING * np.abs(mean) * rows] = 0
        error = np.sqrt((residuals**2).sum(0)) / rows.sum(0)
        ends = np.empty((2, count))
        for first in range(0, count, COLUMNS):
            part = slice(first, first + COLUMNS)
            t = self._studentised(residuals[:, part], rows[:, part])
            # No interpolation: a resample of one block alone has an infinite t.
            ends[0, part] = np.quantile(t, 1 - tail, axis=0, method="higher")
            ends[1, part] = np.quantile(t, tail, axis=0, method="lower")
        low, high = np.where(error > 0, mean - ends * error, mean)
        return Intervals(mean, low, high, (rows > 0).sum(0))

    def _studentised(self, residuals: Floats, rows: Floats) -> Floats:
        """(mean of the resample - mean) / its standard error [R, C]; both are those of a ratio, sum over rows.

        `residuals` [blocks, C] are sums about the mean of all rows, which keeps the squares small.
        """
        weights = self._weights
        drawn = weights @ rows
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = (weights @ residuals) / drawn
            squares = (
                weights @ residuals**2 - 2 * shift * (weights @ (residuals * rows)) + shift**2 * (weights @ rows**2)
            )
            t = shift * drawn / np.sqrt(np.maximum(squares, 0))
        return np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)  # 0/0: equal everywhere, or no row drawn
