"""The state of a sweep: which trials there are, where each stands, and which pack comes next.

A pure fold of events. `ask` and `tell` change it in the order in which the journal holds them, so the same
events always give the same decisions: resuming is replaying. It never runs, reads or writes anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tuner.engine import stages
from tuner.engine.packing import CostModel
from tuner.engine.records import Records, Terms
from tuner.engine.selection import Selection
from tuner.search.samplers import Sampler
from tuner.search.space import Space
from tuner.search.stopping import StoppingRule
from tuner.trial import Pack, Row, Stage, State, Trial


class Ledger(Records):
    """One sweep's trials, packs and decisions."""

    def __init__(self, terms: Terms, space: Space, sampler: Sampler, rule: StoppingRule, cost: CostModel) -> None:
        super().__init__(terms)
        self.space = space
        self.rule = rule
        self.goals: dict[str, int] = {}  # the epoch up to which each trial was last handed out
        self.open: dict[int, Pack] = {}
        self.packs = 0
        self.extensions = 0
        self.halted = ""  # why the search was ended early
        self.cost = cost
        self._selection = Selection(
            space, sampler, rule, cost, seed=terms.seed, trials=terms.trials, in_step=terms.in_step
        )
        self._weights: dict[str, int] = {}  # the pack that holds a trial's weights
        self._queue: list[Pack] = []  # packs that are to be handed out before anything new is decided
        self._planned: set[Stage] = set()

    # -- events ------------------------------------------------------------------------------------------------

    def ask(self, workers: int) -> Pack | None:
        """The next pack for one of `workers` workers; None: wait for the open packs, or see `finished`."""
        pack = self._queued() or self._search(max(workers, 1)) or self._later()
        if pack:
            pack = replace(pack, id=self.packs + 1)
            self.packs = pack.id
            self.open[pack.id] = pack
            for trial in pack.trials:
                self._add(trial)
                self.goals[trial.id] = pack.to_epoch
                self._set(trial.id, State.RUNNING, pack.rung, pack.reason)
        return pack

    def tell(
        self,
        pack_id: int,
        rows: Iterable[Row],
        timings: Iterable[tuple[str, int, float]] = (),
        holdout: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """Takes in what pack `pack_id` did: its rows, (trial, epochs in all, seconds) a shape, holdout figures."""
        pack = self.open.pop(pack_id)
        for row in rows:
            self.rows.setdefault(row.trial, []).append(row)
        for name, epochs, seconds in timings:
            self.cost.learn(self.trials[name], epochs, seconds)
        self.holdout.update(holdout or {})
        for trial in pack.trials:
            self._weights[trial.id] = pack.id
            self._settle(pack, trial)

    def fail(self, pack_id: int, error: str) -> None:
        """The pack's worker failed for good: each half of its trials is tried again; one trial alone has FAILED."""
        pack = self.open.pop(pack_id)
        if len(pack.trials) == 1:
            self._set(pack.trials[0].id, State.FAILED, pack.rung, error)
            self._report(pack, pack.trials[0], math.nan)
            return
        middle = len(pack.trials) // 2
        halves = []
        for half in (pack.trials[:middle], pack.trials[middle:]):
            halves.append(replace(pack, trials=half, reason=f"half of pack {pack.id}, which failed: {error}"))
        self._queue[:0] = halves  # first of all: whether everything fails is then known soon

    def halt(self, reason: str) -> None:
        """Ends the search: no more search packs; the open ones end, then the best are confirmed."""
        self.halted = reason

    def extend(self, trials: int | None = None, max_epochs: int | None = None) -> bool:
        """Has the search go on to new totals (None: as they are); False if they are no more than there is.

        Old trials count: those that stopped wait again, and the finished ones may be promoted further. Confirmation
        and refit follow anew.
        """
        more = max(trials or 0, self.terms.trials)
        trials = more if self._selection.has_more else self.terms.trials
        max_epochs = max(max_epochs or 0, self.rule.rungs[-1])
        if (trials, max_epochs) == (self.terms.trials, self.rule.rungs[-1]):
            return False
        self.terms = replace(self.terms, trials=trials)
        self.extensions += 1
        self.halted = ""
        self._selection.extend(trials, max_epochs)
        self._planned -= {Stage.CONFIRM, Stage.REFIT}
        self._queue = [pack for pack in self._queue if pack.stage is Stage.SEARCH or self._is_begun(pack)]
        for trial_id, (state, rung, _) in list(self.states.items()):
            if state is State.STOPPED:
                self._set(trial_id, State.WAITING, rung, self.rule.verdict(self.trials[trial_id].number))
        return True

    # -- what it knows -----------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """True when nothing is open and nothing is left to do. Only `ask` moves a sweep on to its next stage."""
        return not self.open and not self._queue and Stage.REFIT in self._planned and not stages.refits(self)

    @property
    def stage(self) -> Stage:
        """How far the sweep has come: search, confirm or refit."""
        reached = [stage for stage in (Stage.REFIT, Stage.CONFIRM) if stage in self._planned]
        return reached[0] if reached else Stage.SEARCH

    @property
    def expected_trials(self) -> int:
        """How many search trials there will be, as far as is known."""
        return self._selection.total

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """What the sampler decided round by round, as plain data; see `Sampler.rounds`."""
        return self._selection.rounds()

    # -- the search --------------------------------------------------------------------------------------------

    def _search(self, workers: int) -> Pack | None:
        chosen = None if self.halted else self._selection.next(workers)
        if chosen is None:
            return None
        begin, end = chosen.begin, self.rule.rungs[chosen.rung]
        starts = {trial.id: self._weights[trial.id] for trial in chosen.trials} if begin else {}
        return Pack(0, Stage.SEARCH, chosen.rung, begin, end, chosen.trials, chosen.reason, starts)

    def _settle(self, pack: Pack, trial: Trial) -> None:
        rows = self.rows.get(trial.id)
        if not rows or rows[-1].epoch < pack.from_epoch + 1:
            self._set(trial.id, State.FAILED, pack.rung, f"pack {pack.id} returned no evaluation of it")
            self._report(pack, trial, math.nan)
            return
        judged = rows[-1].train_loss if pack.stage is Stage.REFIT else self.loss_of(rows[-1])
        if not math.isfinite(judged):
            self._report(pack, trial, math.nan)
            self._set(trial.id, State.DIVERGED, pack.rung, f"its loss was not finite at epoch {rows[-1].epoch}")
        elif pack.stage is not Stage.SEARCH or pack.rung == len(self.rule.rungs) - 1:
            self._report(pack, trial, self.score(trial.id))
            self._set(trial.id, State.FINISHED, pack.rung, f"trained to epoch {pack.to_epoch}")
        else:
            self._report(pack, trial, self.score(trial.id))
            self._set(trial.id, State.WAITING, pack.rung, self.rule.verdict(trial.number))

    def _report(self, pack: Pack, trial: Trial, loss: float) -> None:
        if pack.stage is Stage.SEARCH:
            curve = [self.loss_of(row) for row in self.rows.get(trial.id, ())]
            self._selection.report(trial, pack.rung, loss, curve)

    # -- after the search --------------------------------------------------------------------------------------

    def _later(self) -> Pack | None:
        """Baseline while the search drains; then confirmation; then the refits."""
        if self.terms.baseline and Stage.BASELINE not in self._planned:
            return self._plan(Stage.BASELINE, stages.baseline(self))
        if self.open and any(pack.stage is Stage.SEARCH for pack in self.open.values()):
            return None
        self._end_search()
        if self.terms.confirm and Stage.CONFIRM not in self._planned:
            pack = self._plan(Stage.CONFIRM, stages.confirmation(self))
            if pack:
                return pack
        if self.open:
            return None
        return self._plan(Stage.REFIT, stages.refits(self))

    def _plan(self, stage: Stage, packs: list[Pack]) -> Pack | None:
        self._planned.add(stage)
        self._queue.extend(packs)
        return self._queued()

    def _is_begun(self, pack: Pack) -> bool:
        """Whether it is a part of a pack that failed, whose trials are nowhere else."""
        return all(trial.id in self.trials for trial in pack.trials)

    def _queued(self) -> Pack | None:
        return self._queue.pop(0) if self._queue else None

    def _end_search(self) -> None:
        for trial_id, (state, rung, _) in list(self.states.items()):
            if state is State.WAITING:
                verdict = self.rule.verdict(self.trials[trial_id].number)
                self._set(trial_id, State.STOPPED, rung, f"{self.halted}: {verdict}" if self.halted else verdict)
