"""How one column differs between two windows: in its values, or in the share of those that are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.columns import Kind
from tuner.data.paired import Values
from tuner.data.two_samples import Apart, levels_apart, numbers_apart, ordered_apart

Role = Literal["feature", "label"]


@dataclass(frozen=True, slots=True)
class Shift:
    """How one column differs. `missing` are the shares of missing values, in the reference and in the fresh rows.

    `test` is kolmogorov-smirnov, chi-square, or missing-share where that is what differs most. `effect` (0..1) is
    the largest difference in the share of any event; `q` is `p` after the correction for all tests of a report.
    """

    name: str
    kind: str
    role: Role
    test: str
    statistic: float
    effect: float
    p: float
    q: float
    missing: tuple[float, float]
    shifted: bool


def shift_of(name: str, kind: Kind, role: Role, values: tuple[Values, Values], min_effect: float) -> Shift:
    """The more telling of the column's tests, p corrected for both. `q` and `shifted` are for the report to judge.

    `values` are those of the reference [m] and the fresh rows [n], NaN where missing; categories as 0, 1, ...
    """
    absent = np.isnan(values[0]), np.isnan(values[1])
    present = values[0][~absent[0]], values[1][~absent[1]]
    if kind is Kind.CATEGORY:
        tests = {"chi-square": levels_apart(*_counts(*present))}
    else:
        tests = {"kolmogorov-smirnov": numbers_apart(*present)}
    if absent[0].any() or absent[1].any():
        tests["missing-share"] = ordered_apart(*_counts(*absent))

    def telling(apart: Apart) -> tuple[bool, float, float]:  # a trifle that is sure must not hide what is none
        return apart.effect < min_effect, apart.p, -apart.effect

    test, apart = min(tests.items(), key=lambda item: telling(item[1]))
    p = min(1.0, len(tests) * apart.p)  # Bonferroni
    missing = float(absent[0].mean()), float(absent[1].mean())
    return Shift(name, kind.value, role, test, apart.statistic, apart.effect, p, p, missing, shifted=False)


def _counts(*sides: np.typing.NDArray[np.generic]) -> tuple[np.typing.NDArray[np.int64], ...]:
    """How often 0, 1, ... come on either side: arrays of one length."""
    whole = [side.astype(np.int64) for side in sides]
    size = max(int(side.max(initial=0)) for side in whole) + 1
    return tuple(np.bincount(side, minlength=size) for side in whole)
