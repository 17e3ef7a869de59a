"""What people read of a sweep: never a winner that there is not, never a failure left out."""

from __future__ import annotations

import math
from dataclasses import replace

from rich.console import Console

from tests.simulation import make_ledger, train
from tuner.engine.ledger import Ledger
from tuner.engine.result import figures, leaderboard
from tuner.review.describe import SHOWN, describe_best
from tuner.trial import Stage

COUNTS = {"train": [1, 1], "validation": [1, 1], "holdout": [9, 1]}


def shown(ledger: Ledger) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(describe_best(figures(ledger, COUNTS), leaderboard(ledger)))
    return captured.get()


def test_before_any_trial_nothing_is_promised() -> None:
    assert "none yet: no trial has a finite loss (none was begun)" in shown(make_ledger())


def test_where_all_diverged_it_says_so() -> None:
    ledger = make_ledger(6)
    while pack := ledger.ask(1):
        rows, timings, _ = train(pack)
        ledger.tell(pack.id, [replace(row, train_loss=math.nan, val_loss=math.nan) for row in rows], timings)
    assert "no trial has a finite loss (6 diverged)" in shown(ledger)


def test_seeds_that_diverged_and_trials_that_failed_are_counted() -> None:
    ledger = make_ledger(30, confirm=1)
    while pack := ledger.ask(1):
        if pack.stage is Stage.BASELINE:
            ledger.fail(pack.id, "out of memory")
            continue
        rows, timings, holdout = train(pack)
        if pack.stage is Stage.CONFIRM:  # one of its two seeds
            rows = [row for row in rows if not row.trial.endswith("-s2") or row.epoch == 1]
            rows = [replace(row, val_loss=math.nan) if row.trial.endswith("-s2") else row for row in rows]
        ledger.tell(pack.id, rows, timings, holdout)
    said = shown(ledger)
    assert "on 1 fresh seed " in said
    assert "diverged on 1 more" in said
    assert "8 trials: out of memory" in said
    assert f"…  {30 - SHOWN} more trials, in MLflow" in said
