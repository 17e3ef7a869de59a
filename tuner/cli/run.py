"""The command that starts work, run, and what it shares with those that go on with it."""

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
from tuner.cli.check import warn
from tuner.cli.waiting import waiting

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.engine.conclusion import SweepResult
    from tuner.engine.place import Place


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
        with waiting(out, "reading the data"):
            made = sweep.create(loaded, where, sweep_id)
    except sweep.SweepExistsError:
        if sweep_id is None or not go_on:
            raise
        made = sweep_id
        _outwait_its_last_driver(made, where, out)
    except StorageError as error:
        fail(str(error), BAD_INPUT)
    for line in (f"sweep {made}", *sweep.taken_over(where.sweep(made))):
        out.print(line, markup=False, highlight=False)
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


def drive(sweep_id: str, where: Place, out: Console, as_json: bool) -> None:
    """Runs the sweep in this process to its end, and answers with its result."""
    from tuner.engine import execution
    from tuner.engine.history import CannotTrainError
    from tuner.engine.journal import JournalError
    from tuner.engine.pause import StoppedError
    from tuner.review.live import Progress
    from tuner.review.report import report

    try:
        others = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()  # Ray prints, too
        hint = "Ctrl-C interrupts it, and nothing is lost: caviar resume goes on"
        with others, Progress(out, hint=hint) as progress:
            result = execution.execute(sweep_id, where, progress, report)
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
    from rich.text import Text

    from tuner.review.describe import describe_result

    figures: dict[str, Any] = result.figures
    out.print(describe_result(figures, result.leaderboard, result.unsent), highlight=False)
    command = "caviar" if shutil.which("caviar") else sys.argv[0]
    out.print(f"[bold]review[/bold]   {command} ui", highlight=False)
    told = figures["report_path"] or f"none: {result.unreported}"
    out.print(Text.assemble(("report", "bold"), f"   {told}"), soft_wrap=True)
