"""The Searcher through which Ray Tune asks for packs, and tells what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.search import Searcher

from tuner.engine import control
from tuner.engine.control import Command, Verb
from tuner.engine.history import History
from tuner.engine.journal import rows_from_json
from tuner.engine.storage import Storage
from tuner.engine.turns import RETRIES
from tuner.trial import Row, Stage

JOURNAL_SECONDS = 10.0  # how often the rows of a running pack are written down


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
