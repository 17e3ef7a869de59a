"""What fits a budget: the largest sweep, and whether one model steered by hand or many in parallel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

A_DAY = 24 * 3600.0  # how long people wait for an answer, where no budget says it
AT_ONCE = ("asha", "hyperband", "pasha")  # promote a trial that is among the best so far, and later ones beside it


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds that there are: for `what`, in words; `seconds_of` says what that takes with a number of trials."""

    limit: float
    what: str
    seconds_of: Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Fit:
    """`largest` is the number of trials of the largest sweep that fits; 0 if none does. `reason` is a sentence."""

    fits: bool
    largest: int
    reason: str


def caution(learns: bool, stopping: str) -> str | None:
    """What a rehearsal with losses that no sampler improves cannot show; `stopping` is the rule's name in a spec."""
    if not learns or stopping not in AT_ONCE:
        return None
    return (
        f"a sampler that learns draws better trials later, of which {stopping} lets more go on than foretold: "
        "in the benchmark `regret` the search took 1.4 to 3 times the epochs"
    )


def fit(budget: Budget, trials: int) -> Fit:
    """Whether `trials` trials fit the budget, and if not, how many do."""
    seconds = budget.seconds_of(trials)
    taking = f"{budget.what} of {_count(trials, 'trial')} takes about {_time(seconds)}"
    if seconds <= budget.limit:
        return Fit(True, trials, f"{taking}, of {_time(budget.limit)}")
    found = largest(lambda number: budget.seconds_of(number) <= budget.limit, trials)
    over = f"{taking}, more than the {_time(budget.limit)} that there are"
    if found:
        return Fit(False, found, f"{over}: --set search.trials={found} is the largest that fits")
    alone = _time(budget.seconds_of(1))
    return Fit(False, 0, f"{over}, and one trial alone takes {alone}: give it more time, or fewer epochs")


def largest(fits: Callable[[int], bool], below: int) -> int:
    """The largest number of trials below `below` that fits, by bisection; 0 if not even one does."""
    low, high = 0, below
    while high - low > 1:
        between = (low + high) // 2
        low, high = (between, high) if fits(between) else (low, between)
    return low


@dataclass(frozen=True, slots=True)
class Advice:
    """`kind` is panda or caviar."""

    kind: str
    reason: str


def least_search(rungs: int, reduction: int) -> int:
    """The fewest trials by which a search is one: those of which two rungs leave one, or a handful without rungs."""
    return reduction ** min(rungs - 1, 2) if rungs > 1 else 3


def advise(
    *,
    one: float,
    trials: int,
    seconds: float,
    beside: float,
    limit: float | None,
    most: int | None,
    workers: int,
    least: int,
    max_epochs: int,
) -> Advice:
    """What fits into `limit` seconds (None: a day), where `trials` trials take `seconds` with `workers` workers.

    `beside` of these seconds are no training, `one` is what a usual model takes to `max_epochs`, and `most` the largest
    number of trials that fits, where that is known. A search of fewer trials than `least` compares too few to find
    anything that a person who looks at one learning curve would not.
    """
    allowed = A_DAY if limit is None else limit
    budget = "a day" if limit is None else f"the budget of {_time(allowed)}"
    room = most if most is not None else int(trials * max(allowed - beside, 0.0) / max(seconds - beside, 1e-9))
    model = f"one model takes {_time(one)} to {_count(max_epochs, 'epoch')}"
    if room < least:
        reason = (
            f"{model}, so in {budget} there is room for about {_count(room, 'trial')} on {_count(workers, 'worker')}, "
            f"and a search needs {least}: train one, look at its curve, and change its hyperparameters as it learns"
        )
        return Advice("panda", reason)
    by_hand = max(int(seconds / one), 1)
    reason = (
        f"{_count(workers, 'worker')} try {_count(trials, 'trial')} in {_time(seconds)}; {model}, so one after the "
        f"other, by hand, that would be {_count(by_hand, 'model')}. In {budget} there is room for about "
        f"{_count(room, 'trial')}"
    )
    return Advice("caviar", reason)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"
