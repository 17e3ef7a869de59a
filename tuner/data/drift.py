"""Drift: have the fresh rows another distribution than those that the champion was trained on? Pure.

A column has shifted where the difference is both significant and large. Significance alone would flag every trifle
among 100,000 rows; size alone would flag identical data among 100 (a PSI of 0.1 does so in 84% of cases).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from models.columns import Kind, counted
from models.errors import DataError
from tuner.data.discriminator import Discriminator, discriminate, subsample
from tuner.data.paired import Values, paired
from tuner.data.shift import Shift, shift_of

TELLING = 5  # features named


@dataclass(frozen=True, slots=True)
class Drift:
    """The columns, the most shifted first; how well a classifier tells fresh rows; the verdict and its reason.

    `auc`, `p` and `q` are the classifier's, None where there is too little for one. `auc_top` are the features by
    which it tells fresh rows, the most telling first; empty where it does not. `untested` are the features that
    neither saw: times, which always move on. `rows` are those of the reference and the fresh ones.
    """

    columns: tuple[Shift, ...]
    auc: float | None
    p: float | None
    q: float | None
    auc_top: tuple[str, ...]
    untested: tuple[str, ...]
    rows: tuple[int, int]
    drifted: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; tuples are lists."""
        columns = [{**asdict(column), "missing": list(column.missing)} for column in self.columns]
        lists = {name: list(getattr(self, name)) for name in ("auc_top", "untested", "rows")}
        return {**asdict(self), **lists, "columns": columns}


def score(
    reference: pd.DataFrame,
    fresh: pd.DataFrame,
    *,
    features: Mapping[str, str],
    target: str,
    alpha: float = 0.05,
    min_effect: float = 0.1,
    seed: int = 0,
) -> Drift:
    """Compares the raw columns `features` (name -> kind, as in a snapshot), one by one and jointly, and the label.

    Identical distributions are flagged in at most a share `alpha` of cases, over all columns and the classifier
    (Benjamini-Hochberg). A difference counts from `min_effect` on: for a column its effect, for the classifier
    2 AUC - 1. A column that one side lacks counts as missing there. Rows must be independent for the p-values to
    hold: a row on both sides hides what has shifted, and rows that come in clumps are fewer than they seem.
    Raises DataError where a side has no rows.
    """
    if not (len(reference) and len(fresh)):
        told = f"{counted(len(reference), 'row')} of reference and {counted(len(fresh), 'fresh row')}"
        raise DataError(f"drift needs rows on both sides, and there are {told}: check the windows")
    kinds = {name: Kind(kind) for name, kind in features.items() if name != target}
    untested = tuple(name for name, kind in kinds.items() if kind is Kind.DATETIME)
    pairs = {name: paired(reference, fresh, name, kind) for name, kind in kinds.items() if name not in untested}
    label = paired(reference, fresh, target, Kind.CATEGORY)
    shifts = [shift_of(name, kinds[name], "feature", pair, min_effect) for name, pair in pairs.items()]
    shifts.append(shift_of(target, Kind.CATEGORY, "label", label, min_effect))
    found = _discriminated(list(pairs.values()), seed)
    q = false_discovery_control([shift.p for shift in shifts] + ([found.p] if found else [])).tolist()
    columns = _judge(shifts, q[: len(shifts)], alpha, min_effect)
    top: tuple[str, ...] = ()
    if found and q[-1] <= alpha and 2 * found.auc - 1 >= min_effect:
        top = _telling(found.importances, list(pairs))
    return Drift(
        columns=columns,
        auc=found.auc if found else None,
        p=found.p if found else None,
        q=q[-1] if found else None,
        auc_top=top,
        untested=untested,
        rows=(len(reference), len(fresh)),
        drifted=columns[0].shifted or bool(top),
        reason=f"{_of_columns(columns)}; {_of_classifier(found, top)}",
    )


def _discriminated(pairs: list[tuple[Values, Values]], seed: int) -> Discriminator | None:
    """The classifier of the features, on some of the rows; None where there are no features, or too few rows."""
    if not pairs:
        return None
    random = np.random.default_rng(seed)
    old, new = (subsample(len(values), random) for values in pairs[0])
    reference = np.column_stack([pair[0][old] for pair in pairs])
    fresh = np.column_stack([pair[1][new] for pair in pairs])
    return discriminate(reference, fresh, seed)


def _judge(shifts: list[Shift], q: list[float], alpha: float, min_effect: float) -> tuple[Shift, ...]:
    """The columns with q and verdict: those that shifted by their effect, then the others by their p-value."""
    judged = [
        replace(shift, q=value, shifted=value <= alpha and shift.effect >= min_effect)
        for shift, value in zip(shifts, q, strict=True)
    ]
    return tuple(sorted(judged, key=lambda shift: (not shift.shifted, -shift.effect if shift.shifted else shift.p)))


def _telling(importances: Values, names: list[str]) -> tuple[str, ...]:
    """The names of the features that matter most, at least one; not those that hardly do."""
    first, *others = np.argsort(-importances, kind="stable")[:TELLING].tolist()
    enough = importances[first] / 2
    return names[first], *(names[place] for place in others if importances[place] > enough)


def _of_columns(columns: tuple[Shift, ...]) -> str:
    number, first = sum(column.shifted for column in columns), columns[0]
    if not number:
        return f"none of {counted(len(columns), 'column')} has shifted"
    most = f"{first.role} {first.name!r} ({first.test}, effect {first.effect:.2f})"
    return f"{number} of {counted(len(columns), 'column')} shifted, most of all the {most}"


def _of_classifier(found: Discriminator | None, top: tuple[str, ...]) -> str:
    if found is None:
        return "there is too little for a classifier to tell fresh rows by"
    if not top:
        return f"a classifier does not tell fresh rows (AUC {found.auc:.2f})"
    return f"a classifier tells fresh rows (AUC {found.auc:.2f}), most of all by {', '.join(map(repr, top))}"
