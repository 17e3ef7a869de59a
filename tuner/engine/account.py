"""All that is to be told of a sweep, as plain values: what a report is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.trial import Row, Stage, State, Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tuner.search.space import Space


@dataclass(frozen=True, slots=True)
class Told:
    """One trial: where it stands and why, and its evaluations.

    `score` is what it is compared by, in the objective's terms: lower is better, infinity if there is none. `after`
    has the same after the epochs of each rung it came to; it ends with infinity at the one before which it diverged.
    """

    trial: Trial
    state: State
    rung: int
    reason: str
    rows: Sequence[Row]
    score: float
    after: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Work:
    """What packs of one stage and rung have trained: epochs of all trials together, and seconds of workers."""

    stage: Stage
    rung: int
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plane:
    """What the model says on the plane of the first two principal components of its standardised inputs.

    It goes through their mean, where all other coordinates stay. `shares` are the parts of the variance along both
    axes; `loadings` for each axis the inputs that weigh most, with their weights. `regions` [y, x] is the class that
    is most probable at the grid of `x` and `y`. `lines` [classes, 3] has, of a model without hidden layers, for
    each class the a, b, c of its score a x + b y + c, where the largest wins. `points` [N, 2] are rows
    put down on the plane, `labels` [N] their classes, `predicted` [N] what the model says of the rows themselves.
    """

    shares: tuple[float, float]
    loadings: tuple[Sequence[tuple[str, float]], Sequence[tuple[str, float]]]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    regions: NDArray[np.int64]
    lines: NDArray[np.float64] | None
    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examined:
    """The exported model on rows of a split: `part` is holdout, which it never saw, or validation, which it did.

    `labels` [N] and `probabilities` [N, classes] are of N of the part's `rows`, evenly spread.
    """

    part: str
    rows: int
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    plane: Plane | None


@dataclass(frozen=True, slots=True)
class Account:
    """A sweep at one moment. `status` as in its status.json; `created` and `time` in seconds since 1970.

    `figures` are those of result.json, `leaderboard` and `rounds` as they are published; `data` the facts of the
    snapshot; `seconds` how long it was worked on; `confirmations` the finite scores on fresh seeds of each search
    trial that was trained again. Where there is no `examined`, `unexamined` says why.
    """

    sweep: str
    name: str
    status: str
    created: float
    time: float
    seconds: float
    metric: str
    sampler: str
    stopping: str
    space: Space
    rungs: Sequence[int]
    trials: Sequence[Told]
    figures: Mapping[str, Any]
    leaderboard: Sequence[Mapping[str, Any]]
    rounds: Sequence[Mapping[str, Any]]
    confirmations: Mapping[str, Sequence[float]]
    work: Sequence[Work]
    data: Mapping[str, Any]
    examined: Examined | None
    unexamined: str


Draw = Callable[[Account], str]
"""Makes a report, one HTML file, from an account."""
