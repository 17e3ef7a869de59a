"""The journal of a panda as MLflow should show it: one run, its curve, and every change. Knows no MLflow.

The step of a metric is the number of epochs trained altogether, so that steps only grow; `epoch` is the place on the
line, which falls at a rewind. `change` is 1 at the first epoch under something new, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from tuner.engine.journal import Entry, Journal, rows_from_json
from tuner.engine.panda import account
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.storage import Storage
from tuner.engine.tracking.projection import PARENT, STATUSES
from tuner.engine.tracking.runs import Run
from tuner.trial import Row, Value

ANSWER = "caviar.answer"


class PandaProjection:
    """Applies journal entries in order; to who sends, it is as a sweep's projection: the panda is the parent."""

    def __init__(self) -> None:
        self.cursor = 0
        self.created: Entry = {}
        self.runs: dict[str, Run] = {}
        self.dirty: dict[str, None] = {}
        self.result: Entry | None = None
        self.winner: Entry | None = None
        self.reported = False  # a panda has no report,
        self.view: str | None = None  # and no trials to be compared in a table
        self.concluded = 0
        self.ended = False
        self._found: Chronicle | None = None
        self._step = 0
        self._changes = 0
        self._lowest = math.inf  # the best validation loss of the line
        self._marked = False  # the next epoch is the first under something new
        self._folds: dict[str, Callable[[Chronicle, Entry], None]] = {
            "attempt": self._attempt,
            "evaluated": self._evaluate,
            "changed": self._change,
            "rewound": self._change,
            "prolonged": lambda found, entry: self._answer(entry, f"it trains to epoch {found.goal}"),
            "refused": lambda _, entry: self._answer(entry, entry["refused"]),
            "result": self._conclude,
            "ended": self._end,
        }

    def apply(self, number: int, entry: Entry) -> None:
        """Folds entry `number` in."""
        self.cursor, self.ended = number, entry["kind"] == "ended"
        if self._found is None:
            self._found = Chronicle.of([entry])
            self._create(self._found, entry)
            return
        found, before = self._found, self._found.schedule.shown(self._found.epoch)
        found.apply(entry)
        if fold := self._folds.get(entry["kind"]):
            fold(found, entry)
        if entry["kind"] in ("changed", "rewound"):
            self._trace(before, found.schedule.shown(found.epoch), entry["time"])
        if entry["kind"] in ("changed", "rewound", "evaluated", "result"):
            self._note(found)

    def settle(self, sent: Iterable[str]) -> None:
        """Notes that all so far was sent to the runs named."""
        for name in sent:
            if name in self.runs:
                self.runs[name].settle()
                self.dirty.pop(name, None)
                self.result = None if name == PARENT else self.result

    def abandon(self, time: float) -> None:
        """Whoever trained it is gone without a word."""
        self._close("interrupted", "its process is gone; `caviar panda resume` goes on with it", time)

    @property
    def _run(self) -> Run:
        self.dirty[PARENT] = None
        return self.runs[PARENT]

    def _create(self, found: Chronicle, entry: Entry) -> None:
        self.created = entry
        panda, start = str(entry["sweep"]), entry["panda"]
        tags = {"caviar.panda": panda, "caviar.uid": str(entry["uid"]), "caviar.state": "created"}
        tags["caviar.snapshot"] = str(entry["snapshot"].get("digest", ""))
        params = {name: str(value) for name, value in found.schedule.params.items()}
        self.runs[PARENT] = Run(panda, entry["time"], tags, {**params, "seed": str(found.schedule.seed)})
        if origin := start["origin"]:
            self._run.tag({"caviar.origin": f"trial {origin['trial']} of sweep {origin['sweep']}"})
        for row in found.rows:
            self._log(row, entry["time"])
        self._note(found)

    def _attempt(self, _: Chronicle, entry: Entry) -> None:
        run = self._run
        run.status, run.ended = "RUNNING", None
        tags = {"caviar.state": "running", "caviar.reason": "running", "caviar.host": str(entry.get("host", ""))}
        run.tag(tags)
        run.changed |= tags.keys()  # an abandoned one has others in MLflow than in the journal

    def _evaluate(self, found: Chronicle, entry: Entry) -> None:
        self.result = self.winner = None
        for row in found.rows[len(found.rows) - len(entry["rows"]) :]:
            self._log(row, entry["time"])

    def _log(self, row: Row, time: float) -> None:
        self._step += 1
        values = {
            "train_loss": row.train_loss,
            "val_loss": row.val_loss,
            "val_accuracy": row.val_accuracy,
            "learning_rate": row.learning_rate,
            "epoch": float(row.epoch),
            "change": float(self._marked),
        }
        self._lowest = min(row.val_loss, self._lowest) if math.isfinite(row.val_loss) else self._lowest
        values |= {"best_val_loss": self._lowest} if math.isfinite(self._lowest) else {}
        self._run.measure(values, row.time if math.isfinite(row.time) else time, self._step)
        self._marked = False

    def _trace(self, before: Mapping[str, Value], after: Mapping[str, Value], time: float) -> None:
        """The hyperparameters that change, as metrics: what each was until now, and is from the next epoch on."""
        for name, value in after.items():
            old = before.get(name, value)
            if name != "learning_rate" and old != value and not isinstance(old, str) and not isinstance(value, str):
                self._run.measure({name: float(old)}, time, self._step)
                self._run.measure({name: float(value)}, time, self._step + 1)

    def _change(self, found: Chronicle, entry: Entry) -> None:
        self._changes += 1
        self._marked = True
        if entry["kind"] == "rewound":
            self._lowest = min((row.val_loss for row in found.rows if math.isfinite(row.val_loss)), default=math.inf)
            self.result = self.winner = None
        back = f"rewound to epoch {entry['epoch']}" if entry["kind"] == "rewound" else f"after epoch {entry['epoch']}"
        said = ": ".join(part for part in (back, account.listed(entry["values"]), entry.get("reason")) if part)
        self._run.tag({f"caviar.change.{self._changes:03d}": said})
        left = "" if found.epoch < found.goal else ", and it has none left: set epochs, too"
        self._answer(entry, f"in effect from epoch {found.epoch + 1} on{left}")
        for one in (entry.get("facts") or {}).get("continuations", ()):
            self._add(f"f{self._changes:03d}-{one['name']}", one, entry)

    def _add(self, name: str, tried: Entry, entry: Entry) -> None:
        """A run below the panda's for a continuation that a fan-out tried; its steps are the line's epochs."""
        tags = {"caviar.panda": str(self.created["sweep"]), "caviar.uid": str(self.created["uid"])}
        chosen = tried["name"] == entry["facts"]["adopted"]
        tags |= {"caviar.trial": name, "caviar.state": "adopted" if chosen else "finished"}
        params = {key: str(value) for key, value in tried["values"].items()}
        run = Run(name, entry["time"], tags, params, "FINISHED", entry["time"])
        for row in rows_from_json(tried["rows"]):
            values = {"train_loss": row.train_loss, "val_loss": row.val_loss, "val_accuracy": row.val_accuracy}
            run.measure({**values, "learning_rate": row.learning_rate}, row.time, row.epoch)
        self.runs[name] = run
        self.dirty[name] = None

    def _answer(self, entry: Entry, said: str) -> None:
        self._run.tag({ANSWER: f"{entry.get('asked', '')}: {said}"})

    def _conclude(self, _: Chronicle, entry: Entry) -> None:
        self.result = entry
        self.winner, self.concluded = entry if entry.get("model_dir") else None, self.cursor
        holdout = entry["result"]["holdout"]["winner"]
        self._run.measure({f"holdout_{name}": value for name, value in holdout.items()}, entry["time"], self._step)

    def _end(self, _: Chronicle, entry: Entry) -> None:
        self._close(entry["status"], entry.get("reason") or entry["status"], entry["time"])

    def _close(self, status: str, reason: str, time: float) -> None:
        run = self._run
        run.status, run.ended = STATUSES[status], time
        run.tag({"caviar.state": status, "caviar.reason": reason})

    def _note(self, found: Chronicle) -> None:
        panda = str(found.created["sweep"])
        text = account.summary(panda, found.schedule, found.best(), found.epoch, found.trained)
        self._run.tag({"mlflow.note.content": text})


def is_panda(storage: Storage) -> bool:
    """Whether this folder is that of a panda, and not a sweep's."""
    try:
        return "panda" in Journal(storage).read(1)
    except FileNotFoundError:
        return False
