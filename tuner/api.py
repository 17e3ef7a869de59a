"""The Python call of the same power as the command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.data import variables
from tuner.engine import execution, sweep
from tuner.engine.execution import SweepResult
from tuner.engine.storage import Storage
from tuner.engine.sweep import Place, Show
from tuner.engine.tracking import embedded_uri
from tuner.review.report import report
from tuner.spec import Spec, from_mapping, load

__all__ = ["SweepResult", "place", "resume", "run"]


def run(
    spec: Spec | Mapping[str, Any] | Path | str,
    *,
    overrides: Sequence[str] = (),
    storage: str | None = None,
    sweep_id: str | None = None,
    show: Show = lambda _: None,
) -> SweepResult:
    """Runs one sweep on this machine, or on the Ray cluster in RAY_ADDRESS, and waits for its result.

    `spec` is a Spec, plain data, or a file's path; `overrides` such as `train.learning_rate=0.1` win over it.
    `show` is called with the sweep's status a few times a second. SpecError and DataError come before anything
    is trained; after any other end, `resume` with the sweep's id goes on.
    """
    where = place(storage)
    made = sweep.create(_spec(spec, overrides), where, sweep_id)
    return execution.execute(made, where, show, report)


def resume(sweep_id: str, *, storage: str | None = None, show: Show = lambda _: None) -> SweepResult:
    """Goes on with an interrupted sweep, or returns the result of a finished one."""
    return execution.execute(sweep_id, place(storage), show, report)


def place(storage: str | None = None) -> Place:
    """Where this user's sweeps live: `storage`, CAVIAR_STORAGE or a folder in CAVIAR_HOME (default ./.caviar).

    ValueError in a job on a cluster that names none of them: its working directory is gone when it ends.
    """
    named = storage or os.environ.get("CAVIAR_STORAGE")
    if variables.JOB in os.environ and not (named or os.environ.get("CAVIAR_HOME")):
        raise ValueError(
            "this job would keep its sweep in a folder that is gone when it ends: submit it with --storage (a URI, or "
            "a folder that the cluster's machines share), or set CAVIAR_STORAGE where the cluster's head is started"
        )
    home = Path(os.environ.get("CAVIAR_HOME", ".caviar")).absolute()
    tracking = os.environ.get("MLFLOW_TRACKING_URI") or embedded_uri(home)
    chosen = named or str(home / "storage")
    return Place(home, Storage(chosen if "://" in chosen else Path(chosen).absolute()), tracking)


def _spec(spec: Spec | Mapping[str, Any] | Path | str, overrides: Sequence[str]) -> Spec:
    if isinstance(spec, Spec):
        return from_mapping(spec.model_dump(by_alias=True), overrides) if overrides else spec
    return from_mapping(spec, overrides) if isinstance(spec, Mapping) else load(spec, overrides)
