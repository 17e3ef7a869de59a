"""Which axes of a search mattered: what a random forest loses on trials it has not seen when one axis is shuffled.

Permutation importance after Breiman, "Random Forests", 2001, on ranks of losses: whatever their scale is, and a trial
that diverged is simply among the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST = 20  # trials: with fewer the forest sees nothing
MOST = 1000  # more trials than that, drawn at random, change nothing but the time it takes
FOLDS = 4
SHUFFLES = 5
TREES = 64


@dataclass(frozen=True, slots=True)
class Importance:
    """`explained` is the share of the variance of ranks that is foretold for held-out trials: 1 all, 0 or less nothing.

    `drops` [axes] says how much of that is lost when an axis is shuffled among the trials that have it, `spreads`
    the standard deviation of this over folds.
    """

    explained: float
    drops: tuple[float, ...]
    spreads: tuple[float, ...]


def measure(points: Floats, losses: Floats, seed: int) -> Importance | None:
    """The importance of axes from trials at `points` [trials, axes], with `losses` [trials] after equally many epochs.

    Points are coordinates in [0, 1], NaN where an axis is inactive; a loss that is not finite is the worst. None where
    there is nothing to learn from: fewer than 20 trials, no axis, or no two different losses. Equal arguments give
    equal answers.
    """
    if len(points) < FEWEST or not points.shape[1]:
        return None
    random = np.random.Generator(np.random.Philox(seed))
    if len(points) > MOST:
        some = np.sort(random.choice(len(points), MOST, replace=False))
        points, losses = points[some], losses[some]
    ranks = _ranks(losses)
    if np.ptp(ranks) == 0:
        return None
    # At a random place the value of an inactive axis tells nothing, not even that it is inactive: whatever makes it so
    # (the optimizer, say) is credited itself.
    filled = np.where(np.isnan(points), random.random(points.shape), points)
    found = [_fold(filled, np.isnan(points), ranks, held, random) for held in _folds(len(points), random)]
    errors = sum(error for error, _ in found) / len(points)
    rises = np.array([rise for _, rise in found])
    variance = float(np.var(ranks))
    return Importance(
        1 - float(errors) / variance,
        tuple((rises.mean(axis=0) / variance).tolist()),
        tuple((rises.std(axis=0) / variance).tolist()),
    )


def _fold(
    points: Floats, inactive: NDArray[np.bool_], ranks: Floats, held: NDArray[np.bool_], random: np.random.Generator
) -> tuple[float, Floats]:
    """Summed squared error on the trials `held` out, and by how much its mean rises with each axis shuffled [axes]."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        TREES, min_samples_leaf=2, max_features=0.5, random_state=int(random.integers(2**31))
    )
    forest.fit(points[~held], ranks[~held])
    tested, truth, axes = points[held], ranks[held], points.shape[1]
    variants = np.tile(tested, (1 + axes * SHUFFLES, 1, 1))
    for axis in range(axes):
        active = np.flatnonzero(~inactive[held][:, axis])
        for shuffle in range(SHUFFLES):
            variants[1 + axis * SHUFFLES + shuffle, active, axis] = tested[random.permutation(active), axis]
    told = forest.predict(variants.reshape(-1, axes)).reshape(len(variants), -1)
    errors = ((told - truth) ** 2).mean(axis=1)
    rises = errors[1:].reshape(axes, SHUFFLES).mean(axis=1) - errors[0]
    return float(errors[0]) * len(truth), rises


def _folds(trials: int, random: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Masks [trials] of the trials that each fold holds out."""
    part = random.permutation(trials) % FOLDS
    return [part == fold for fold in range(FOLDS)]


def _ranks(losses: Floats) -> Floats:
    """Ranks in [0, 1], equal losses in the middle of their places; what is not finite is the largest."""
    from scipy.stats import rankdata

    worst = np.where(np.isfinite(losses), losses, np.inf)
    return np.asarray((rankdata(worst) - 1) / max(len(losses) - 1, 1), float)
