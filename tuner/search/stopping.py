"""What a stopping rule is, and the ones that can be chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tuner.search.asha import asha
from tuner.search.hyperband import hyperband
from tuner.search.pasha import pasha
from tuner.search.synchronous import no_stopping, successive_halving, top_k_after
from tuner.trial import Promotion


class StoppingRule(Protocol):
    """Decides who is trained further. Runs nothing; the same calls in the same order give the same answers.

    Trials are known by number. A lower loss is better, and ties go to the lower number.
    """

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs at which trials are compared, ascending; the last one is the longest training."""

    def entry(self, trial: int, /) -> int:
        """The rung up to which `trial` is trained at first; a matter of its number alone."""

    def report(self, trial: int, rung: int, loss: float, curve: Sequence[float] = ()) -> None:
        """Enters the loss of `trial` at the end of `rung`, once a trial and rung, after it was promoted there.

        A loss that is not finite means diverged or failed: it counts as a member, ranks last and never goes on.
        `curve` holds the loss after each epoch so far, for rules that learn from it how noisy losses are.
        """

    def promotable(self, limit: int | None = None) -> list[Promotion]:
        """Those that may go on and have not yet: highest rung first, within a rung best first; at most `limit`.

        Changes nothing. Reporting a further trial may withdraw a promotion that was not acted on.
        """

    def promote(self, promotion: Promotion) -> None:
        """Acts on a promotion: its trial is now on the way to the next rung."""

    def close(self, trials: int) -> None:
        """Tells that `trials` trials are drawn altogether, so that it is known when a rung is full."""

    def extend(self, max_epochs: int) -> None:
        """Opens a closed search again, with rungs up to `max_epochs` (ValueError if these are fewer than before).

        Whoever stands at what was the last rung may go on. All reports and promotions stay.
        """

    def expected_epochs(self, trials: int) -> float:
        """About how many epochs a search of `trials` trials takes by this rule, if none diverges."""

    def verdict(self, trial: int) -> str:
        """Why `trial` stands where it stands, in words: rank, size of the rung, and the cut."""


RULES: Mapping[str, Callable[[int, int, int, int], StoppingRule]] = {
    "asha": lambda first, last, reduction, _: asha(first, last, reduction),
    "successive_halving": lambda first, last, reduction, _: successive_halving(first, last, reduction),
    "hyperband": lambda first, last, reduction, _: hyperband(first, last, reduction),
    "pasha": lambda first, last, reduction, _: pasha(first, last, reduction),
    "top_k_after": lambda first, last, _, keep: top_k_after(first, last, keep),
    "none": lambda _first, last, _reduction, _keep: no_stopping(last),
}
WHOLE_RUNGS = ("successive_halving", "top_k_after")
"""Rules that wait for whole rungs, so that nothing depends on the order in which results arrive."""


def make(kind: str, min_epochs: int, max_epochs: int, reduction: int, keep: int = 8) -> StoppingRule:
    """The stopping rule named `kind`, whose first and last rungs are at `min_epochs` and `max_epochs`.

    `reduction` is for those that halve, `keep` for top_k_after; none heeds `max_epochs` only. ValueError on an unknown
    name or bad budget.
    """
    if kind not in RULES:
        raise ValueError(f"stopping rule must be one of {', '.join(RULES)}, but is {kind!r}")
    return RULES[kind](min_epochs, max_epochs, reduction, keep)
