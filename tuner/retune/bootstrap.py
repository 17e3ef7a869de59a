"""A paired block bootstrap: how sure a mean over rows is where the rows of one block are alike. Pure, numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GROUPS = 1000  # more blocks are pooled into so many at random: the variance is still known to 2%, the cost is bounded
MANY = 30  # blocks whose resamples are hardly ever few
COLUMNS = 64  # means whose resamples are held at once


@dataclass(frozen=True)
class Interval:
    """A mean and both ends of its interval, which are infinite where nothing is sure."""

    mean: float
    low: float
    high: float


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
        rows, sums = self.totals(values, np.zeros(len(values), np.int64), 1)
        residuals, means, errors = _centred(rows, sums)
        mean, error = float(means[0]), float(errors[0])
        if error == 0:
            return Interval(mean, mean, mean)
        t = self._studentised(residuals, rows)
        # No interpolation: a resample of one block alone has an infinite t.
        ends = np.quantile(t, 1 - tail, method="higher"), np.quantile(t, tail, method="lower")
        return Interval(mean, mean - float(ends[0]) * error, mean - float(ends[1]) * error)

    def totals(self, values: Floats, places: Ints, slices: int) -> tuple[Floats, Floats]:
        """Rows, and sums of `values` [N], by block and slice [G, slices]; `places` [N] are slices, -1 for none."""
        inside, shape = places >= 0, (self._groups, slices)
        cells = self._group[inside] * slices + places[inside]
        rows = np.bincount(cells, minlength=self._groups * slices).reshape(shape)
        sums = np.bincount(cells, values[inside], minlength=self._groups * slices).reshape(shape)
        return rows.astype(np.float64), sums.astype(np.float64)

    def bounds(self, rows: Floats, sums: Floats, tail: float) -> Floats:
        """Lower bounds [C] of the means of C slices, given their `totals` [G, C]; one is too high with chance `tail`.

        The largest t of all slices in a resample gives one quantile for all (max-t: Romano and Wolf, Econometrica 73,
        2005): with few blocks, a single slice's own far tail is not known well enough. Slices with rows in few of the
        blocks have a wild t that would hide what is wrong in the others: they are a family of their own, and each
        family gets half of `tail`.
        """
        residuals, low, errors = _centred(rows, sums)
        blocks = (rows > 0).sum(0)
        common = (blocks >= MANY) | (3 * blocks >= 2 * self._groups)
        families = [family for family in (np.flatnonzero(common), np.flatnonzero(~common)) if len(family)]
        for family in families:
            largest = np.full(len(self._weights), -np.inf)
            for first in range(0, len(family), COLUMNS):
                part = family[first : first + COLUMNS]
                largest = np.maximum(largest, self._studentised(residuals[:, part], rows[:, part]).max(1))
            unsure = family[errors[family] > 0]
            low[unsure] -= np.quantile(largest, 1 - tail / len(families), method="higher") * errors[unsure]
        return low

    def _studentised(self, residuals: Floats, rows: Floats) -> Floats:
        """(mean of the resample - mean) / its standard error [R, C]; both are those of a ratio, sum over rows."""
        weights = self._weights
        drawn = weights @ rows
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = (weights @ residuals) / drawn
            squares = (
                weights @ residuals**2 - 2 * shift * (weights @ (residuals * rows)) + shift**2 * (weights @ rows**2)
            )
            t = shift * drawn / np.sqrt(np.maximum(squares, 0))
        return np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)  # 0/0: equal everywhere, or no row drawn


def _centred(rows: Floats, sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each column: residuals of the sums about the mean of all rows [G, C], that mean and its standard error [C]."""
    mean = sums.sum(0) / rows.sum(0)
    residuals = sums - mean * rows
    return residuals, mean, np.sqrt((residuals**2).sum(0)) / rows.sum(0)
