"""What fits a budget: the largest sweep, and whether one model steered by hand or many in parallel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SPARE = 0.1  # of a budget is left by what is named as fitting: the next plan times the machine anew
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
    """`largest` is the number of trials of the largest sweep that fits; 0 if none does. `reason` is a sentence.

    Where it is not the sweep that was asked for, SPARE of the budget is left.
    """

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


def fit(budget: Budget, trials: int, drawn: int | None = None) -> Fit:
    """Whether a sweep that is asked for `trials` trials, and has `drawn` of them, fits; if not, how many surely do."""
    seconds = budget.seconds_of(trials)
    number = trials if drawn is None else drawn
    taking = f"{budget.what} of {_count(number, 'trial')} takes about {_time(seconds)}"
    if seconds <= budget.limit:
        return Fit(True, trials, f"{taking}, of {_time(budget.limit)}")
    below = number if budget.seconds_of(number) > budget.limit else trials  # a grid of fewer points may be another
    found = largest(lambda asked: budget.seconds_of(asked) <= budget.limit * (1 - SPARE), below)
    over = f"{taking}, more than the {_time(budget.limit)} that there are"
    if found:
        return Fit(False, found, f"{over}: --set search.trials={found} is the largest that fits with a tenth to spare")
    alone = _time(budget.seconds_of(1))
    return Fit(False, 0, f"{over}, and one trial alone takes about {alone}: give it more time, or fewer epochs")


def largest(fits: Callable[[int], bool], below: int) -> int:
    """The largest number of trials below `below` that fits, by bisection, to a hundredth; 0 if not even one does.

    Nearer than that it would be a matter of chance, and each look is a rehearsal.
    """
    low, high = 0, below
    while high - low > 1 + low // 100:
        between = (low + high) // 2
        low, high = (between, high) if fits(between) else (low, between)
    return low


@dataclass(frozen=True, slots=True)
class Advice:
    """`kind` is panda, caviar, or neither."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a search and a single model take, in seconds.

    `trials` trials take `seconds` with `workers` workers; `beside` of these are start and end. A usual model takes
    `one` to `max_epochs`, and `alone` with the start of a command that trains nothing else. A search of fewer trials
    than `least` compares too few to find anything that a person who looks at one learning curve would not.
    """

    trials: int
    seconds: float
    beside: float
    workers: int
    one: float
    alone: float
    max_epochs: int
    least: int

    def room(self, allowed: float) -> int:
        """How many trials fit into `allowed` seconds, about: those that are known take as long as all do."""
        return int(self.trials * max(allowed - self.beside, 0.0) / max(self.seconds - self.beside, 1e-9))

    @property
    def model(self) -> str:
        """One model, in words."""
        return f"one model takes {_time(self.one)} to {_count(self.max_epochs, 'epoch')}"


def least_search(rungs: int, reduction: int) -> int:
    """The fewest trials by which a search is one: those of which two rungs leave one, or a handful without rungs."""
    return reduction ** min(rungs - 1, 2) if rungs > 1 else 3


def advise(outlook: Outlook, limit: float | None, fitting: Fit | None, searched: bool) -> Advice:
    """What fits into `limit` seconds (None: a day). `fitting` is what was found of the sweep, where there is a budget.

    `searched` says that the spec has something to search.
    """
    allowed = A_DAY if limit is None else limit
    budget = "a day" if limit is None else f"the budget of {_time(allowed)}"
    if outlook.alone > allowed:
        return Advice("neither", f"{outlook.model}, and {_time(outlook.alone)} with its start: more than {budget}")
    if not searched:
        reason = "nothing is searched, so trials would differ in their seeds alone"
        return Advice("panda", f"{reason}; {outlook.model}: train one, and change its hyperparameters as it learns")
    room = outlook.room(allowed)
    if fitting:
        room = max(room, outlook.trials) if fitting.fits else fitting.largest
    if room < outlook.least:
        return Advice("panda", _too_little(outlook, allowed, budget, room))
    by_hand = max(int(outlook.seconds / outlook.one), 1)
    reason = (
        f"{_count(outlook.workers, 'worker')} try {_count(outlook.trials, 'trial')} in {_time(outlook.seconds)}; "
        f"{outlook.model}, so one after the other, by hand, that would be {_count(by_hand, 'model')}. "
        f"In {budget} there is room for about {_count(room if fitting else _roughly(room), 'trial')}"
    )
    return Advice("caviar", reason)


def _roughly(number: int) -> int:
    """To two digits: a pace that was measured for seconds says no more about a day."""
    return int(float(f"{number:.2g}"))


def _too_little(outlook: Outlook, allowed: float, budget: str, room: int) -> str:
    """Why so few trials fit: their number, or a start and an end in which many models could have been trained."""
    said = f"there is room for about {_count(room, 'trial')} on {_count(outlook.workers, 'worker')}"
    needs = f"and a search needs {outlook.least}"
    advice = "train one, look at its curve, and change its hyperparameters as it learns"
    if outlook.beside > allowed / 2:
        start = f"a sweep starts and ends in {_time(outlook.beside)}, so in {budget} {said}, {needs}"
        return f"{start}; {outlook.model}, and {_time(outlook.alone)} with its start: {advice}"
    return f"{outlook.model}, so in {budget} {said}, {needs}: {advice}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"
