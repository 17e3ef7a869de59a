"""A period's sweep in this process: made if it is not there, else gone on with."""

from __future__ import annotations

from contextlib import suppress

from tuner.engine import execution, sweep
from tuner.engine.history import CannotTrainError
from tuner.engine.sweep import Place, Show
from tuner.spec import Spec


def here(place: Place, show: Show, spec: Spec, sweep_id: str) -> None:
    """Runs the sweep to its end, with a Ray of its own or that of RAY_ADDRESS. OSError where it cannot go on now."""
    with suppress(sweep.SweepExistsError):  # a period that was interrupted goes on
        sweep.create(spec, place, sweep_id)
    try:
        execution.execute(sweep_id, place, show)
    except CannotTrainError as error:
        raise OSError(f"sweep {sweep_id} cannot be trained: {error}") from error
