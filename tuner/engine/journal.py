"""The sweep's durable history: numbered entries, each one object written whole, never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tuner.engine.exclusive import ClaimedError
from tuner.engine.storage import Storage, StorageError
from tuner.trial import Pack, Row, Stage, Trial

Entry = dict[str, Any]
FOLDER = "journal"
FIRST_ENTRY = f"{FOLDER}/000001.json"  # with it, a sweep exists
LOOK_SECONDS = 2.0  # between two looks at a claim of a writer that may be dead
AT_ONCE = 100  # entries read together: each is a request where storage is a server


class JournalError(StorageError):
    """The journal can't be read, or somebody else writes it."""


class Journal:
    """An ordered list of entries (JSON objects with a `kind` and a `time`), numbered from 1.

    One writer at a time: a second one fails on its first append, because numbers are created exclusively.
    """

    def __init__(self, sweep: Storage) -> None:
        self._sweep = sweep
        self._last = 0

    def entries(self, after: int = 0) -> Iterator[tuple[int, Entry]]:
        """Yields (number, entry) of all entries above `after` that are there now, in order.

        JournalError where one is missing, for what comes after it was decided with it.
        """
        last = max((int(name[:-5]) for name in self._sweep.names(FOLDER) if name.endswith(".json")), default=0)
        for start in range(after + 1, last + 1, AT_ONCE):
            some = range(start, min(start + AT_ONCE, last + 1))
            for number, data in zip(some, self._read_all(some), strict=True):
                yield number, self._parsed(number, data)
                self._last = max(self._last, number)

    def read(self, number: int) -> Entry:
        return self._parsed(number, self._sweep.read(_name(number)))

    def _read_all(self, numbers: Sequence[int]) -> list[bytes]:
        """Asks for each by its name: a listing may lack one that was written while it was made."""
        try:
            return self._sweep.read_all([_name(number) for number in numbers])
        except FileNotFoundError as error:
            missing = [self._sweep.path(_name(one)) for one in numbers if not self._sweep.exists(_name(one))]
            raise JournalError(
                f"journal entry {', '.join(missing)} is missing, but later ones are there; restore it from a backup"
            ) from error

    def _parsed(self, number: int, data: bytes) -> Entry:
        try:
            entry: Entry = json.loads(data)
        except ValueError as error:
            path = self._sweep.path(_name(number))
            raise JournalError(f"journal entry {path} is not JSON ({error}); restore it from a backup") from error
        return entry

    def append(self, entry: Entry, patience: float = 0.0) -> int:
        """Writes the entry durably and returns its number. Read all entries first: numbers go on from there.

        A writer that died a moment ago may have left a claim on that number, which runs out within `patience` seconds.
        """
        number = self._last + 1
        data = json.dumps(entry, allow_nan=False, separators=(",", ":")).encode()
        try:
            stop, claimed = stop_after_delay(patience), retry_if_exception_type(ClaimedError)
            for attempt in Retrying(retry=claimed, stop=stop, wait=wait_fixed(LOOK_SECONDS), reraise=True):
                with attempt:
                    self._sweep.create(_name(number), data)
            self._last = number
        except ClaimedError as error:
            raise JournalError(f"{error}. If no other process runs the sweep, try again once it has run out") from error
        except FileExistsError as error:
            raise JournalError(
                f"entry {number} of {self._sweep.uri} was written by another process: the sweep is running elsewhere"
            ) from error
        except KeyboardInterrupt:  # perhaps a moment after the entry was made
            if self._sweep.exists(_name(number)) and self._sweep.read(_name(number)) == data:
                self._last = number
            raise
        return number


def _name(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"


def pack_to_json(pack: Pack) -> Entry:
    """The pack as plain JSON values."""
    return {
        "id": pack.id,
        "stage": pack.stage.value,
        "rung": pack.rung,
        "from_epoch": pack.from_epoch,
        "to_epoch": pack.to_epoch,
        "trials": [trial_to_json(trial) for trial in pack.trials],
        "starts": dict(pack.starts),
        "reason": pack.reason,
    }


def pack_from_json(value: Entry) -> Pack:
    trials = tuple(
        Trial(**{**trial, "stage": Stage(trial["stage"]), "params": dict(trial["params"])}) for trial in value["trials"]
    )
    return Pack(**{**value, "stage": Stage(value["stage"]), "trials": trials})


def trial_to_json(trial: Trial) -> Entry:
    return {
        "id": trial.id,
        "number": trial.number,
        "seed": trial.seed,
        "params": dict(trial.params),
        "stage": trial.stage.value,
        "source": trial.source,
        "origin": trial.origin,
    }


def rows_to_json(rows: Iterable[Row]) -> list[list[Any]]:
    """Rows as lists; NaN and infinity, which JSON lacks, become null."""
    return [
        [
            row.trial,
            row.epoch,
            *(
                value if math.isfinite(value) else None
                for value in (row.train_loss, row.val_loss, row.val_accuracy, row.learning_rate, row.time)
            ),
        ]
        for row in rows
    ]


def rows_from_json(values: Iterable[list[Any]]) -> list[Row]:
    return [
        Row(trial, epoch, *(math.nan if number is None else float(number) for number in numbers))
        for trial, epoch, *numbers in values
    ]
