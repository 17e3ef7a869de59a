"""A panda's journal as it stands: the present line of epochs, its schedule, and what was done. A pure fold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tuner.engine.journal import Entry, rows_from_json
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.schedule import Schedule
from tuner.engine.panda.settings import EPOCHS, checked, epochs_of
from tuner.trial import Row, Value

LABEL = "panda"  # the name of its one slot


@dataclass
class Chronicle:
    """What the entries so far make of a panda.

    `rows` are the evaluations of the present line, epoch by epoch; `trained` counts those of all lines. `goal` is the
    epoch to train to, `obeyed` names the requests that are done, `status` is running or the word that it ended with.
    """

    created: Entry
    schedule: Schedule
    goal: int
    rows: list[Row]
    trained: int
    obeyed: dict[str, str] = field(default_factory=dict)
    status: str = "created"
    reason: str = ""
    result: Entry | None = None
    _lowest: Row | None = None  # kept, because a long panda is asked for it after each of its epochs

    def __post_init__(self) -> None:
        self._compare(self.rows)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Chronicle:
        """ValueError if these entries are not those of a panda."""
        first, *rest = entries
        start = first.get("panda")
        if start is None:
            raise ValueError(f"{first.get('sweep')} is a sweep, not a panda")
        rows = rows_from_json(start["rows"])
        made = cls(first, Schedule.from_json(start["schedule"]), start["epochs"], rows, len(rows))
        for entry in rest:
            made.apply(entry)
        return made

    def apply(self, entry: Entry) -> None:
        """Takes in the next entry."""
        folds: dict[str, Callable[[Entry], None]] = {
            "attempt": lambda _: self._stand("running", ""),
            "evaluated": self._evaluate,
            "changed": self._change,
            "rewound": self._rewind,
            "prolonged": self._prolong,
            "result": self._conclude,
            "ended": lambda entry: self._stand(entry["status"], entry["reason"]),
        }
        if fold := folds.get(entry["kind"]):
            fold(entry)
        if request := entry.get("request"):
            self.obeyed[request] = entry.get("refused", "") or "done"

    @property
    def epoch(self) -> int:
        """The length of the present line."""
        return self.rows[-1].epoch if self.rows else 0

    @property
    def diverged(self) -> bool:
        """Whether its last loss is not finite: it can only be rewound."""
        return bool(self.rows) and not math.isfinite(self.rows[-1].val_loss)

    @property
    def epoch_rows(self) -> int:
        """The rows of an epoch."""
        return int(self.created["spec"]["train"]["epoch_rows"] or self.created["snapshot"]["rows"]["train"])

    def loss_of(self, row: Row) -> float:
        """An evaluation in the objective's terms, lower is better."""
        return row.val_loss if self.created["spec"]["objective"]["metric"] == "val_loss" else -row.val_accuracy

    def best(self) -> Row | None:
        """The evaluation of the line that counts, the first of the best or the last; None if none is finite."""
        if self.created["spec"]["objective"]["select"] == "last":
            return next((row for row in reversed(self.rows) if math.isfinite(row.val_loss)), None)
        return self._lowest

    def entry_for(self, request: Request) -> Entry:
        """What obeying `request` now writes into the journal. ValueError, with a full sentence, if it cannot be."""
        values = dict(request.values)
        if request.verb is Verb.REWIND:
            self._require_epoch(request.epoch)
            self._require_line(request)
        trained = self.epoch if request.epoch is None else request.epoch
        longer = {"epochs": epochs_of(values.pop(EPOCHS), trained)} if EPOCHS in values else {}
        if request.verb is Verb.REWIND:
            return {"kind": "rewound", "epoch": request.epoch, **self._said(request, values), **longer}
        if self.diverged and values:
            raise ValueError(f"its loss was not finite at epoch {self.epoch}: rewind to an epoch before it")
        if not values:
            return {"kind": "prolonged", **longer}
        return {"kind": "changed", "epoch": self.epoch, **self._said(request, values), **longer}

    def _said(self, request: Request, values: dict[str, Value]) -> Entry:
        values = checked(values, self.schedule.params, self.epoch_rows)
        return {"values": values, "reason": request.reason, "facts": dict(request.facts)}

    def _require_epoch(self, epoch: int | None) -> None:
        last = self.epoch - self.diverged
        if epoch is None or not 0 <= epoch <= last:
            raise ValueError(f"the epoch must be from 0 to {last}, the last of this line, not {epoch}")

    def _require_line(self, request: Request) -> None:
        if request.line not in ("", self.schedule.key(request.epoch or 0)):
            raise ValueError(
                f"the panda was rewound or changed before epoch {request.epoch} since: what was found out about its "
                "former way says nothing of this one; fan out again"
            )

    def _evaluate(self, entry: Entry) -> None:
        rows = rows_from_json(entry["rows"])
        self.rows += rows
        self._compare(rows)
        self.trained += len(rows)
        self.result = None

    def _compare(self, rows: Iterable[Row]) -> None:
        finite = [row for row in rows if math.isfinite(row.val_loss)]
        self._lowest = min([*([self._lowest] if self._lowest else []), *finite], key=self.loss_of, default=None)

    def _change(self, entry: Entry) -> None:
        self.schedule = self.schedule.changed(entry["epoch"], entry["values"])
        self._prolong(entry)

    def _rewind(self, entry: Entry) -> None:
        self.rows = self.rows[: entry["epoch"]]
        self._lowest = None
        self._compare(self.rows)
        self.schedule = self.schedule.cut(entry["epoch"]).changed(entry["epoch"], entry["values"])
        self.result = None
        self._prolong(entry)

    def _prolong(self, entry: Entry) -> None:
        self.goal = entry.get("epochs", self.goal)

    def _conclude(self, entry: Entry) -> None:
        self.result = entry

    def _stand(self, status: str, reason: str) -> None:
        self.status, self.reason = status, reason
