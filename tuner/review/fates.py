"""What became of each trial of the search at each rung, and the trials as marks of a picture. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tuner.engine.account import Account, Told
from tuner.review.measure import Measure, Span
from tuner.review.style import FATES, mark
from tuner.trial import Stage, State

if TYPE_CHECKING:
    from plotly.graph_objects import Scatter

MOST = 2_000  # trials in a picture: a phone draws no more at once, and the file stays small
MANY = 200  # trials, from which on marks are small
GOLDEN = (math.sqrt(5) - 1) / 2


def searched(account: Account) -> list[Told]:
    """The trials of the search, in the order in which they were drawn."""
    return [told for told in account.trials if told.trial.stage is Stage.SEARCH]


def drawn(trials: Sequence[Told]) -> list[Told]:
    """The trials that a picture shows: all, or where these are too many, the best tenth of MOST and others evenly."""
    if len(trials) <= MOST:
        return list(trials)
    best = {told.trial.id for told in sorted(trials, key=lambda told: (told.score, told.trial.number))[: MOST // 10]}
    others = [told for told in trials if told.trial.id not in best]
    step = len(others) / (MOST - len(best))
    kept = best | {others[int(place * step)].trial.id for place in range(MOST - len(best))}
    return [told for told in trials if told.trial.id in kept]


def left_out(trials: Sequence[Told]) -> str:
    """A sentence about trials that are not drawn, after a space; nothing where all are."""
    if len(trials) <= MOST:
        return ""
    return f" Of {len(trials):,} trials {MOST:,} are drawn, the best {MOST // 10} and others evenly; all are counted."


def winner_of(account: Account) -> Told | None:
    """The winner, or the best so far; None where no trial has a finite loss."""
    best = account.figures.get("best")
    return next((told for told in account.trials if best and told.trial.id == best["trial"]), None)


def best_word(account: Account) -> str:
    """What the best trial is called: there is a winner only once the sweep has ended."""
    return "winner" if account.status in ("finished", "failed") else "best so far"


def fate(told: Told, epochs: int, account: Account) -> str:
    """What became of a trial after `epochs` epochs, the end of a rung that it has come to."""
    if not math.isfinite(told.after[epochs]):
        return "diverged"
    if (account.figures.get("best") or {}).get("trial") == told.trial.id:
        return "winner"
    if epochs == account.rungs[-1]:
        return "fully trained"
    if told.rows[-1].epoch > epochs:
        return "went on"
    return "waiting" if told.state in (State.WAITING, State.RUNNING) else "stopped"


def scatter(
    trials: Sequence[Told],
    epochs: int,
    account: Account,
    span: Span,
    *,
    across: Callable[[Told], float],
    said: Callable[[Told], str],
    legend: bool = True,
) -> list[Scatter]:
    """Marks of `trials` that came to `epochs`, one trace a fate: `across` gives their x, `said` a line of words."""
    from plotly.graph_objects import Scatter

    made = []
    for name in FATES:
        group = [told for told in trials if epochs in told.after and fate(told, epochs, account) == name]
        if group:
            made.append(
                Scatter(
                    x=[across(told) for told in group],
                    y=[span.place(told.after[epochs]) for told in group],
                    text=[_hover(told, epochs, span.measure, said(told)) for told in group],
                    hovertemplate="%{text}<extra></extra>",
                    mode="markers",
                    marker=mark(name, 8 if len(trials) <= MANY else 5),
                    name=best_word(account) if name == "winner" else name,
                    legendgroup=name,
                    showlegend=legend,
                )
            )
    return made


def jitter(told: Told, width: float) -> float:
    """A shift of at most half of `width` to either side, the same for the same trial: marks beside each other."""
    return round((((told.trial.number + 1) * GOLDEN) % 1 - 0.5) * width, 4)


def diverged(trials: Iterable[Told], epochs: int) -> int:
    """How many of the trials diverged before the end of `epochs` epochs."""
    return sum(told.after.get(epochs, 0.0) == math.inf for told in trials)


def _hover(told: Told, epochs: int, measure: Measure, said: str) -> str:
    return f"<b>{told.trial.id}</b> {measure.text(told.after[epochs])}" + (f"<br>{said}" if said else "")
