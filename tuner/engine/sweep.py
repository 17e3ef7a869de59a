"""A sweep from spec to result: made once, then run, and run again after any kill, until it has finished."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.engine import build, status
from tuner.engine.history import MODEL_FOLDER, History
from tuner.engine.journal import FIRST_ENTRY, Journal, JournalError
from tuner.engine.publisher import Publisher
from tuner.engine.result import comparison, figures, leaderboard, summary, verdict
from tuner.engine.storage import Storage
from tuner.spec import Spec, parse
from tuner.trial import Row

if TYPE_CHECKING:
    import pandas as pd

    from tuner.engine.ledger import Ledger

DRAIN_SECONDS = 60.0  # how long a finished sweep waits for MLflow before it says what is still to be sent

Show = Callable[[status.Status], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where sweeps live: `home` on this machine, `storage` for durable state, `tracking` for people to look at."""

    home: Path
    storage: Storage
    tracking: str

    def sweep(self, sweep_id: str) -> Storage:
        return self.storage.child(f"sweeps/{sweep_id}")

    @property
    def snapshots(self) -> Path:
        return self.storage.local("snapshots") or self.home / "snapshots"


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found.

    `figures` is the object that `run --json` prints, `leaderboard` the best trials as flat records, `trials` a
    data frame with one row a trial, `unsent` says why MLflow has not got everything yet (None: it has).
    """

    figures: dict[str, Any]
    leaderboard: list[dict[str, Any]]
    trials: pd.DataFrame
    unsent: str | None

    @property
    def sweep(self) -> str:
        return str(self.figures["sweep"])

    @property
    def best(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.figures["best"]
        return found


class SweepExistsError(ValueError):
    """There is a sweep of that id already; resume it or choose another id."""


def create(spec: Spec, place: Place, sweep_id: str | None = None, show: Show = lambda _: None) -> str:
    """Reads the data, makes the snapshot and the journal's first entry; returns the sweep's id. Trains nothing.

    DataError, SweepExistsError or StorageError before anything else is started.
    """
    sweep_id = sweep_id or new_id(spec.name)
    sweep = place.sweep(sweep_id)
    reporter = status.Reporter(sweep, sweep_id, spec.name, show)
    snapshot = build.snapshot(spec, place.snapshots)
    if sweep.exists(FIRST_ENTRY):
        raise SweepExistsError(f"sweep {sweep_id} exists already: `caviar resume {sweep_id}` goes on with it")
    text = spec.to_yaml()
    sweep.write("spec.yaml", text.encode())
    sweep.write("snapshot.json", json.dumps(snapshot.description).encode())
    facts = {key: value for key, value in snapshot.description.items() if key != "encoder"}
    Journal(sweep).append(
        {
            "kind": "created",
            "time": time.time(),
            "sweep": sweep_id,
            "name": spec.name,
            "spec": spec.model_dump(mode="json", by_alias=True),
            "spec_yaml": text,
            "snapshot": facts,
        }
    )
    reporter.report(None, "preparing")
    return sweep_id


def execute(sweep_id: str, place: Place, show: Show = lambda _: None) -> SweepResult:
    """Runs the sweep from wherever its journal stands to its end, and publishes it. Starts Ray if it must.

    KeyboardInterrupt and errors leave a journal that the next call goes on from.
    """
    sweep = place.sweep(sweep_id)
    _refuse_a_second_driver(sweep)
    spec, ledger, history = load(sweep, place)
    reporter = status.Reporter(sweep, sweep_id, spec.name, show)
    reporter.resume(ledger)
    concluded = history.concluded
    if not concluded:
        history.begin()  # before the publisher looks, for which an earlier interruption would be the end
    with Publisher(sweep, spec.tracking.uri or place.tracking, _log(sweep)) as publisher:
        try:
            if not concluded:
                _train(sweep_id, spec, place, history, reporter)
                reporter.report(ledger, "running", "publish")
                _conclude(sweep_id, sweep, ledger, history)
            elif not history.ended:  # killed between its last two entries
                history.write("ended", status=json.loads(sweep.read("result.json"))["status"], reason="")
            result = _published(sweep, ledger, publisher)
        except BaseException as error:
            _abandon(history, ledger, reporter, error)
            raise
    if not concluded:
        reporter.report(ledger, result.figures["status"], "done")
    return result


def load(sweep: Storage, place: Place) -> tuple[Spec, Ledger, History]:
    """The sweep's spec, and its ledger replayed from the journal."""
    if not sweep.exists(FIRST_ENTRY):
        raise ValueError(f"{sweep.uri} holds no sweep, or one that was killed while it was made: run its spec again")
    spec = parse(sweep.read("spec.yaml").decode())
    ledger = build.ledger(spec, build.stored_snapshot(sweep, place.snapshots))
    history = History(sweep, Journal(sweep), ledger)
    history.replay()
    return spec, ledger, history


