"""Two samples of one column: how far apart they are, and how often chance alone would part them as far.

All p-values are conditional on the pooled values, that is of the question in how many of all ways to deal these
values to two samples of these sizes they come to lie as far apart. So they hold for any sizes and any ties.
scipy's own two-sample tests do not do here: `ks_2samp` takes values to be without ties (and finds too little in a
column of few values), `chi2_contingency` takes expected counts to be large, and resampling gives no p-value small
enough to survive the correction for many columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Counts = NDArray[np.int64]

GROUPS = 1000  # of neighbouring values: they bound the time of a test, and hide no more than 1/1000 of its statistic
SURE = 3.5  # a Kolmogorov-Smirnov statistic, times the root of the effective size, where p is below 1e-10
DEALS = 1000  # drawn to learn how skewed chi-square is
DEVIATIONS = 9.0  # of a binomial, beyond which no double sees its probabilities beside the others


@dataclass(frozen=True, slots=True)
class Apart:
    """How far apart two samples are: the test's statistic, the share of rows that makes the difference, and p.

    The effect is in 0..1, the same for every test: the largest difference between the two samples' shares of any
    event (of values up to a bound, or of a set of levels).
    """

    statistic: float
    effect: float
    p: float


def numbers_apart(reference: NDArray[np.float64], fresh: NDArray[np.float64]) -> Apart:
    """Kolmogorov-Smirnov's test of the values [m] and [n], none of them NaN. Either may be empty: then p is 1."""
    pooled = np.concatenate([reference, fresh])
    _, place = np.unique(pooled, return_inverse=True)
    last = np.cumsum(np.bincount(place)) - 1  # the highest rank of every value
    # groups of ranks depend on the pooled values alone: the test on groups is as exact as that on values
    _, group = np.unique(last * min(GROUPS, len(pooled)) // max(len(pooled), 1), return_inverse=True)
    codes, size = group[place], int(group.max(initial=-1)) + 1
    return ordered_apart(
        np.bincount(codes[: len(reference)], minlength=size), np.bincount(codes[len(reference) :], minlength=size)
    )


def ordered_apart(reference: Counts, fresh: Counts) -> Apart:
    """Kolmogorov-Smirnov's test of the counts [K] and [K] of K ordered groups. One of no rows: p is 1.

    The p-value is exact (Schröer and Trenkler 1995), but for statistics so large that p is below 1e-10: there it is
    the limit's first term.
    """
    m, n = int(reference.sum()), int(fresh.sum())
    if not (m and n):
        return Apart(0.0, 0.0, 1.0)
    totals = reference + fresh
    # |F(x) - G(x)| times m n, in whole numbers: equal statistics must compare equal
    distance = int(np.abs(np.cumsum(reference) * (m + n) - np.cumsum(totals) * m).max())
    statistic = distance / (m * n)
    root = statistic * math.sqrt(m * n / (m + n))
    p = 2 * math.exp(-2 * root**2) if root > SURE else 1 - _stays_within(totals, m, distance)
    return Apart(statistic, statistic, min(max(p, 0.0), 1.0))


def _stays_within(totals: Counts, m: int, distance: int) -> float:
    """The share of ways to deal `m` of all rows to the reference at which it stays nearer than `distance`.

    Dealt by independent coins, the reference's rows among the first k groups are a random walk with binomial steps.
    `mass` holds its probabilities over `low`, `low` + 1, ... where it has not left the band; at the end the walk is
    at `m` rows, as the real deal is.
    """
    if distance == 0:
        return 0.0
    whole = int(totals.sum())
    steps = {int(size): _binomial(int(size), m / whole) for size in np.unique(totals)}
    low, mass = 0, np.ones(1)
    for size, until in zip(totals.tolist(), np.cumsum(totals).tolist(), strict=True):
        first, probabilities = steps[size]
        mass, low = np.convolve(mass, probabilities), low + first
        bottom = -((distance - 1 - until * m) // whole)  # the least a with |a whole - until m| < distance
        top = (distance - 1 + until * m) // whole
        mass = mass[max(bottom - low, 0) : max(top - low + 1, 0)]
        low = max(low, bottom)
        if not mass.size:
            return 0.0
    return float(mass[m - low] / stats.binom.pmf(m, whole, m / whole)) if 0 <= m - low < mass.size else 0.0


def _binomial(size: int, share: float) -> tuple[int, NDArray[np.float64]]:
    """The first number of successes that is at all likely, and the probabilities from there on."""
    centre, reach = size * share, DEVIATIONS * math.sqrt(size * share * (1 - share)) + 2 * DEVIATIONS
    numbers = np.arange(max(0, math.floor(centre - reach)), min(size, math.ceil(centre + reach)) + 1)
    return int(numbers[0]), stats.binom.pmf(numbers, size, share)


def levels_apart(reference: Counts, fresh: Counts) -> Apart:
    """Chi-square test of the counts [K] and [K] of K levels. One level, or one sample of no rows: p is 1.

    Levels too rare to be expected once in either sample count as one. For two levels p is exact; for more it is that
    of the Pearson III distribution (a shifted gamma) with the moments that chi-square has over all deals: the limit's
    are others where counts are small.
    """
    m, n = int(reference.sum()), int(fresh.sum())
    if not (m and n):
        return Apart(0.0, 0.0, 1.0)
    rare = (reference + fresh) * min(m, n) < m + n
    counts = np.array([[*side[~rare], side[rare].sum()] for side in (reference, fresh)], dtype=np.int64)
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return Apart(0.0, 0.0, 1.0)
    statistic = float(_chi_square(counts[0], counts.sum(axis=0), m / (m + n)))
    effect = float(np.abs(counts[0] / m - counts[1] / n).sum() / 2)
    if counts.shape[1] == 2:
        return Apart(statistic, effect, ordered_apart(counts[0], counts[1]).p)
    mean, variance, skew = _moments(counts)
    return Apart(statistic, effect, float(stats.pearson3.sf(statistic, skew, loc=mean, scale=math.sqrt(variance))))


def _chi_square(reference: Counts, totals: Counts, share: float) -> NDArray[np.float64]:
    """Chi-square [...] of deals [..., K] of `totals` [K] rows of each level, of which `share` are the reference's."""
    squares = (reference - totals * share) ** 2 / (totals * share * (1 - share))
    return np.asarray(squares.sum(axis=-1))


def _moments(counts: Counts) -> tuple[float, float, float]:
    """Mean, variance and skewness of chi-square over all deals with the margins of `counts` [2, K].

    The first two are exact (Dawson, Biometrika 41, 1954); the third, which has no such formula, is that of some deals.
    """
    totals, sizes, whole = counts.sum(axis=0), counts.sum(axis=1), int(counts.sum())

    def terms(margin: Counts) -> tuple[float, float]:
        size = len(margin)
        return (size - 1) * (whole - size) / (whole - 1), (float((whole / margin).sum()) - size**2) / (whole - 2)

    (v1, w1), (v2, w2) = terms(totals), terms(sizes)
    variance = 2 * whole / (whole - 3) * (v1 - w1) * (v2 - w2) + whole**2 / (whole - 1) * w1 * w2
    dealt = np.random.default_rng(0).multivariate_hypergeometric(totals, sizes.min(), size=DEALS, method="marginals")
    skew = float(stats.skew(_chi_square(dealt, totals, sizes.min() / whole)))
    return (len(totals) - 1) * whole / (whole - 1), variance, skew
