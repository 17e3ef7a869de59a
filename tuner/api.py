"""The Python call of the same power as the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.engine import execution, sweep
from tuner.engine.conclusion import SweepResult
from tuner.engine.place import place
from tuner.engine.sweep import Show
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


def _spec(spec: Spec | Mapping[str, Any] | Path | str, overrides: Sequence[str]) -> Spec:
    if isinstance(spec, Spec):
        return from_mapping(spec.model_dump(by_alias=True), overrides) if overrides else spec
    return from_mapping(spec, overrides) if isinstance(spec, Mapping) else load(spec, overrides)
