"""What a difference between search score and fresh seeds says: how often it is right, and where it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.simulation import make_ledger, train
from tuner.engine.luck import luck, reach
from tuner.engine.result import figures, leaderboard
from tuner.engine.verdict import summary
from tuner.review.describe import describe_best

COUNTS = {"train": [1, 1], "validation": [1, 1], "holdout": [9, 1]}
UNKNOWN = "so this says nothing about luck."


def found(seeds: int) -> dict[str, Any]:
    """The result of a sweep whose best are trained again on so many fresh seeds."""
    ledger = make_ledger(9)
    ledger.terms = replace(ledger.terms, seeds=seeds)
    while pack := ledger.ask(1):
        ledger.tell(pack.id, *train(pack))
    return {**figures(ledger, COUNTS), "board": leaderboard(ledger)}


def shown(result: dict[str, Any]) -> str:
    """What a terminal shows of it."""
    console = Console(width=300)
    with console.capture() as captured:
        console.print(describe_best(result, result["board"]))
    return captured.get()


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_one_more_seed_is_within_reach_nineteen_times_of_twenty(seeds: int) -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.1, (2000, seeds + 1))
    within = [abs(last - np.mean(known)) <= (reach(known) or 0.0) for *known, last in drawn.tolist()]
    assert np.mean(within) == pytest.approx(0.95, abs=0.015)


def test_only_what_is_beyond_reach_is_luck_or_none() -> None:
    seeds = [0.40, 0.41, 0.42]  # one more is within 0.0497
    assert luck("val_loss", 0.37, seeds).startswith("The mean of 3 fresh seeds is 0.0400 nats worse than the search")
    assert luck("val_loss", 0.37, seeds).endswith(f"one more seed may be 0.0497 nats off that mean (95%), {UNKNOWN}")
    assert luck("val_loss", 0.45, seeds).endswith(UNKNOWN)
    assert luck("val_loss", 0.35, seeds).endswith("(95%): some of that score was luck.")
    assert luck("val_loss", 0.47, seeds).endswith("(95%): that score was no luck.")
    told = luck("val_accuracy", -0.944, [-0.947])
    assert told == (
        "The fresh seed is 0.3 points better than the search score; "
        f"one seed does not show how far seeds differ, {UNKNOWN}"
    )
    assert "seeds that came out alike do not show" in luck("val_accuracy", -0.944, [-0.947, -0.947])


def test_one_fresh_seed_has_no_deviation_anywhere() -> None:
    result = found(seeds=1)
    assert result["confirmed"]["seeds"] == 1
    assert [value for name, value in result["confirmed"].items() if name.endswith("_std")] == [None] * 4
    for text in (shown(result), summary("made-1", result)):
        assert "on 1 fresh seed " in text
        assert "The fresh seed is " in text
        assert UNKNOWN in text
        assert "±" not in text


def test_terminal_and_mlflow_say_the_same_of_several() -> None:
    result = found(seeds=3)
    assert result["confirmed"]["val_loss_std"] > 0
    assert result["luck"].startswith("The mean of 3 fresh seeds is ")
    assert result["luck"] in shown(result)
    assert result["luck"] in summary("made-1", result)
