"""Whether a search score was luck: how it stands beside what fresh seeds of the same configuration come to. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from tuner.engine import stages

if TYPE_CHECKING:
    from tuner.engine.ledger import Ledger

CONFIDENCE = 0.95


def luck_of(ledger: Ledger) -> str | None:
    """What fresh seeds say of the winner's score in the search; None where there are none."""
    winner = stages.winner(ledger)
    seeds = [ledger.score(repeat.id) for repeat in stages.repeats_of(ledger, winner)] if winner else []
    return luck(ledger.terms.metric, ledger.score(winner.id), seeds) if winner and seeds else None


def luck(metric: str, searched: float, seeds: Sequence[float]) -> str:
    """What the difference between a search score and the mean of one or more fresh `seeds` says, in one sentence.

    All are scores in the objective's terms: lower is better. The best of many scores owes some of it to luck, but a
    difference says so only where it is beyond what one more seed may differ by; see `reach`.
    """
    mean = fmean(seeds)
    gap, half = _amount(metric, mean - searched), reach(seeds)
    subject = "The fresh seed is" if len(seeds) == 1 else f"The mean of {len(seeds)} fresh seeds is"
    beside = f"{subject} {gap} {'worse' if mean > searched else 'better'} than the search score"
    if half is None:
        why = "one seed does" if len(seeds) == 1 else "seeds that came out alike do"
        return f"{beside}; {why} not show how far seeds differ, so this says nothing about luck."
    chance = f"{beside}; one more seed may be {_amount(metric, half)} off that mean ({CONFIDENCE:.0%})"
    if abs(mean - searched) <= half:
        return f"{chance}, so this says nothing about luck."
    return f"{chance}: {'some of that score was luck' if mean > searched else 'that score was no luck'}."


def reach(seeds: Sequence[float]) -> float | None:
    """How far from the mean of `seeds` one more lies at most, with 95% confidence; None where they do not show it.

    Half of Student's prediction interval for one more value of a normal distribution, t · sd · sqrt(1 + 1/n) with n - 1
    degrees of freedom (Hahn and Meeker, Statistical Intervals, 1991).
    """
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    spread = stdev(seeds) if len(seeds) > 1 else 0.0
    if not spread:
        return None
    quantile = float(stdtrit(len(seeds) - 1, 0.5 + CONFIDENCE / 2))
    return quantile * spread * math.sqrt(1 + 1 / len(seeds))


def _amount(metric: str, scores: float) -> str:
    """The size of a difference of scores."""
    return f"{abs(scores):.4f} nats" if metric == "val_loss" else f"{abs(scores) * 100:.1f} points"
