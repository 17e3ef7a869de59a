"""The runs of Ray Tune that train a sweep's packs, and what Tune is told about itself."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from tuner.engine import control, delivery
from tuner.engine.control import Command
from tuner.engine.history import History
from tuner.engine.journal import Journal
from tuner.engine.pack import PackTrainable
from tuner.engine.presence import Presence
from tuner.engine.searcher import PackSearcher
from tuner.engine.storage import Storage
from tuner.engine.turns import CommandedEnd, SharingSearcher, Starts
from tuner.trial import Row

TUNE = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints at verbose=0, too
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # its snapshots are not used
    "TUNE_MAX_PENDING_TRIALS_PG": "1024",  # else a searcher may queue one pack only
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # a lost worker is no error: its pack is trained again
    "TUNE_WARN_THRESHOLD_S": "30",
}


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
