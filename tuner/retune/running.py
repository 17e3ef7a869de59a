"""A period's sweeps in this process: made if they are not there, else gone on with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress

from tuner.engine import execution, sweep
from tuner.engine.connect import ray_cluster
from tuner.engine.history import CannotTrainError
from tuner.engine.place import Place
from tuner.engine.sweep import Show
from tuner.review.report import report
from tuner.spec import Spec


class Here:
    """Runs sweeps with a Ray of its own, which both sweeps of a period share, or with that of RAY_ADDRESS.

    `progress` makes what shows one sweep's status. Ray is stopped at the end of the block.
    """

    def __init__(self, place: Place, progress: Callable[[], AbstractContextManager[Show]]) -> None:
        self._place, self._progress = place, progress
        self._ray = ExitStack()

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.close()

    def __call__(self, spec: Spec, sweep_id: str) -> None:
        """Runs the sweep to its end. OSError where it cannot go on now."""
        with suppress(sweep.SweepExistsError):  # a period that was interrupted goes on
            sweep.create(spec, self._place, sweep_id)
        self._ray.enter_context(ray_cluster(self._place.home))
        try:
            with self._progress() as show:
                execution.execute(sweep_id, self._place, show, report)
        except CannotTrainError as error:
            raise OSError(f"sweep {sweep_id} cannot be trained: {error}") from error
