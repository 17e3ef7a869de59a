"""The Searcher through which Ray Tune asks for packs, and the one run of Ray Tune that trains them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from tuner.engine import control, delivery
from tuner.engine.control import Command, Verb
from tuner.engine.history import History
from tuner.engine.journal import Journal, rows_from_json
from tuner.engine.pack import PackTrainable
from tuner.engine.presence import Presence
from tuner.engine.storage import Storage
from tuner.engine.turns import RETRIES, CommandedEnd, SharingSearcher, Starts
from tuner.trial import Row, Stage

JOURNAL_SECONDS = 10.0  # how often the rows of a running pack are written down

TUNE = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints at verbose=0, too
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # its snapshots are not used
    "TUNE_MAX_PENDING_TRIALS_PG": "1024",  # else a searcher may queue one pack only
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # a lost worker is no error: its pack is trained again
    "TUNE_WARN_THRESHOLD_S": "30",
}


class PackSearcher(Searcher):
    """Hands out packs (as numbers of journal entries) and takes in what became of them.

    Any error in here ends the run and is kept in `error`: Tune must not go on without the journal. `ended_by` is the
    command that ends it early: its packs end at their next evaluation, and go on with the next run.
    """

    def __init__(
        self,
        history: History,
        facts: Mapping[str, str],
        workers: Callable[[], int],
        deadline: float | None,
        observe: Callable[[dict[str, Row]], None],
    ) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self.ended_by: Command | None = None
        self._sweep = Storage(facts["sweep"])
        self._looked = time.monotonic()
        self._history = history
        self._facts = facts
        self._workers = workers
        self._deadline = deadline
        self._observe = observe
        self._queue = list(history.open)  # packs of an earlier attempt, to be trained again
        self._running: dict[str, int] = {}  # Tune's trial id -> pack id
        self._latest: dict[str, Row] = {}  # newest rows of running packs
        self._unwritten: dict[int, list[Row]] = {}
        self._written = time.monotonic()

    def suggest(self, trial_id: str) -> Any:
        """The next pack as a Tune configuration; None: not now; FINISHED: never again."""
        return self._guard(lambda: self._suggest(trial_id))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Takes in the evaluations of a pack that goes on."""
        self._guard(lambda: self._progress(self._running[trial_id], rows_from_json(json.loads(result["progress"]))))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._guard(lambda: self._complete(self._running.pop(trial_id), lost=error or result is None))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only truth."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher into a snapshot that nobody reads

    def _guard(self, step: Callable[[], Any]) -> Any:
        if self.error:
            return self.FINISHED
        try:
            return step()
        except BaseException as error:
            self.error = error
            raise

    def _suggest(self, trial_id: str) -> Any:
        history = self._history
        self._observe(self._latest)  # at every turn of Tune's loop: a sweep in long epochs is not silent
        self._look()
        if self.ended_by:  # workers look for themselves: until their packs have ended, the driver stays attentive
            return None if self._running else self.FINISHED
        workers = self._workers()
        if len(self._running) >= workers:
            return None
        searching = history.ledger.stage is Stage.SEARCH and not history.ledger.halted
        if self._deadline and time.time() > self._deadline and searching:
            history.halt("the time budget is spent")
        number = self._queue.pop(0) if self._queue else history.ask(workers)
        if number is None:
            return self.FINISHED if history.ledger.finished else None
        self._running[trial_id] = pack = history.open[number].id
        return {**self._facts, "entry": number, "pack": pack}

    def _look(self) -> None:
        """Obeys what people ask. Who ends the run is obeyed once its packs have ended: workers look, too."""
        if time.monotonic() - self._looked < control.LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        command = control.asked(self._sweep)
        if command is None:
            return
        if command.ends_packs:
            self.ended_by = command
            return
        if command.verb is Verb.EXTEND:
            self._history.extend(command.trials, command.max_epochs)
        control.obeyed(self._sweep, command)

    def _progress(self, pack_id: int, rows: list[Row]) -> None:
        self._latest.update((row.trial, row) for row in rows)
        self._unwritten.setdefault(pack_id, []).extend(rows)
        if time.monotonic() - self._written > JOURNAL_SECONDS:
            self._written = time.monotonic()
            for running, unwritten in self._unwritten.items():
                self._history.progress(running, unwritten)
            self._unwritten.clear()
        self._observe(self._latest)

    def _complete(self, pack_id: int, *, lost: bool) -> None:
        history, unwritten = self._history, self._unwritten.pop(pack_id, [])
        if history.came_back(pack_id):
            history.done(pack_id)
        elif lost and not self.ended_by:
            history.failed(pack_id, f"its worker was lost {RETRIES + 1} times")
        else:  # told to end before its time: what it did is in storage
            history.progress(pack_id, unwritten)
            self._queue += [number for number, pack in history.open.items() if pack.id == pack_id]
        self._observe(self._latest)


def run(
    history: History,
    facts: Mapping[str, str],
    scratch: Path,
    *,
    cpus: float,
    gpus: float,
    max_workers: int | None,
    patience: float,
    deadline: float | None,
    observe: Callable[[dict[str, Row]], None],
) -> Command | None:
    """Trains packs on the Ray cluster that this process is connected to, until the ledger has finished.

    Returns the command that ended it before that; None: it has finished.
    For `patience` seconds it waits for a machine that is large enough for a worker; then CannotTrainError.

    `facts` go to every worker: `sweep`, the URI of the sweep's folder, and `snapshots`, where its data lies.
    `scratch` is a local folder for Tune's own files; it is emptied. Errors of storage and journal come through.
    """
    os.environ |= TUNE
    presence = Presence(cpus, gpus, max_workers, patience)
    sweep = Storage(facts["sweep"])
    where = delivery.source(facts["snapshots"], Journal(sweep).read(1)["snapshot"]["digest"])
    packs = PackSearcher(history, {**facts, **where}, presence.workers, deadline, observe)
    searcher = SharingSearcher(packs, presence)
    worker = tune.with_resources(PackTrainable, {"cpu": cpus, "gpu": gpus})
    try:
        _fit(worker, searcher, packs, scratch)
        while searcher.resting and not packs.ended_by:
            _rest(sweep, presence, observe)
            _fit(worker, searcher, packs, scratch)
    finally:
        presence.withdraw()
    if not history.ledger.finished and not packs.ended_by:
        raise RuntimeError("Ray Tune ended before the sweep was finished; resume it")
    return packs.ended_by


def _fit(worker: Any, searcher: SharingSearcher, packs: PackSearcher, scratch: Path) -> None:
    """One run of Tune: to the end of the sweep, to a command, or until the sweep has no share of the cluster."""
    searcher.resting = False
    tuner = tune.Tuner(
        worker,
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name="packs",
            storage_path=str(scratch),
            verbose=0,
            callbacks=[Starts(searcher)],
            stop=CommandedEnd(searcher),
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    except Exception as error:
        raise packs.error or error from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if packs.error:
        raise packs.error


def _rest(sweep: Storage, presence: Presence, observe: Callable[[dict[str, Row]], None]) -> None:
    """Waits, without workers, for the sweep's turn; or for a command, which is obeyed in a run of Tune."""
    while not presence.workers() and control.asked(sweep) is None:
        observe({})
        time.sleep(control.LOOK_SECONDS)
