"""What a stopping rule is, and the ones that can be chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from tuner.search.asha import asha
from tuner.search.synchronous import no_stopping, successive_halving
from tuner.trial import Promotion


class StoppingRule(Protocol):
    """Decides who is trained further. Runs nothing; the same calls in the same order give the same answers.

    Trials are known by number. A lower loss is better, and ties go to the lower number.
    """

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs at which trials are compared, ascending; the last one is the longest training."""

    def report(self, trial: int, rung: int, loss: float) -> None:
        """Enters the loss of `trial` at the end of `rung`, once a trial and rung, after it was promoted there.

        A loss that is not finite means diverged or failed: it counts as a member, ranks last and never goes on.
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

    def verdict(self, trial: int) -> str:
        """Why `trial` stands where it stands, in words: rank, size of the rung, and the cut."""


RULES: Mapping[str, Callable[[int, int, int], StoppingRule]] = {
    "asha": asha,
    "successive_halving": successive_halving,
    "none": lambda _min_epochs, max_epochs, _reduction: no_stopping(max_epochs),
}


def make(kind: str, min_epochs: int, max_epochs: int, reduction: int) -> StoppingRule:
    """The stopping rule named `kind`; `none` heeds `max_epochs` only. ValueError on an unknown name or bad budget."""
    if kind not in RULES:
        raise ValueError(f"stopping rule must be one of {', '.join(RULES)}, but is {kind!r}")
    return RULES[kind](min_epochs, max_epochs, reduction)
