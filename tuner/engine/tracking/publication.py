"""One session with MLflow: brings a sweep's runs to what the projection of its journal says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.engine.tracking import attachments, views
from tuner.engine.tracking.cursor import Cursor
from tuner.engine.tracking.panda import PandaProjection, is_panda
from tuner.engine.tracking.projection import PARENT, Projection
from tuner.engine.tracking.registry import Origin, register
from tuner.engine.tracking.store import Found, MlflowStore, RefusedError, or_refused, own_tags, told
from tuner.spec import masked

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

DELETED = "its run was deleted in MLflow; restore it there to see it"


class Publication:
    """Sends what is in the journal and not yet in MLflow.

    Made anew after every trouble: it looks the runs up by their tags, so whatever an interrupted session did send
    is found, and nothing is made twice. The cursor moves after at most `entries` journal entries.
    """

    def __init__(self, sweep: Storage, store: MlflowStore, cursor: Cursor, entries: int) -> None:
        self.projection: Projection | PandaProjection = PandaProjection() if is_panda(sweep) else Projection()
        self._sweep = sweep
        self._journal = Journal(sweep)
        self.store = store
        self._cursor = cursor
        self._runs: dict[str, Found] = {}
        self._experiment = ""
        self._winner_tried = 0  # the number of its result entry
        self._viewed: str | None = None
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
        if self.projection.winner and self.projection.concluded > max(self._cursor.registered, self._winner_tried):
            self._winner_tried = self.projection.concluded
            self._guarded(PARENT, partial(self._register, self.projection.winner), "the winner's model")
            self._save()
        return self.projection.cursor - before

    def abandon(self, now: float) -> None:
        """Shows a sweep whose driver has left without a word as interrupted."""
        if self.projection.created:
            self.projection.abandon(now)
            self.flush()

    @property
    def run_id(self) -> str | None:
        """The sweep's run, once it is there for good."""
        found = self._runs.get(PARENT)
        return found.run_id if found and not found.deleted else None

    @property
    def state(self) -> str:
        """What the sweep's run says of itself."""
        return self.projection.runs[PARENT].tags["caviar.state"]

    def check(self) -> None:
        """Looks the runs up once more, and mends what is not as it should be."""
        if self.projection.created:
            self._look_up()
            if self.projection.dirty:
                self.flush()

    @property
    def refused(self) -> bool:
        """Whether MLflow did not accept something."""
        return bool(self._cursor.refused)

    def flush(self) -> None:
        """Sends everything that is to be sent: the parent's birth, the trials, the parent, what lies beside it."""
        projection = self.projection
        parent, new = self._bear(PARENT), not projection.runs[PARENT].introduced
        trials = [name for name in projection.dirty if name != PARENT]
        if self.store.embedded:
            self._send_together(self.store.embedded, trials)
            trials = []
        for name in [*trials, PARENT]:
            self._guarded(name, partial(self._send, name))
        if new:
            self._guarded(PARENT, partial(attachments.introduce, self.store, parent, projection.created))
        if projection.result:
            self._guarded(PARENT, partial(attachments.conclude, self.store, parent, projection.result))
        if projection.reported:
            self._guarded(PARENT, partial(attachments.report, self.store, parent, self._sweep))
        if projection.view != self._viewed:
            self._viewed = projection.view
            self._guarded(PARENT, self._save_view, "the sweep's view")
        projection.settle([*projection.dirty, PARENT])
        self._cursor.cursor = projection.cursor
        self._cursor.experiment_id, self._cursor.parent_run_id = self._experiment, parent
        self._save()

    def _save(self) -> None:
        self._cursor.error = "; ".join(self._cursor.refused) or None
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
        self.projection.runs[PARENT].tag({"caviar.storage": masked(self._sweep.uri)})
        self._experiment = self.store.experiment(self.projection.created["name"])
        self._look_up()
        if self._cursor.cursor:
            self.projection.settle(self._runs)
            self._look_at_statuses()

    def _look_up(self) -> None:
        self._runs = self.store.find(self._experiment, self.projection.created["uid"], "caviar.trial")
        self._look_at_statuses()

    def _look_at_statuses(self) -> None:
        for name, run in self.projection.runs.items():
            if name not in self._runs or self._runs[name].status != run.status:
                self.projection.dirty[name] = None

    def _guarded(self, name: str, step: Callable[[], object], what: str = "") -> None:
        """Runs `step` unless the run `name` was deleted; a refusal is told and does not hold up the others."""
        run = self._runs.get(name)
        what = what or (f"trial {name}" if name else "the sweep's run")
        try:
            if run and run.deleted:
                raise RefusedError(DELETED)
            step()
        except RefusedError as error:
            self._refuse(what, told(error))

    def _refuse(self, what: str, why: str) -> None:
        said = f"{what} is not published: {why}"
        if said not in self._cursor.refused:
            self._cursor.refused.append(said)
            print(said, file=sys.stderr, flush=True)

    def _bear(self, name: str) -> str:
        """The id of the run `name`, which is made if MLflow lacks it."""
        if name not in self._runs:
            run = self.projection.runs[name]
            parent = self._runs[PARENT].run_id if name != PARENT else None
            run_id = self.store.create(self._experiment, run.name, run.tags, run.begun, parent)
            self._runs[name] = Found(run_id, "RUNNING")
            run.changed.clear()
        return self._runs[name].run_id

    def _send(self, name: str) -> None:
        run, run_id = self.projection.runs[name], self._bear(name)
        params = {} if run.introduced else run.params
        self.store.log(run_id, run.measures, params, {key: run.tags[key] for key in sorted(run.changed)})
        if self._runs[name].status != run.status:
            self.store.set_status(run_id, run.status, run.ended)
            self._runs[name].status = run.status
        run.settle()

    def _send_together(self, store: SqlAlchemyStore, names: Sequence[str]) -> None:
        """All these trials in one transaction."""
        from tuner.engine.tracking.bulk import Letter, write  # MLflow's tables, which no server needs

        letters = []
        for name in names:
            run, found = self.projection.runs[name], self._runs.get(name)
            letters.append(Letter(found.run_id if found else uuid4().hex, run, born=found is None))
        gone = write(store, self._experiment, own_tags(self._runs[PARENT].run_id), letters)
        for name, letter in zip(names, letters, strict=True):
            if letter.run_id in gone:
                self._refuse(f"trial {name}", DELETED)
            else:
                self._runs[name] = Found(letter.run_id, letter.run.status)
                letter.run.settle()

    def _save_view(self) -> None:
        """What MLflow's page of runs opens on; of an experiment with very many sweeps the oldest lose theirs."""
        if self.projection.view:
            key = views.key_of(self.projection.created["sweep"])
            tags = self.store.tag_experiment(self._experiment, views.PREFIX + key, self.projection.view)
            self.store.untag_experiment(self._experiment, views.outdated(tags))
            self._cursor.view = key

    def _register(self, winner: Mapping[str, Any]) -> None:
        """Makes the winner a model. Comes after all else: no trouble with models holds back what the runs show."""
        name = (self.projection.created["spec"].get("tracking") or {}).get("register")
        origin = Origin(self._experiment, self._runs[PARENT].run_id, winner["result"])
        folder = self._sweep.child(winner["model_dir"])
        model = or_refused(partial(register, self.store, origin, folder, name))
        self._cursor.model_uri, self._cursor.model_alias = model
        self._cursor.registered = self._winner_tried