def _refuse_a_second_driver(sweep: Storage) -> None:
    """The journal would stop one of two drivers, but perhaps the one that has been running for hours."""
    found = status.read(sweep)
    if found and found.status in status.ACTIVE and (found.host, found.pid) != (socket.gethostname(), os.getpid()):
        raise JournalError(
            f"sweep {found.sweep} is running on {found.host} (process {found.pid}). If that machine is gone, "
            f"try again in {status.SILENT_SECONDS:.0f} seconds"
        )


def new_id(name: str) -> str:
    """A sweep id that sorts by time and is taken by nobody else."""
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _train(sweep_id: str, spec: Spec, place: Place, history: History, reporter: status.Reporter) -> None:
    if history.ledger.finished:
        return
    from tuner.engine.connect import ray_cluster

    with ray_cluster(place.home):
        _train_on_ray(sweep_id, spec, place, history, reporter)


def _train_on_ray(sweep_id: str, spec: Spec, place: Place, history: History, reporter: status.Reporter) -> None:
    from tuner.engine import driver  # imports ray, which reads its environment then

    ledger = history.ledger

    def observe(running: dict[str, Row]) -> None:
        reporter.report(ledger, "running", running=running)

    driver.run(
        history,
        {"sweep": place.sweep(sweep_id).uri, "snapshots": str(place.snapshots)},
        place.home / "tune" / f"{sweep_id}-{os.getpid()}",
        cpus=spec.resources.cpus_per_worker,
        gpus=spec.resources.gpus_per_worker,
        max_workers=spec.resources.max_workers,
        deadline=time.time() + spec.budget.hours * 3600 if spec.budget.hours else None,
        observe=observe,
    )


def _conclude(sweep_id: str, sweep: Storage, ledger: Ledger, history: History) -> None:
    """Writes the result into the journal and beside it."""
    found = figures(ledger, json.loads(sweep.read("snapshot.json"))["class_counts"])
    exported = sweep.exists(f"{MODEL_FOLDER}/model.json")
    ended = "finished" if found["best"] else "failed"
    result = {
        "sweep": sweep_id,
        "status": ended,
        **found,
        "seconds": history.seconds,
        "verdict": verdict(found["holdout"]),
        "comparison": comparison(found),
        "model_path": sweep.path(MODEL_FOLDER) if exported else None,
    }
    sweep.write("result.json", json.dumps(result).encode())
    history.write(
        "result",
        result={**result, "summary_markdown": summary(sweep_id, result)},
        model_dir=MODEL_FOLDER if exported else None,
        leaderboard=leaderboard(ledger),
    )
    history.write("ended", status=ended, reason="" if found["best"] else "no trial reached a finite loss")


def _published(sweep: Storage, ledger: Ledger, publisher: Publisher) -> SweepResult:
    """The result, once MLflow has it too or a minute has passed."""
    where = publisher.wait(DRAIN_SECONDS)
    result = json.loads(sweep.read("result.json"))
    result |= {"parent_run_id": where.parent_run_id, "model_uri": where.model_uri}
    return SweepResult(result, leaderboard(ledger), build.frame(ledger), where.error)


def _abandon(history: History, ledger: Ledger, reporter: status.Reporter, error: BaseException) -> None:
    """Notes why the run ends; where not even that can be written, the journal up to here still stands."""
    ended = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    try:
        if not history.concluded:
            history.write("ended", status=ended, reason=str(error) or ended)
        reporter.report(ledger, ended)
    except OSError:
        return


def _log(sweep: Storage) -> str | None:
    local = sweep.local("tracking.log")
    return str(local) if local else None
