"""Runs a sweep from wherever its journal stands to its end: trained, concluded, published."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tuner.engine import archive, control, interrupts, pause, status
from tuner.engine.account import Draw
from tuner.engine.conclusion import SweepResult, conclude, end, published
from tuner.engine.control import Command, Verb
from tuner.engine.history import History
from tuner.engine.journal import Journal, JournalError
from tuner.engine.place import Place
from tuner.engine.publisher import Publisher
from tuner.engine.storage import Storage
from tuner.engine.sweep import Show, load
from tuner.spec import Spec
from tuner.trial import Row

if TYPE_CHECKING:
    from tuner.engine.ledger import Ledger

MACHINE_SECONDS = 600.0  # how long a cluster may take to start a machine that is large enough for a worker
ENDINGS: Mapping[type[BaseException], str] = {KeyboardInterrupt: "interrupted", pause.StoppedError: "stopped"}


def execute(sweep_id: str, place: Place, show: Show = lambda _: None, draw: Draw | None = None) -> SweepResult:
    """Runs the sweep from wherever its journal stands to its end, and publishes it. Starts Ray if it must.

    `draw` makes the report that is left beside the journal, and published; without it there is none.
    KeyboardInterrupt, StoppedError and errors leave a journal that the next call goes on from.
    """
    sweep = place.sweep(sweep_id)
    _refuse_a_second_driver(sweep)
    spec, ledger, history = load(sweep)
    _take_up_commands(sweep, history)
    reporter = status.Reporter(sweep, sweep_id, spec.name, show)
    reporter.resume(ledger)
    concluded = history.concluded
    with contextlib.ExitStack() as stack:
        try:
            if not concluded:
                reporter.report(ledger, "running", ledger.stage.value)  # from now on nobody else may resume it
                history.begin()  # before the publisher looks, for which an earlier interruption would be the end
            publisher = stack.enter_context(Publisher(sweep, spec.tracking.uri or place.tracking, _log(sweep)))
            if not concluded:
                _finish(sweep_id, spec, place, history, reporter, draw=draw)
            elif not history.ended:  # killed between its last entries
                end(sweep, spec, history, draw)
            result = published(sweep, history, publisher)
        except BaseException as error:
            _abandon(history, ledger, reporter, error)
            raise
    found = status.read(sweep)
    if found is None or found.status != result.figures["status"]:  # also if it was killed while it was published
        reporter.report(ledger, result.figures["status"], "done")
    command = control.asked(sweep)
    if command and command.verb is Verb.EXTEND:  # somebody saw it run a moment ago
        return execute(sweep_id, place, show, draw)
    return result


def _refuse_a_second_driver(sweep: Storage) -> None:
    """The journal would stop one of two drivers, but perhaps the one that has been running for hours."""
    found = status.read(sweep)
    if found and found.status in status.ACTIVE and (found.host, found.pid) != (socket.gethostname(), os.getpid()):
        raise JournalError(
            f"sweep {found.sweep} is running on {found.host} (process {found.pid}). If that machine is gone, "
            f"try again in {status.SILENT_SECONDS:.0f} seconds"
        )


def _take_up_commands(sweep: Storage, history: History) -> None:
    """What nobody obeyed: an extension is made now; for the rest, whoever starts a sweep wants it to run."""
    command = control.asked(sweep)
    if command is None:
        return
    if command.verb is Verb.EXTEND:
        history.extend(command.trials, command.max_epochs)
    control.obeyed(sweep, command)


def _finish(
    sweep_id: str, spec: Spec, place: Place, history: History, reporter: status.Reporter, *, draw: Draw | None
) -> None:
    """Trains what is left, through pauses, and writes the result. StoppedError when told to stop."""
    sweep = place.sweep(sweep_id)
    while not history.ledger.finished:
        _require_snapshot(sweep, place)
        from tuner.engine.connect import ray_cluster

        with ray_cluster(place.home):
            command = _train(sweep_id, spec, place, history, reporter)
            if command is None:  # before Ray is stopped, so that both MLflow and Ray end meanwhile
                conclude(sweep, history, reporter)
                end(sweep, spec, history, draw)
        if command is not None:
            pause.obey(command, sweep, history, reporter)
    if not history.concluded:
        conclude(sweep, history, reporter)
        end(sweep, spec, history, draw)


def _require_snapshot(sweep: Storage, place: Place) -> None:
    """Before Ray is started for nothing; another machine than the first one has it from remote storage."""
    digest = Journal(sweep).read(1)["snapshot"]["digest"]
    archive.fetch(digest, place.storage, place.snapshots)


def _train(sweep_id: str, spec: Spec, place: Place, history: History, reporter: status.Reporter) -> Command | None:
    from tuner.engine import driver  # imports ray, which reads its environment then

    ledger = history.ledger

    def observe(running: dict[str, Row]) -> None:
        interrupts.heed()
        reporter.report(ledger, "running", running=running)

    return driver.run(
        history,
        {"sweep": place.sweep(sweep_id).uri, "snapshots": str(place.snapshots)},
        place.home / "tune" / f"{sweep_id}-{os.getpid()}",
        cpus=spec.resources.cpus_per_worker,
        gpus=spec.resources.gpus_per_worker,
        max_workers=spec.resources.max_workers,
        patience=MACHINE_SECONDS if os.environ.get("RAY_ADDRESS") else 0.0,
        deadline=time.time() + spec.budget.hours * 3600 - history.seconds if spec.budget.hours else None,
        observe=observe,
    )


def _abandon(history: History, ledger: Ledger, reporter: status.Reporter, error: BaseException) -> None:
    """Notes why the run ends; where not even that can be written, the journal up to here still stands."""
    ended = next((word for kind, word in ENDINGS.items() if isinstance(error, kind)), "failed")
    if not history.concluded:
        with contextlib.suppress(OSError):
            history.write("ended", status=ended, reason=str(error) or ended)
    with contextlib.suppress(OSError):
        reporter.report(ledger, ended)


def _log(sweep: Storage) -> str | None:
    local = sweep.local("tracking.log")
    return str(local) if local else None
