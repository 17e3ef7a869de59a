"""What a sampler is, and the samplers by name.

To add one, write a class that keeps the `Sampler` contract in a file of its own, name it in `make` and in the
spec's `search.sampler`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tuner.search.space import Space
from tuner.trial import Draw, Value

if TYPE_CHECKING:
    from tuner.search.boxes import Zoom
    from tuner.search.focus import Focus
    from tuner.search.lessons import Lessons

SAMPLERS = ("random", "grid", "sobol", "coarse_to_fine", "tpe")
LEARNERS = ("coarse_to_fine", "tpe")
"""Those whose draws depend on results."""


class Sampler(Protocol):
    """Says what to try next; never runs anything, reads no clock and no global random state.

    Equal arguments to `make`, and equal asks, tells and lessons in the same order, give equal draws, so that a journal
    can be replayed. A sampler that learns draws many trials from what it knows at one time, or no pack would have two.
    """

    def ask(self, number: int) -> Draw | None:
        """The draw for trial `number` (0, 1, 2, ...; first asked in order), or None when there are no more."""

    def tell(self, number: int, epochs: int, loss: float) -> None:
        """Trial `number` has `loss` (lower is better, NaN = diverged) after `epochs` epochs, those of a rung."""

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        """`point`, which this sampler did not draw, has `loss` after `epochs` epochs, on a par with those of `tell`.

        Before the first ask, or at any time after it. Calls with one `name` are about one trial, always at one point;
        it is no draw, so it has no number and takes no part in how many there are.
        """

    def is_settled(self, number: int) -> bool:
        """Whether nothing told from now on changes the draw for `number`, the next one or one before.

        If so, it may be drawn ahead. If not, it is best asked for as late as possible; asked all the same, it follows
        from what is known so far.
        """

    def rounds(self) -> list[dict[str, Any]]:
        """What was decided round by round, oldest first, as plain data for reports; none where nothing is learned.

        Trials are named by their numbers, those that it learned of by their names.
        """


def make(
    name: str,
    space: Space,
    seed: int,
    trials: int,
    points: int | None = None,
    *,
    start: Sequence[Mapping[str, Value]] = (),
    focus: Focus | None = None,
    zoom: Zoom | None = None,
    lessons: Lessons | None = None,
) -> Sampler:
    """The sampler `name` over `space`; `trials` and `points` (values per axis) size a grid.

    `trials` also size the rounds of those that learn; `zoom` is coarse_to_fine's alone.

    With configurations to `start` from, and then those of `lessons`, they come first, then draws around them as `focus`
    says among its own; without a `focus`, half of the draws, or none if it is told what all of the lessons' starts are
    worth. Raises DomainError if a grid would have too many combinations or a lesson is no configuration of the space,
    ValueError if there is no such sampler or what it needs is not installed.
    """
    taken = lessons.starts if lessons else ()
    if start or taken:
        from tuner.search.focus import Focus
        from tuner.search.warm import WarmStart

        focus = focus or (Focus(share=0.0) if lessons and lessons.suffice and not start else Focus())
        starts = [*start, *(lesson.params for lesson in taken)]
        inner = _named(name, space, seed, focus.left(trials - len(starts)), points=points, zoom=zoom)
        origins = [""] * len(start) + [lesson.name for lesson in taken]
        made: Sampler = WarmStart(inner, space, seed, starts, focus, origins=origins)
    else:
        made = _named(name, space, seed, trials, points=points, zoom=zoom)
    for lesson in lessons.told if lessons else ():
        point = space.encode(lesson.params)
        for epochs, loss in lesson.losses.items():
            made.learn(lesson.name, point, epochs, loss)
    return made


def drawn(sampler: Sampler, trials: int) -> int:
    """How many draws there are for `trials` trials: a grid has an end, unless what it leaves is drawn in boxes."""
    from tuner.search.grid import GridSampler
    from tuner.search.warm import WarmStart

    if isinstance(sampler, WarmStart) and not sampler.focus.share:
        return min(trials, sampler.starts + drawn(sampler.inner, trials))
    return min(trials, sampler.size()) if isinstance(sampler, GridSampler) else trials


def points(sampler: Sampler) -> int | None:
    """How many points its grid has per axis; None for other samplers."""
    from tuner.search.grid import GridSampler
    from tuner.search.warm import WarmStart

    inner = sampler.inner if isinstance(sampler, WarmStart) else sampler
    return inner.points if isinstance(inner, GridSampler) else None


def _named(name: str, space: Space, seed: int, trials: int, *, points: int | None, zoom: Zoom | None) -> Sampler:
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
        case "coarse_to_fine":
            from tuner.search.coarse_to_fine import CoarseToFine

            return CoarseToFine(space, seed, trials, zoom)
        case "tpe":
            from tuner.search.tpe import TpeSampler

            return TpeSampler(space, seed, trials)
    raise ValueError(f"no sampler is called {name!r}: use one of {', '.join(SAMPLERS)}")
