"""One session with MLflow: brings a sweep's runs to what the projection of its journal says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.engine.tracking.projection import PARENT, Projection
from tuner.engine.tracking.registry import Origin, register
from tuner.engine.tracking.store import Found, MlflowStore, RefusedError

CURSOR = "tracking.json"
TABLE = '[{"path": "leaderboard.json", "type": "table"}]'


@dataclass(slots=True)
class Cursor:
    """How far MLflow has the journal, and where; kept beside the journal. `error` is what keeps the rest back."""

    uri: str = ""
    cursor: int = 0
    experiment_id: str | None = None
    parent_run_id: str | None = None
    model_uri: str | None = None
    model_version: str | None = None
    error: str | None = None

    @classmethod
    def read(cls, sweep: Storage, uri: str) -> Cursor:
        """The cursor of `sweep` in the store `uri`; a new one if it was published elsewhere or not at all."""
        try:
            found: dict[str, Any] = json.loads(sweep.read(CURSOR))
        except (FileNotFoundError, ValueError):
            return cls(uri)
        return cls(**found) if found.get("uri") == uri else cls(uri)

    def write(self, sweep: Storage) -> None:
        sweep.write(CURSOR, json.dumps(asdict(self)).encode())


class Publication:
    """Sends what is in the journal and not yet in MLflow.

    Made anew after every trouble: it looks the runs up by their tags, so whatever an interrupted session did send
    is found, and nothing is made twice. The cursor moves after at most `entries` journal entries.
    """

    def __init__(self, sweep: Storage, store: MlflowStore, cursor: Cursor, entries: int) -> None:
        self.projection = Projection()
        self._sweep = sweep
        self._journal = Journal(sweep)
        self._store = store
        self._cursor = cursor
        self._runs: dict[str, Found] = {}
        self._experiment = ""
        self._refused: list[str] = []
        self._entries = entries
        self._read(cursor.cursor or 1)
        if self.projection.created:
            self._open()

    def step(self) -> int:
        """Sends the next entries, moves the cursor, and returns how many there were."""
        before = self.projection.cursor
        if not self.projection.created:
            self._read(1)
            if not self.projection.created:
                return 0
            self._open()
        self._read(self.projection.cursor + self._entries)
        if self.projection.dirty or self.projection.cursor > self._cursor.cursor:
            self.flush()
        return self.projection.cursor - before

    def abandon(self, now: float) -> None:
        """Shows a sweep whose driver has left without a word as interrupted."""
        if self.projection.created:
            self.projection.abandon(now)
            self.flush()

    def check(self) -> None:
        """Looks the runs up once more, and mends what is not as it should be."""
        if self.projection.created:
            self._look_up()
            if self.projection.dirty:
                self.flush()

    @property
    def refused(self) -> bool:
        """Whether MLflow did not accept something for good."""
        return bool(self._refused)

    def flush(self) -> None:
        """Sends everything that is to be sent: the parent's birth, the trials, the result, the parent."""
        projection = self.projection
        self._bear(PARENT)
        if not projection.runs[PARENT].introduced:
            self._guarded(PARENT, self._introduce)
        for name in projection.dirty:
            if name != PARENT:
                self._guarded(name, partial(self._send, name))
        if projection.result:
            self._guarded(PARENT, lambda: self._conclude(projection.result or {}))
        self._guarded(PARENT, lambda: self._send(PARENT))
        projection.settle([*projection.dirty, PARENT])
        self._cursor.cursor = projection.cursor
        self._cursor.experiment_id, self._cursor.parent_run_id = self._experiment, self._runs[PARENT].run_id
        self._cursor.error = "; ".join(self._refused) or None
        self._cursor.write(self._sweep)

    def _read(self, last: int) -> None:
        while self.projection.cursor < last:
            number = self.projection.cursor + 1
            try:
                entry = self._journal.read(number)
            except FileNotFoundError:
                return
            self.projection.apply(number, entry)

    def _open(self) -> None:
        """Finds the runs there are. What was sent to them up to the cursor is not sent again; the rest is."""
        self.projection.runs[PARENT].tag({"caviar.storage": self._sweep.uri})
        self._experiment = self._store.experiment(self.projection.created["name"])
        self._look_up()
        if self._cursor.cursor:
            self.projection.settle(self._runs)
            self._look_at_statuses()

    def _look_up(self) -> None:
        self._runs = self._store.find(self._experiment, self.projection.created["sweep"], "caviar.trial")
        self._look_at_statuses()

    def _look_at_statuses(self) -> None:
        for name, run in self.projection.runs.items():
            if name not in self._runs or self._runs[name].status != run.status:
                self.projection.dirty[name] = None

    def _guarded(self, name: str, step: Callable[[], object]) -> None:
        """Runs `step` unless the run `name` was deleted; a refusal is told and does not hold up the others."""
        run = self._runs.get(name)
        what = f"trial {name}" if name else "the sweep's run"
        try:
            if run and run.deleted:
                raise RefusedError("its run was deleted in MLflow; restore it there to see it")
            step()
        except RefusedError as error:
            told = f"{what} is not published: {error}"
            if told not in self._refused:
                self._refused.append(told)

    def _bear(self, name: str) -> str:
        """The id of the run `name`, which is made if MLflow lacks it."""
        if name not in self._runs:
            run = self.projection.runs[name]
            parent = self._runs[PARENT].run_id if name != PARENT else None
            run_id = self._store.create(self._experiment, run.name, run.tags, run.begun, parent)
            self._runs[name] = Found(run_id, "RUNNING")
            run.changed.clear()
        return self._runs[name].run_id

    def _send(self, name: str) -> None:
        run, run_id = self.projection.runs[name], self._bear(name)
        params = {} if run.introduced else run.params
        self._store.log(run_id, run.measures, params, {key: run.tags[key] for key in sorted(run.changed)})
        if self._runs[name].status != run.status:
            self._store.set_status(run_id, run.status, run.ended)
            self._runs[name].status = run.status
        run.settle()

    def _introduce(self) -> None:
        """What a sweep's run has from the start: the spec and the data."""
        created, run_id = self.projection.created, self._runs[PARENT].run_id
        self._store.write_text(run_id, "spec.yaml", created["spec_yaml"])
        self._store.use_data(run_id, created["name"], created["snapshot"])

    def _conclude(self, entry: Mapping[str, Any]) -> None:
        """What a sweep's run has in the end: leaderboard, summary, and the winner as a model."""
        created, run_id = self.projection.created, self._runs[PARENT].run_id
        result, board = entry["result"], entry.get("leaderboard") or []
        as_csv, as_table = _tables(board)
        self._store.write_text(run_id, "result.json", json.dumps(result, indent=2))
        self._store.write_text(run_id, "summary.md", result.get("summary_markdown") or "")
        self._store.write_text(run_id, "leaderboard.csv", as_csv)
        self._store.write_text(run_id, "leaderboard.json", as_table)
        self._store.log(run_id, [], {}, {"mlflow.loggedArtifacts": TABLE})
        if entry.get("model_dir"):
            name = (created["spec"].get("tracking") or {}).get("register")
            folder = self._sweep.child(entry["model_dir"])
            model = register(self._store, Origin(self._experiment, run_id, result), folder, name)
            self._cursor.model_uri, self._cursor.model_version = model


def _tables(board: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The leaderboard as CSV, and as the JSON that MLflow shows as a table."""
    columns = list(dict.fromkeys(key for row in board for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(board)
    return text.getvalue(), json.dumps({"columns": columns, "data": [[row.get(c) for c in columns] for row in board]})
