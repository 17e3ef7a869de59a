"""Ledger and journal moved together: every event is applied and written, or replayed, in one order."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

from tuner.engine.exclusive import CLAIM_SECONDS
from tuner.engine.journal import (
    LOOK_SECONDS,
    Entry,
    Journal,
    JournalError,
    pack_to_json,
    rows_from_json,
    rows_to_json,
)
from tuner.engine.ledger import Ledger
from tuner.engine.objects import partial_name, result_name
from tuner.engine.stopwatch import Stopwatch
from tuner.engine.storage import Storage, StorageError
from tuner.trial import Pack, Row, State

HOPELESS = 3  # so many failed trials, and no other, are no bad luck


class CannotTrainError(RuntimeError):
    """No trial can be trained here, as things are. Once that is mended, the sweep goes on."""


class History:
    """The only writer of a sweep's journal.

    `open` maps the journal entries of packs that were handed out, but have not come back, to their packs. `worked`
    has those that came back, each with the epochs of its trials together and its seconds. `unreported` says why
    there is no report of the result, where its making failed.
    """

    def __init__(
        self, sweep: Storage, journal: Journal, ledger: Ledger, clock: Callable[[], float] = time.time
    ) -> None:
        self.ledger = ledger
        self.open: dict[int, Pack] = {}
        self.worked: list[tuple[Pack, int, float]] = []
        self.unreported: str | None = None
        self.concluded = False  # the sweep has its result
        self.ended = False  # and its journal says so
        self._worked = Stopwatch(clock())
        self._sweep = sweep
        self._journal = journal
        self._clock = clock

    def replay(self) -> None:
        """Applies all entries. JournalError if the ledger decides otherwise than it did when they were written."""
        for number, entry in self._journal.entries():
            kind = entry["kind"]
            self._worked.note(kind, entry["time"])
            self._conclude(kind, entry)
            if kind == "ended":
                self.ended = entry["status"] in ("finished", "failed")
            elif kind == "extended":
                self._extend(entry["trials"], entry["max_epochs"])
            elif kind == "pack":
                pack = self.ledger.ask(entry["workers"])
                if pack is None or pack_to_json(pack) != entry["pack"]:
                    raise JournalError(
                        f"journal entry {number} of {self._sweep.uri} holds another decision than this version of "
                        "caviar takes from the same history: resume it with the version that began it"
                    )
                self.open[number] = pack
            elif kind == "done":
                self._tell(entry)
            elif kind == "failed":
                self.ledger.fail(entry["pack"], entry["error"])
                self._close(entry["pack"])
            elif kind == "halted":
                self.ledger.halt(entry["reason"])
        self.ledger.take_changes()

    @property
    def seconds(self) -> float:
        """How long the sweep has been worked on, over all attempts."""
        return self._worked.seconds(self._clock())

    @property
    def seconds_on_record(self) -> float:
        """The same up to the journal's last entry, for those who only read it."""
        return self._worked.seconds()

    def begin(self) -> None:
        """Notes that a driver starts (or starts again), and takes in the packs that ended without one.

        Those that failed meanwhile are tried again.
        """
        self.write("attempt", host=socket.gethostname(), patience=CLAIM_SECONDS + LOOK_SECONDS)
        for pack in list(self.open.values()):
            if not self.came_back(pack.id):
                continue
            if "error" in self._result(pack.id):
                self._sweep.remove(result_name(pack.id))
            else:
                self.done(pack.id)

    def ask(self, workers: int) -> int | None:
        """The journal entry of the next pack to run; None: wait, or all is finished."""
        pack = self.ledger.ask(workers)
        states = self.ledger.take_changes()
        if pack is None:
            if states:
                self.write("states", states=states)
            return None
        number = self.write("pack", workers=workers, pack=pack_to_json(pack), states=states)
        self.open[number] = pack
        return number

    def progress(self, pack_id: int, rows: list[Row]) -> None:
        """Rows of a pack that is still running."""
        self.write("rows", pack=pack_id, rows=rows_to_json(rows))

    def done(self, pack_id: int) -> None:
        """Takes in the object that the pack's worker left; its `error`, if any, makes the pack a failed one.

        StorageError if that was the storage's: the pack is trained again once it is mended.
        """
        result = self._result(pack_id)
        if result.get("of_storage"):
            raise StorageError(result["error"])
        if "error" in result:
            self.failed(pack_id, result["error"])
            return
        self._tell({**result, "pack": pack_id})
        self.write("done", pack=pack_id, **result, states=self.ledger.take_changes())

    def failed(self, pack_id: int, error: str) -> None:
        """The pack failed for good. CannotTrainError, and nothing written, where no trial ever got through."""
        if self._hopeless(pack_id):
            raise CannotTrainError(f"every trial so far failed: {error}")
        self.ledger.fail(pack_id, error)
        self._close(pack_id)
        self._sweep.remove(partial_name(pack_id))  # its trials are tried again in other packs
        self.write("failed", pack=pack_id, error=error, states=self.ledger.take_changes())

    def halt(self, reason: str) -> None:
        """Ends the search early; what was found is confirmed and refitted."""
        self.ledger.halt(reason)
        self.write("halted", reason=reason)

    def extend(self, trials: int | None, max_epochs: int | None) -> bool:
        """Gives the search new totals; see `Ledger.extend`. False, and nothing written, where they are no more."""
        extended = self._extend(trials, max_epochs)
        if extended:
            self.write("extended", trials=trials, max_epochs=max_epochs, states=self.ledger.take_changes())
        return extended

    def came_back(self, pack_id: int) -> bool:
        """Whether the pack's worker has left its result: a sweep that is being stopped has packs that go on later."""
        return self._sweep.exists(result_name(pack_id))

    def write(self, kind: str, patience: float = 0.0, **fields: Any) -> int:
        """Appends an entry; returns its number. `patience`: see `Journal.append`."""
        now = self._clock()
        self._worked.note(kind, now)
        self._conclude(kind, fields)
        return self._journal.append({"kind": kind, "time": now, **fields}, patience)

    def _result(self, pack_id: int) -> Entry:
        found: Entry = json.loads(self._sweep.read(result_name(pack_id)))
        return found

    def _hopeless(self, pack_id: int) -> bool:
        """Whether this failure is about all trials, and not about one: a library, the data, the storage."""
        (pack,) = (pack for pack in self.open.values() if pack.id == pack_id)
        failed = 1 + sum(state is State.FAILED for state, _, _ in self.ledger.states.values())
        return not self.ledger.rows and len(pack.trials) == 1 and failed >= min(HOPELESS, self.ledger.terms.trials)

    def _extend(self, trials: int | None, max_epochs: int | None) -> bool:
        if not self.ledger.extend(trials, max_epochs):
            return False
        self.concluded = self.ended = False
        return True

    def _conclude(self, kind: str, entry: Entry) -> None:
        self.concluded = self.concluded or kind == "result"
        if kind == "report":
            self.unreported = entry["error"]

    def _tell(self, entry: Entry) -> None:
        holdout = {trial: (loss, accuracy) for trial, (loss, accuracy) in entry["holdout"].items()}
        timings = [(trial, epochs, seconds) for trial, epochs, seconds in entry["timings"]]
        pack = self.ledger.open[entry["pack"]]
        self.worked.append((pack, len(entry["rows"]), entry.get("seconds") or 0.0))
        self.ledger.tell(entry["pack"], rows_from_json(entry["rows"]), timings, holdout)
        self._close(entry["pack"])

    def _close(self, pack_id: int) -> None:
        self.open = {number: pack for number, pack in self.open.items() if pack.id != pack_id}
