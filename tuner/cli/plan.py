"""The command that says what a sweep would take, before anything is trained."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.app import FAILED, REFUSED, Json, Sets, SpecPath, StorageUri, answer, app, console, fail, place
from tuner.cli.check import warn

if TYPE_CHECKING:
    from tuner.engine.advice import Advice, Budget, Fit
    from tuner.engine.plan import Estimate, Planner
    from tuner.engine.planning import Survey
    from tuner.spec import Spec

Hours = Annotated[
    float | None,
    typer.Option(
        help="What you have for all of it, start to end. [default: budget.hours, which is for the search]",
        min=0.0,
        show_default=False,
    ),
]


@app.command()
def plan(
    spec: SpecPath,
    *,
    sets: Sets = None,
    hours: Hours = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Time a few steps on the workers, and say what the sweep would take and what fits. Trains nothing."""
    began = time.monotonic()
    from tuner.engine import build
    from tuner.spec import load

    loaded, where, out = load(spec, sets or ()), place(storage), console(as_json)
    warn(loaded, out)
    snapshot = build.snapshot(loaded, where.snapshots)
    preparing = time.monotonic() - began  # as long as a sweep is made; what follows is imported by plans alone
    from tuner.engine import planning
    from tuner.engine.advice import fit
    from tuner.engine.history import CannotTrainError
    from tuner.engine.plan import Planner
    from tuner.review.plan import describe_plan

    try:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():  # Ray prints, too
            found = planning.survey(loaded, snapshot, where, preparing)
    except CannotTrainError as error:
        fail(str(error), FAILED)
    planner = Planner(planning.sweeps(loaded, snapshot), found.pace, found.around)
    expected = planner.estimate(loaded.search.trials)
    budget = _budget(loaded, hours, planner)
    fitting = fit(budget, loaded.search.trials, expected.trials) if budget else None
    told = _told(loaded, found, expected, fitting)
    told |= asdict(_advice(loaded, found, expected, budget, fitting))
    out.print(describe_plan(told), highlight=False)
    if as_json:
        answer(told)
    if fitting and not fitting.fits:
        fail(fitting.reason, REFUSED)


def _budget(spec: Spec, hours: float | None, planner: Planner) -> Budget | None:
    """What there is: --hours for all of it, else the spec's for the search."""
    from tuner.engine.advice import Budget

    if hours is not None:
        return Budget(hours * 3600, "the sweep", lambda trials: planner.estimate(trials).whole.expected)
    if spec.budget.hours is not None:
        return Budget(spec.budget.hours * 3600, "the search", lambda trials: planner.estimate(trials).search.expected)
    return None


def _advice(spec: Spec, found: Survey, expected: Estimate, budget: Budget | None, fitting: Fit | None) -> Advice:
    from tuner.engine.advice import Outlook, advise, least_search

    epochs = expected.rungs[-1][0]
    one = found.pace.seconds(found.usual, epochs)
    outlook = Outlook(
        trials=expected.trials,
        seconds=expected.whole.expected,
        beside=found.around.start + found.around.end,
        workers=found.around.workers,
        one=one,
        alone=found.start["data"] + one,  # a panda trains in the process that starts it
        max_epochs=epochs,
        least=least_search(len(expected.rungs), getattr(spec.stopping.rungs, "reduction", 2)),
    )
    return advise(outlook, budget.limit if budget else None, fitting, searched=bool(spec.space().axes))


def _told(spec: Spec, found: Survey, expected: Estimate, fitting: Fit | None) -> dict[str, Any]:
    """The plan as JSON; times in seconds, sizes in bytes."""
    from tuner.engine.advice import caution
    from tuner.search.samplers import LEARNERS

    return {
        "name": spec.name,
        "asked": spec.search.trials,
        "workers": found.around.workers,
        "contested": found.contested,
        **asdict(expected),
        "rungs": [{"epochs": epochs, "trials": trials} for epochs, trials in expected.rungs],
        "memory_free": found.free,
        "disk": expected.disk,
        "start": dict(found.start),
        "budget": asdict(fitting) if fitting else None,
        "caution": caution(spec.search.sampler in LEARNERS, spec.stopping.kind),
    }
