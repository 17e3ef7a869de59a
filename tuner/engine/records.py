"""What is known of a sweep's trials: their evaluations, where each stands, and how they rank. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.engine.score import loss_of, score
from tuner.trial import Row, Stage, State, Trial

Standing = tuple[State, int, str]  # state, rung, reason


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sweep was asked to do, flat."""

    seed: int
    trials: int
    metric: str = "val_loss"
    select: str = "best"
    confirm: int = 3
    seeds: int = 3
    baseline: bool = True
    compare: str = ""  # the hyperparameter of which the best trial of each value is confirmed, too
    in_step: bool = False  # the sampler learns from whole rounds alone, whatever the order of results


class Records:
    """The trials of one sweep and all their evaluations, which whoever decides adds to."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.trials: dict[str, Trial] = {}
        self.rows: dict[str, list[Row]] = {}
        self.states: dict[str, Standing] = {}
        self.holdout: dict[str, tuple[float, float]] = {}  # loss, accuracy on rows the search never saw
        self._of_stage: dict[Stage, list[Trial]] = {stage: [] for stage in Stage}
        self._changed: dict[str, Standing] = {}

    def take_changes(self) -> dict[str, Standing]:
        """The states that changed since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def score(self, trial_id: str) -> float:
        """What trials are compared by, lower is better: the best or last evaluation; infinity if there is none."""
        return score([self.loss_of(row) for row in self.rows.get(trial_id, ())], self.terms.select)

    def loss_of(self, row: Row) -> float:
        """An evaluation in the objective's terms, lower is better; a loss that is not finite is NaN in any terms."""
        return loss_of(row, self.terms.metric)

    def best_row(self, trial_id: str) -> Row:
        """The evaluation that `score` stands for; the trial must have one."""
        rows = self.rows[trial_id]
        return min(rows, key=self.loss_of) if self.terms.select == "best" else rows[-1]

    def ranked(self, stage: Stage = Stage.SEARCH) -> list[Trial]:
        """The stage's trials that have a finite score, best first; ties by number."""
        scored = [(self.score(trial.id), trial.number, trial) for trial in self._of_stage[stage]]
        return [trial for score, _, trial in sorted(scored, key=lambda item: item[:2]) if math.isfinite(score)]

    @property
    def epochs(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    def _add(self, trial: Trial) -> None:
        if trial.id not in self.trials:
            self.trials[trial.id] = trial
            self._of_stage[trial.stage].append(trial)

    def _set(self, trial_id: str, state: State, rung: int, reason: str) -> None:
        self.states[trial_id] = self._changed[trial_id] = (state, rung, reason)
