"""The journal as MLflow should show it: which runs, and what each says. A pure fold; knows no MLflow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tuner.engine.journal import Entry, pack_from_json, rows_from_json
from tuner.engine.tracking import runs, views
from tuner.engine.tracking.runs import Run
from tuner.trial import Pack, Row, Stage, State

PARENT = ""  # the key of the sweep's own run among those of its trials
PAUSED = {"caviar.state": "paused", "caviar.reason": "paused: it goes on when caviar.command is set to resume"}
STATUSES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "stopped": "KILLED"}


class Projection:
    """Applies journal entries in order.

    `runs` holds the parent (under PARENT) and one run a trial; `dirty` names those with something to send, in
    order; `result` is the result entry while it is to be sent, `winner` the same for good if it has a model; `reported`
    says that there is a report to be sent, `ended` that the newest entry ended the sweep.
    """

    def __init__(self) -> None:
        self.cursor = 0
        self.created: Entry = {}
        self.runs: dict[str, Run] = {}
        self.dirty: dict[str, None] = {}
        self.result: Entry | None = None
        self.winner: Entry | None = None
        self.reported = False
        self.concluded = 0  # the number of the newest result entry
        self.ended = False
        self._stages: dict[str, Stage] = {}
        self._states: dict[str, State] = {}
        self._lowest: dict[str, float] = {}  # the best validation loss of each trial
        self._epochs: Counter[str] = Counter()  # the last epoch seen of each trial
        self._packs: dict[int, Pack] = {}
        self._spread = views.Spread()
        self._trained = 0  # epochs of all trials
        self._final = 0  # search trials in a final state
        self._reached: Counter[int] = Counter()  # search trials evaluated at each rung
        self._best = math.inf
        self._shown: dict[str, float | None] = {}  # the parent's latest metrics
        self._folds: dict[str, Callable[[Entry], None]] = {
            "created": self._create,
            "attempt": self._attempt,
            "pack": self._begin,
            "rows": self._evaluate,
            "done": self._finish,
            "halted": lambda entry: self._tag(PARENT, {"caviar.halted": entry["reason"]}),
            "paused": lambda _: self._tag(PARENT, PAUSED),
            "extended": self._extend,
            "result": self._conclude,
            "report": self._report,
        }

    def apply(self, number: int, entry: Entry) -> None:
        """Folds entry `number` in; a kind that says nothing to MLflow only moves the cursor."""
        self.cursor, self.ended = number, entry["kind"] == "ended"
        if fold := self._folds.get(entry["kind"]):
            fold(entry)
        for trial, (state, rung, reason) in (entry.get("states") or {}).items():
            self._set(trial, State(state), rung, reason, entry["time"])
        if self.ended:
            self._close(entry["status"], entry.get("reason") or entry["status"], entry["time"])
        self._count(entry["time"])

    @property
    def view(self) -> str | None:
        """How MLflow's page of runs should show the sweep; None before there are trials that differ."""
        if not self._spread.searched:
            return None
        metric = (self.created["spec"].get("objective") or {}).get("metric", "val_loss")
        return views.of_sweep(self.created["sweep"], self.created["time"], metric, self._spread)

    def settle(self, sent: Iterable[str]) -> None:
        """Notes that all so far was sent to the runs named."""
        for name in sent:
            if name in self.runs:
                self.runs[name].settle()
                self.dirty.pop(name, None)
                self.result = None if name == PARENT else self.result
                self.reported = self.reported and name != PARENT

    def abandon(self, time: float) -> None:
        """The driver is gone without a word: shows the sweep as interrupted until an attempt follows."""
        self._close("interrupted", "its driver is gone; `caviar resume` goes on with it", time)

    def _close(self, status: str, reason: str, time: float) -> None:
        """Ends the parent; trials that are still open were killed."""
        for name in self._open():
            self.runs[name].status, self.runs[name].ended = "KILLED", time
            self.dirty[name] = None
        self.runs[PARENT].status = STATUSES[status]
        self._tag(PARENT, {"caviar.state": status, "caviar.reason": reason})

    def _open(self) -> list[str]:
        return [PARENT, *(trial for trial, state in self._states.items() if not state.final)]

    def _create(self, entry: Entry) -> None:
        self.created = entry
        about = (entry["sweep"], entry["uid"], entry["time"], entry["spec"], entry["snapshot"])
        self.runs[PARENT] = runs.of_sweep(*about)
        self.dirty[PARENT] = None

    def _attempt(self, entry: Entry) -> None:
        for name in self._open():
            self.runs[name].status, self.runs[name].ended = "RUNNING", None
            self.dirty[name] = None
        tags = {
            "caviar.state": "running",
            "caviar.reason": "running",
            "caviar.host": str(entry.get("host") or "unknown"),
        }
        self._tag(PARENT, tags)
        self.runs[PARENT].changed |= tags.keys()  # an abandoned sweep has others in MLflow than in the journal

    def _begin(self, entry: Entry) -> None:
        pack = pack_from_json(entry["pack"])
        self._packs[pack.id] = pack
        for trial in pack.trials:
            if trial.id not in self.runs:
                self._stages[trial.id] = trial.stage
                created = self.created
                self.runs[trial.id] = runs.of_trial(created["sweep"], created["uid"], trial, entry["time"])
                if trial.stage is Stage.SEARCH:
                    self._spread.add(trial.params)
            self._set(trial.id, State.RUNNING, pack.rung, pack.reason, entry["time"])

    def _evaluate(self, entry: Entry) -> None:
        for row in rows_from_json(entry["rows"]):
            if row.epoch > self._epochs[row.trial]:  # else a pack was trained again after a kill
                self._trained += row.epoch - self._epochs[row.trial]
                self._epochs[row.trial] = row.epoch
                self._log(row, row.time if math.isfinite(row.time) else entry["time"])

    def _log(self, row: Row, time: float) -> None:
        values = {"train_loss": row.train_loss, "learning_rate": row.learning_rate}
        stage = self._stages[row.trial]
        if stage is not Stage.REFIT:  # a refit trains on the validation rows too, so nothing is left to validate on
            values |= {"val_loss": row.val_loss, "val_accuracy": row.val_accuracy}
            if math.isfinite(row.val_loss):  # sorting by the best, not the last, gives the leaderboard
                self._lowest[row.trial] = min(row.val_loss, self._lowest.get(row.trial, math.inf))
                values["best_val_loss"] = self._lowest[row.trial]
        self.runs[row.trial].measure(values, time, row.epoch)
        self.dirty[row.trial] = None
        if stage is Stage.SEARCH and row.val_loss < self._best:
            self._best = row.val_loss
            self._show({"best_val_loss": row.val_loss}, time)

    def _finish(self, entry: Entry) -> None:
        self._evaluate(entry)
        pack = self._packs.pop(entry["pack"])
        for trial, (loss, accuracy) in (entry.get("holdout") or {}).items():
            figures = {"holdout_loss": loss, "holdout_accuracy": accuracy}
            self.runs[trial].measure(figures, entry["time"], self._epochs[trial])
        if pack.stage is Stage.SEARCH:
            self._reached[pack.rung] += sum(self._epochs[trial.id] >= pack.to_epoch for trial in pack.trials)

    def _extend(self, _: Entry) -> None:
        """Until there is a new result, there is no winner."""
        self.result = self.winner = None

    def _conclude(self, entry: Entry) -> None:
        self.result, self.winner = entry, entry if entry.get("model_dir") else None
        self.concluded = self.cursor
        result = entry["result"]
        best, again, holdout = (result.get(key) or {} for key in ("best", "confirmed", "holdout"))
        figures = {f"winner_{key}": best.get(key) for key in ("val_loss", "val_accuracy")}
        figures |= {f"confirmed_{key}": value for key, value in again.items()}
        for model, found in holdout.items():
            figures |= {f"holdout_{key}_{model}": value for key, value in (found or {}).items()}
        self._show({key: value for key, value in figures.items() if isinstance(value, float)}, entry["time"])
        summary = result.get("summary_markdown") or ""
        self._tag(PARENT, {"mlflow.note.content": summary, "caviar.winner": best.get("trial") or ""})

    def _report(self, entry: Entry) -> None:
        self.reported = entry["error"] is None

    def _set(self, trial: str, state: State, rung: int, reason: str, time: float) -> None:
        before = self._states.get(trial)
        self._states[trial] = state
        if self._stages[trial] is Stage.SEARCH:
            self._final += state.final - (before is not None and before.final)
        self._tag(trial, {"caviar.state": state.value, "caviar.rung": str(rung), "caviar.reason": reason})
        run = self.runs[trial]
        if not state.final and run.ended is not None:  # its sweep was extended
            run.status, run.ended = "RUNNING", None
        if state.final:
            failed = state in (State.FAILED, State.DIVERGED)
            run.status, run.ended = ("FAILED" if failed else "FINISHED"), time

    def _count(self, time: float) -> None:
        rungs = {f"trials_rung_{rung}": count for rung, count in self._reached.items()}
        self._show({"epochs": self._trained, "trials_finished": self._final, **rungs}, time)

    def _show(self, figures: Mapping[str, float | None], time: float) -> None:
        """Logs those of the parent's metrics that changed; their step is the number of epochs trained by then."""
        news = {key: value for key, value in figures.items() if self._shown.get(key, 0) != value}
        if news:
            self._shown |= news
            self.runs[PARENT].measure(news, time, self._trained)
            self.dirty[PARENT] = None

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        self.runs[name].tag(tags)
        self.dirty[name] = None
