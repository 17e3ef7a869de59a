"""What a sampler is, and the samplers by name.

To add one, write a class that keeps the `Sampler` contract in a file of its own, name it in `make` and in the
spec's `search.sampler`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from tuner.search.space import Space
from tuner.trial import Draw, Value

if TYPE_CHECKING:
    from tuner.search.warm import Focus

SAMPLERS = ("random", "grid", "sobol")


class Sampler(Protocol):
    """Says what to try next; never runs anything, reads no clock and no global random state.

    Equal arguments to `make`, numbers and tells give equal draws, so that a journal can be replayed.
    """

    adaptive: bool
    """False: draws do not depend on tells, so they may be drawn ahead."""

    def ask(self, number: int) -> Draw | None:
        """The draw for trial `number` (0, 1, 2, ...; first asked in order), or None when there are no more."""

    def tell(self, number: int, epochs: int, loss: float) -> None:
        """Trial `number` has reached `loss` (lower is better, NaN = diverged) after `epochs` epochs."""


def make(
    name: str,
    space: Space,
    seed: int,
    trials: int,
    points: int | None = None,
    *,
    start: Sequence[Mapping[str, Value]] = (),
    focus: Focus | None = None,
) -> Sampler:
    """The sampler `name` over `space`; `trials` and `points` (values per axis) size a grid.

    With configurations to `start` from, those come first, then draws around them as `focus` says among its own.
    Raises DomainError if a grid would have too many combinations, ValueError if there is no such sampler.
    """
    if not start:
        return _named(name, space, seed, trials, points)
    from tuner.search.warm import Focus, WarmStart

    focus = focus or Focus()
    return WarmStart(_named(name, space, seed, focus.left(trials - len(start)), points), space, seed, start, focus)


def _named(name: str, space: Space, seed: int, trials: int, points: int | None) -> Sampler:
    match name:
        case "random":
            from tuner.search.random import RandomSampler

            return RandomSampler(space, seed)
        case "grid":
            from tuner.search.grid import GridSampler

            return GridSampler(space, seed, trials, points)
        case "sobol":
            from tuner.search.sobol import SobolSampler

            return SobolSampler(space, seed)
    raise ValueError(f"no sampler is called {name!r}: use one of {', '.join(SAMPLERS)}")
