"""Which search trials are trained next: promotions or new draws, enough of them for a pack. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from tuner.engine.packing import MAX_TRIALS, SHORTEST_SECONDS, CostModel, take, target_seconds
from tuner.search.samplers import Sampler
from tuner.search.space import Space
from tuner.search.stopping import StoppingRule
from tuner.trial import Promotion, Trial, seed_of

POOL = 1024  # trials drawn ahead, so that a pack finds others of its shape; a search ended early leaves them out


@dataclass(frozen=True, slots=True)
class Chosen:
    """Trials to train from epoch `begin` up to `rung`, side by side, and why."""

    begin: int
    rung: int
    trials: tuple[Trial, ...]
    reason: str


class Selection:
    """Brings sampler and stopping rule together. The same calls in the same order choose the same trials."""

    def __init__(
        self,
        space: Space,
        sampler: Sampler,
        rule: StoppingRule,
        cost: CostModel,
        *,
        seed: int,
        trials: int,
        in_step: bool = False,
    ) -> None:
        """`in_step`: what is learned from results is learned once all that were asked for are there.

        Then the draws don't depend on the order of results, but workers may wait for each other.
        """
        self.rule = rule
        self._space = space
        self._sampler = sampler
        self._cost = cost
        self._seed = seed
        self._limit = trials
        self._drawn: list[Trial] = []
        self._fresh: list[Trial] = []
        self._together = 0  # how many trials were fresh when some were last drawn
        self._in_step = in_step
        self._awaited: set[int] = set()  # trials without any result
        self._exhausted = False

    def next(self, workers: int) -> Chosen | None:
        """Promotions first, from the highest rung down, where there is enough of them for a pack; else new trials.

        None when there is nothing to do before some running trial reports.
        """
        self._draw()
        rungs = self.rule.rungs
        waiting: dict[int, list[Promotion]] = {}
        for promotion in self.rule.promotable():
            waiting.setdefault(promotion.rung, []).append(promotion)
        for rung, promotions in waiting.items():
            epochs = rungs[rung + 1] - rungs[rung]
            trials = [self._drawn[promotion.trial] for promotion in promotions]
            work = sum(self._cost.seconds(trial, epochs) for trial in trials)
            if self._fresh and work < SHORTEST_SECONDS and len(trials) < MAX_TRIALS:
                continue  # too little for a pack: new trials will bring more to this rung
            chosen = take(trials, self._cost, epochs, self._share(work, workers))
            return self._promote(rung, chosen, {promotion.trial: promotion for promotion in promotions})
        return self._begin(workers) if self._fresh else None

    def extend(self, trials: int, max_epochs: int) -> None:
        """The search goes on to `trials` trials, all told, and to `max_epochs`."""
        self.rule.extend(max_epochs)
        self._limit, self._exhausted = trials, False

    @property
    def has_more(self) -> bool:
        """Whether the sampler could draw more trials than were asked for: a grid has an end."""
        number = len(self._drawn)
        return not self._sampler.is_settled(number) or self._sampler.ask(number) is not None

    @property
    def total(self) -> int:
        """How many trials there will be: fewer than asked for once the sampler has no more, a grid for example."""
        return len(self._drawn) if self._exhausted else self._limit

    def report(self, trial: Trial, rung: int, loss: float, curve: Sequence[float]) -> None:
        """`trial` has come to the end of `rung` with `loss`, after those of `curve`; NaN: it diverged or failed."""
        self.rule.report(trial.number, rung, loss, curve)
        self._sampler.tell(trial.number, self.rule.rungs[rung], loss)
        self._awaited.discard(trial.number)

    def rounds(self) -> list[dict[str, Any]]:
        """What the sampler decided round by round; see `Sampler.rounds`."""
        return self._sampler.rounds()

    def _begin(self, workers: int) -> Chosen:
        rung = self.rule.entry(self._fresh[0].number)
        fresh = [trial for trial in self._fresh if self.rule.entry(trial.number) == rung]
        epochs = self.rule.rungs[rung]
        undrawn = 0 if self._exhausted else self._limit - len(self._drawn)
        work = sum(self._cost.seconds(trial, epochs) for trial in fresh)
        work *= 1 + undrawn / len(self._fresh)
        target = target_seconds(work, workers)
        if undrawn and not self._sampler.is_settled(len(self._drawn)):  # all there is before the next results
            mean = sum(self._cost.seconds(trial, epochs) for trial in fresh) / len(fresh)
            target = min(mean * (ceil(self._together / workers) + 0.5), target)  # half a trial more: costs differ
        elif not undrawn:
            target = min(work / workers, target)
        chosen = take(fresh, self._cost, epochs, target)
        taken = {trial.number for trial in chosen}
        self._fresh = [trial for trial in self._fresh if trial.number not in taken]
        return Chosen(0, rung, tuple(chosen), f"new trials, at once to {epochs} epochs" if rung else "new trials")

    def _promote(self, rung: int, chosen: Sequence[Trial], promotions: Mapping[int, Promotion]) -> Chosen:
        for trial in chosen:
            self.rule.promote(promotions[trial.number])
        alone = promotions[chosen[0].number].reason if len(chosen) == 1 else ""
        reason = alone or f"{len(chosen)} promoted from rung {rung}"
        return Chosen(self.rule.rungs[rung], rung + 1, tuple(chosen), reason)

    def _share(self, work: float, workers: int) -> float:
        """A pack's seconds: the usual target, but no more than a worker's part once there are no new trials."""
        target = target_seconds(work, workers)
        return target if self._fresh else min(work / workers, target)

    def _draw(self) -> None:
        """Draws ahead what no result changes any more, and what one may still change only for want of trials."""
        drawn = len(self._drawn)
        while not self._exhausted and len(self._fresh) < POOL:
            number = len(self._drawn)
            if number < self._limit and not self._sampler.is_settled(number) and self._is_early:
                break
            draw = self._sampler.ask(number) if number < self._limit else None
            if draw is None:
                self._exhausted = True
                self.rule.close(number)
                break
            params, seed = self._space.decode(draw.point), seed_of(self._seed, "trial", number)
            trial = Trial(f"t{number:04d}", number, seed, params, origin=draw.reason)
            self._drawn.append(trial)
            self._fresh.append(trial)
            self._awaited.add(number)
        if len(self._drawn) > drawn:
            self._together = len(self._fresh)

    @property
    def _is_early(self) -> bool:
        """Whether there is something to do without a draw that results may still change, or there must not be.

        Promotions come before such a draw: what is learned from higher rungs is worth more, for the first may mislead.
        """
        return bool(self._fresh or (self._in_step and self._awaited) or self.rule.promotable(1))
