"""The journal as MLflow should show it: runs with tags, parameters, metrics and statuses. A pure fold; no MLflow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.engine.journal import Entry, pack_from_json, rows_from_json
from tuner.trial import Pack, Row, Stage, State, Trial

PARENT = ""  # the key of the sweep's own run among its trials' runs
LONGEST = 5000  # characters of a tag or parameter; MLflow takes 8000 and 6000
STATUSES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One value of a metric. `time` is in milliseconds since 1970 and comes from the journal, never from a clock,

    so that a second sending of the same measure is recognised as the same by MLflow.
    """

    key: str
    value: float
    time: int
    step: int


@dataclass(slots=True)
class Run:
    """What one MLflow run should say, and which of it was not sent yet (`measures`, `params`, `tags`)."""

    name: str
    begun: float
    tags: dict[str, str]
    params: dict[str, str]
    measures: list[Measure] = field(default_factory=list)
    status: str = "RUNNING"
    ended: float | None = None  # seconds since 1970
    sent: bool = False  # tags and parameters are in MLflow as they stand here

    def settle(self) -> None:
        """Notes that everything was sent."""
        self.measures, self.sent = [], True


class Projection:
    """Applies journal entries in order. `runs` holds the parent (under PARENT) and one run a trial.

    `dirty` names the runs with something to send; `result` is the result entry while it is still to be sent.
    """

    def __init__(self) -> None:
        self.cursor = 0
        self.created: Entry = {}
        self.runs: dict[str, Run] = {}
        self.dirty: dict[str, None] = {}  # in order
        self.result: Entry | None = None
        self.ended = False  # the newest entry says that the sweep has ended
        self._stages: dict[str, Stage] = {}
        self._states: dict[str, State] = {}
        self._epochs: dict[str, int] = {}  # the last epoch seen
        self._packs: dict[int, Pack] = {}
        self._totals: dict[str, float] = {}  # the parent's metrics as last logged

    def apply(self, number: int, entry: Entry) -> None:
        """Folds entry `number` in; kinds that say nothing to MLflow only move the cursor."""
        self.cursor = number
        self.ended = entry["kind"] == "ended"
        handler = getattr(self, f"_on_{entry['kind']}", None)
        if handler:
            handler(entry)
        if self.created:
            self._change_states(entry)
            self._total(entry["time"])

    def settle(self) -> None:
        """Notes that everything so far was sent."""
        for name in self.dirty:
            self.runs[name].settle()
        self.dirty.clear()
        self.result = None

    def touch(self, name: str) -> None:
        """Makes the run `name` be looked at again, because MLflow has it otherwise."""
        self.dirty[name] = None

    def abandon(self, now: float) -> None:
        """The driver is gone without a word: what is still open was killed."""
        self._end("KILLED", now)

    def _on_created(self, entry: Entry) -> None:
        self.created = entry
        tags = {
            "caviar.sweep": entry["sweep"],
            "caviar.snapshot": str(entry["snapshot"].get("digest", "")),
            "caviar.state": "running",
        }
        self.runs[PARENT] = Run(entry["sweep"], entry["time"], tags, _settings(entry["spec"]))
        self.touch(PARENT)

    def _on_attempt(self, entry: Entry) -> None:
        for name, run in self.runs.items():
            if name == PARENT or not self._states[name].final:
                run.status, run.ended = "RUNNING", None
                self.touch(name)
        self._tag(PARENT, {"caviar.state": "running", "caviar.host": str(entry.get("host", ""))})

    def _on_pack(self, entry: Entry) -> None:
        pack = pack_from_json(entry["pack"])
        self._packs[pack.id] = pack
        for trial in pack.trials:
            if trial.id not in self.runs:
                self._stages[trial.id], self._states[trial.id] = trial.stage, State.RUNNING
                self.runs[trial.id] = Run(trial.id, entry["time"], self._tags(trial), _params(trial))
            self._set_state(trial.id, State.RUNNING, pack.rung, pack.reason, entry["time"])

    def _on_rows(self, entry: Entry) -> None:
        for row in rows_from_json(entry["rows"]):
            if row.epoch > self._epochs.get(row.trial, 0):
                self._epochs[row.trial] = row.epoch
                self._evaluate(row, row.time if math.isfinite(row.time) else entry["time"])

    def _on_done(self, entry: Entry) -> None:
        self._on_rows(entry)
        pack = self._packs.pop(entry["pack"])
        for trial, (loss, accuracy) in entry.get("holdout", {}).items():
            measures = {"holdout_loss": loss, "holdout_accuracy": accuracy}
            self._measure(trial, measures, entry["time"], self._epochs.get(trial, 0))
        if pack.stage is Stage.SEARCH:
            reached = sum(self._epochs.get(trial.id, 0) >= pack.to_epoch for trial in pack.trials)
            key = f"trials_rung_{pack.rung}"
            self._measure(PARENT, {key: self._totals.get(key, 0) + reached}, entry["time"], self._trained())

    def _on_failed(self, entry: Entry) -> None:
        self._packs.pop(entry["pack"], None)

    def _on_halted(self, entry: Entry) -> None:
        self._tag(PARENT, {"caviar.reason": entry["reason"]})

    def _on_result(self, entry: Entry) -> None:
        self.result = entry
        result = entry["result"]
        best, again, holdout = (result.get(key) or {} for key in ("best", "confirmed", "holdout"))
        figures = {f"winner_{key}": best.get(key) for key in ("val_loss", "val_accuracy")}
        figures |= {f"confirmed_{key}": value for key, value in again.items()}
        for who, found in holdout.items():
            figures |= {f"holdout_{key}_{who}": value for key, value in (found or {}).items()}
        numbers = {k: v for k, v in figures.items() if isinstance(v, int | float)}
        self._measure(PARENT, numbers, entry["time"], self._trained())
        self._tag(PARENT, {"mlflow.note.content": result.get("summary_markdown", ""), "caviar.winner": best.get("trial", "")})

    def _on_ended(self, entry: Entry) -> None:
        self._end(STATUSES.get(entry["status"], "FAILED"), entry["time"])
        self._tag(PARENT, {"caviar.state": entry["status"], "caviar.reason": entry.get("reason", "")})

    def _end(self, status: str, time: float) -> None:
        for name, run in self.runs.items():
            if name == PARENT or not self._states[name].final:
                run.status, run.ended = (status if name == PARENT else "KILLED"), time
                self.touch(name)

    def _change_states(self, entry: Entry) -> None:
        for trial, (state, rung, reason) in (entry.get("states") or {}).items():
            self._set_state(trial, State(state), rung, reason, entry["time"])

    def _set_state(self, trial: str, state: State, rung: int, reason: str, time: float) -> None:
        run = self.runs[trial]
        self._states[trial] = state
        self._tag(trial, {"caviar.state": state.value, "caviar.rung": str(rung), "caviar.reason": reason})
        if state.final:
            run.status = "FAILED" if state in (State.FAILED, State.DIVERGED) else "FINISHED"
            run.ended = time

    def _evaluate(self, row: Row, time: float) -> None:
        measures = {
            "train_loss": row.train_loss,
            "val_loss": row.val_loss,
            "val_accuracy": row.val_accuracy,
            "learning_rate": row.learning_rate,
        }
        stage = self._stages[row.trial]
        if stage is Stage.REFIT:  # trained on the validation rows too, so there is nothing to validate on
            measures = {key: value for key, value in measures.items() if not key.startswith("val_")}
        self._measure(row.trial, measures, time, row.epoch)
        best = self._totals.get("best_val_loss", math.inf)
        if stage is Stage.SEARCH and row.val_loss < best:
            self._measure(PARENT, {"best_val_loss": row.val_loss}, time, self._trained())

    def _total(self, time: float) -> None:
        """The parent's counts, where they changed."""
        ended = sum(s.final for t, s in self._states.items() if self._stages[t] is Stage.SEARCH)
        self._measure(PARENT, {"trials_finished": ended, "epochs": self._trained()}, time, self._trained())

    def _trained(self) -> int:
        return sum(self._epochs.values())

    def _measure(self, name: str, values: Mapping[str, float | None], time: float, step: int) -> None:
        for key, value in values.items():
            if name == PARENT:
                if self._totals.get(key) == value:
                    continue
                self._totals[key] = math.nan if value is None else value
            self.runs[name].measures.append(
                Measure(key, math.nan if value is None else float(value), round(time * 1000), step)
            )
            self.touch(name)

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        run = self.runs[name]
        run.tags |= {key: value[:LONGEST] for key, value in tags.items() if value}
        run.sent = False
        self.touch(name)

    def _tags(self, trial: Trial) -> dict[str, str]:
        tags = {
            "caviar.sweep": self.created["sweep"],
            "caviar.trial": trial.id,
            "caviar.stage": trial.stage.value,
            "caviar.origin": trial.origin[:LONGEST],
            "caviar.source": trial.source or "",
        }
        return {key: value for key, value in tags.items() if value}
