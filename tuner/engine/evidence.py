"""What a search has shown about its hyperparameters: which mattered, and what a grid would have seen of those. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner.engine.importance import FEWEST, Importance, measure
from tuner.engine.ledger import Ledger
from tuner.search.grid import GridSampler, points_per_axis
from tuner.search.space import LARGEST_GRID, Space
from tuner.trial import Stage, Trial

NAMED = 4  # hyperparameters in words
LEAST = 0.02  # of the variance of ranks: an axis that costs less when it is shuffled did not matter


def evidence(ledger: Ledger) -> dict[str, Any] | None:
    """Importance and distinct values of each searched hyperparameter, as JSON; None where nothing is searched.

    Trials are compared after as many epochs as all have, those of the first rung, and over the values that were tried:
    what a sampler has avoided cannot matter. `explained` says how well their ranking is foretold from the
    hyperparameters, on held-out trials (None: too few trials); unless it is more than chance makes of so many,
    `believed` is False and no axis `mattered`. `share` is an axis's part of the importance of all, `tried` its distinct
    values, `grid` how many it has in a grid of no more trials, or in the coarsest one; `words` says it all.
    """
    if not ledger.space.axes:
        return None
    epochs = ledger.rule.rungs[0]
    trials = [trial for trial in _searched(ledger) if loss_after(ledger, trial, epochs) is not None]
    losses = np.array([loss_after(ledger, trial, epochs) for trial in trials], float)
    found = measure(_points(ledger.space, trials), losses, ledger.terms.seed)
    believed = found is not None and found.explained > 0.1 + 2 / len(trials)
    axes = _axes(ledger, found, believed)
    grid = _grid(ledger.space, max(len(_searched(ledger)), 1))
    for axis, row in zip(ledger.space.axes, axes, strict=True):
        row["grid"] = len(axis.domain.grid(grid["points"]))
    if believed:
        axes.sort(key=lambda row: -row["drop"])
    known = {
        "epochs": epochs,
        "trials": len(trials),
        "explained": found.explained if found else None,
        "believed": believed,
        "axes": axes,
        "grid": grid,
    }
    measured = "loss" if ledger.terms.metric == "val_loss" else "accuracy"
    return {**known, "words": list(filter(None, [_told(known, measured), _beside_a_grid(known)]))}


def _searched(ledger: Ledger) -> list[Trial]:
    return [trial for trial in ledger.trials.values() if trial.stage is Stage.SEARCH]


def loss_after(ledger: Ledger, trial: Trial, epochs: int) -> float | None:
    """The score of `trial` after `epochs` epochs; infinity if it diverged on the way, None if it is not there yet."""
    rows = [row for row in ledger.rows.get(trial.id, ()) if row.epoch <= epochs]
    losses = [ledger.loss_of(row) for row in rows]
    if not losses:
        return None
    if not math.isfinite(losses[-1]):
        return math.inf
    if rows[-1].epoch < epochs:
        return None
    return min(losses) if ledger.terms.select == "best" else losses[-1]


def _points(space: Space, trials: Sequence[Trial]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Coordinates [trials, axes] in the unit cube, NaN where an axis is inactive."""
    found = np.full((len(trials), len(space.axes)), np.nan)
    for row, trial in enumerate(trials):
        for column, axis in enumerate(space.axes):
            if axis.name in trial.params:
                found[row, column] = axis.domain.to_unit(trial.params[axis.name])
    return found


def _axes(ledger: Ledger, found: Importance | None, believed: bool) -> list[dict[str, Any]]:
    """One record an axis, in the order of the space."""
    total = sum(max(drop, 0.0) for drop in found.drops) if found else 0.0
    rows: list[dict[str, Any]] = []
    for column, axis in enumerate(ledger.space.axes):
        tried = {trial.params[axis.name] for trial in _searched(ledger) if axis.name in trial.params}
        row: dict[str, Any] = {"name": axis.name, "tried": len(tried), "mattered": False}
        if found:
            drop, spread = found.drops[column], found.spreads[column]
            row |= {"drop": drop, "spread": spread, "share": max(drop, 0.0) / total if total else 0.0}
            row["mattered"] = believed and drop > max(spread, LEAST)
        rows.append(row)
    return rows


def _grid(space: Space, trials: int) -> dict[str, Any]:
    """The finest grid of no more than `trials` trials, or else the coarsest there is: `points` an axis, its `trials`.

    None for trials: more than a million.
    """
    points = points_per_axis(space, trials)
    size = _size(space, points)
    while points < trials and (finer := _size(space, points + 1)) and finer <= trials:
        points, size = points + 1, finer
    return {"points": points, "trials": size}


def _size(space: Space, points: int) -> int | None:
    if space.combinations(points) > LARGEST_GRID:
        return None
    return GridSampler(space, 0, 1, points).size()


def _told(known: Mapping[str, Any], measured: str) -> str:
    after = f"after {known['epochs']} epoch{'s' * (known['epochs'] != 1)}"
    if known["explained"] is None:
        return f"not to be told from {known['trials']} trials {after}: it takes {FEWEST} that differ"
    share = f"{max(known['explained'], 0.0):.0%} of the ranking of trials that it has not seen"
    if not known["believed"]:
        return f"not to be told from {known['trials']} trials {after}: a forest foretells {share}; so may chance"
    rows = [row for row in known["axes"] if row["mattered"]]
    named = ", ".join(f"{row['name']} {row['share']:.0%}" for row in rows[:NAMED])
    effect = f"{named} of the effect" if named else "no hyperparameter alone has an effect"
    return f"{effect} on the {measured} {after}; from the values that were tried a forest foretells {share}"


def _beside_a_grid(known: Mapping[str, Any]) -> str:
    rows = [row for row in known["axes"] if row["mattered"]][:NAMED]
    if not any(row["tried"] > row["grid"] for row in rows):
        return ""
    tried = ", ".join(f"{row['tried']:,} of {row['name']}" for row in rows)
    size, each = known["grid"]["trials"], ", ".join(str(row["grid"]) for row in rows)
    return f"values tried: {tried}; a grid of {f'{size:,}' if size else 'over a million'} trials has {each}"
