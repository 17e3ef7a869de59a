"""Commands that start work: check and run; and what they share with those that go on with it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.app import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    Json,
    Sets,
    SpecPath,
    StorageUri,
    answer,
    app,
    console,
    fail,
    place,
)

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.data.snapshot import Snapshot
    from tuner.engine.execution import SweepResult
    from tuner.engine.sweep import Place
    from tuner.spec import Spec


@app.command()
def check(spec: SpecPath, sets: Sets = None, storage: StorageUri = None, as_json: Json = False) -> None:
    """Read the spec and its data, and say what a sweep would search. Trains nothing."""
    from tuner.engine import build
    from tuner.review.describe import describe_data, describe_space
    from tuner.spec import load

    loaded = load(spec, sets or ())
    snapshot = build.snapshot(loaded, place(storage).snapshots)
    out = console(as_json)
    warn(loaded, out)
    out.print(describe_data(snapshot.description))
    trials = _trials(loaded)
    out.print(describe_space(loaded.space(), trials))
    if as_json:
        answer(_checked(loaded, snapshot, trials))


def _checked(spec: Spec, snapshot: Snapshot, trials: int) -> dict[str, Any]:
    from tuner.search.space import written

    about, space = snapshot.description, spec.space()
    return {
        "name": spec.name,
        "digest": snapshot.digest,
        "rows": about["rows"],
        "classes": about["classes"],
        "columns": list(about["features"]),
        "trials": trials,
        "space": {axis.name: written(axis.domain) for axis in space.axes},
        "fixed": dict(space.fixed),
        "warnings": [*_warnings(spec), *about["warnings"]],
    }


def _trials(spec: Spec) -> int:
    """How many trials a sweep can have: a grid has an end."""
    return min(spec.search.trials, _grid_points(spec) or spec.search.trials)


def _grid_points(spec: Spec) -> int | None:
    """How many points the grid of `spec` has, as its sampler counts them; None where it draws from no grid."""
    from tuner.search.grid import GridSampler

    search = spec.search
    if search.sampler != "grid":
        return None
    return GridSampler(spec.space(), search.seed, search.trials, search.points).size()


def _warnings(spec: Spec) -> list[str]:
    """The spec's own, and what its trials leave out of a grid: samplers are behind the spec's door."""
    points, trials = _grid_points(spec) or 0, spec.search.trials
    if points <= trials:
        return spec.warnings()
    left = f"search.trials of {trials:,} leaves out {points - trials:,} of the {points:,} points of the grid"
    return [*spec.warnings(), f"{left}: set it to {points} to try all"]


@app.command()
def run(
    spec: SpecPath,
    *,
    sets: Sets = None,
    storage: StorageUri = None,
    sweep_id: Annotated[str | None, typer.Option("--id", help="The sweep's id. [default: name and time]")] = None,
    go_on: Annotated[bool, typer.Option("--go-on", help="If there is a sweep of that id, go on with it.")] = False,
    as_json: Json = False,
) -> None:
    """Run a sweep on this machine (or on the Ray cluster in RAY_ADDRESS), from the spec to a registered model."""
    from tuner.engine import sweep
    from tuner.engine.storage import StorageError
    from tuner.spec import load

    if go_on and not sweep_id:
        raise ValueError("--go-on needs the sweep's id: give it with --id")
    loaded, where, out = load(spec, sets or ()), place(storage), console(as_json)
    warn(loaded, out)
    try:
        made = sweep.create(loaded, where, sweep_id)
    except sweep.SweepExistsError:
        if sweep_id is None or not go_on:
            raise
        made = sweep_id
        _outwait_its_last_driver(made, where, out)
    except StorageError as error:
        fail(str(error), BAD_INPUT)
    out.print(f"sweep {made}", highlight=False)
    drive(made, where, out, as_json)


def _outwait_its_last_driver(sweep_id: str, where: Place, out: Console) -> None:
    """A driver on another machine that died a moment ago is known to be gone once it was silent for long enough."""
    from tuner.engine import status

    first = status.read(where.sweep(sweep_id))
    if not first or first.status not in status.ACTIVE or first.here:
        return
    out.print(f"waiting for news of the driver on {first.host}, which may be gone", highlight=False)
    while (found := status.read(where.sweep(sweep_id))) and found.status in status.ACTIVE and found.time == first.time:
        time.sleep(1.0)


def warn(spec: Spec, out: Console) -> None:
    """Says what is legal in the spec but probably not meant."""
    for warning in _warnings(spec):
        out.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def drive(sweep_id: str, where: Place, out: Console, as_json: bool) -> None:
    """Runs the sweep in this process to its end, and answers with its result."""
    from tuner.engine import execution
    from tuner.engine.history import CannotTrainError
    from tuner.engine.journal import JournalError
    from tuner.engine.pause import StoppedError
    from tuner.review.terminal import Progress

    try:
        others = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()  # Ray prints, too
        with others, Progress(out) as progress:
            result = execution.execute(sweep_id, where, progress)
    except KeyboardInterrupt:
        fail(f"\ninterrupted; nothing is lost: caviar resume {sweep_id}", INTERRUPTED)
    except StoppedError:
        fail(f"stopped; nothing is lost: caviar resume {sweep_id}", INTERRUPTED)
    except JournalError as error:  # another driver has the sweep, or its journal is damaged: resuming is no answer
        fail(str(error), FAILED)
    except (CannotTrainError, OSError) as error:
        fail(f"{error}\nnothing is lost: caviar resume {sweep_id}", FAILED)
    except ValueError as error:  # the input was checked before: this is no fault of the user's
        raise RuntimeError(f"sweep {sweep_id} failed: {error}") from error
    _print_result(result, out)
    if as_json:
        answer(result.figures)
    if result.figures["status"] != "finished":
        fail(f"sweep {sweep_id} found no model: {result.figures['reason']}", FAILED)


def _print_result(result: SweepResult, out: Console) -> None:
    from tuner.review.describe import describe_result

    figures: dict[str, Any] = result.figures
    out.print(describe_result(figures, result.leaderboard, result.unsent), highlight=False)
    command = "caviar" if shutil.which("caviar") else sys.argv[0]
    out.print(f"[bold]review[/bold]   {command} ui", highlight=False)
