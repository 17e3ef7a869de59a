"""Commands to a running sweep: watch, stop, pause, extend."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import Json, StorageUri, SweepName, answer, app, console, place
from tuner.cli.awaiting import awaited
from tuner.cli.handle import Handle, Remote, Stored, handle, standing
from tuner.cli.logs import Address
from tuner.cli.run import drive
from tuner.cli.sending import go_on_there

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.engine.control import Command
    from tuner.engine.status import Status

OBEYED_SECONDS = 60.0  # how long a command waits to see that it was obeyed
LOOK_SECONDS = 1.0
ENDED = ("finished", "failed")


@app.command()
def watch(
    name: SweepName,
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Lines for a log, also on a terminal.")] = False,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Show a running sweep until it ends: live on a terminal, else in lines. Ctrl-C ends the watching only."""
    from tuner.engine.status import ACTIVE
    from tuner.review.live import Progress
    from tuner.review.terminal import panel

    out = console(as_json)
    found = awaited(name, place(storage), out)
    try:
        with Progress(out, plain=plain, hint=_hint(found.sweep)) as progress:
            while (status := found.status()).status in ACTIVE:
                progress(status)
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        out.print(f"the sweep goes on: caviar watch {found.sweep}", highlight=False)
    else:
        out.print(panel(status))
        out.print(f"status   {standing(status)}", highlight=False)
    if as_json:
        answer(asdict(status))


def _hint(sweep: str) -> str:
    """What can be done with a sweep that is watched; its id is shown above."""
    return f"Ctrl-C ends the watching only · caviar pause, stop, extend or best {sweep[:20]}"


@app.command()
def stop(name: SweepName, storage: StorageUri = None, as_json: Json = False) -> None:
    """Stop a sweep: its packs end at their next evaluation, all is saved; `resume` goes on."""
    from tuner.engine.control import Command, Verb

    out = console(as_json)
    found = awaited(name, place(storage), out)
    status = _obeyed(found, Command(Verb.STOP), ("stopped", *ENDED), out)
    _tell(found, status, out, as_json)


@app.command()
def pause(name: SweepName, storage: StorageUri = None, as_json: Json = False) -> None:
    """Pause a sweep: it gives its workers back and waits for `resume`, from here or from the MLflow UI."""
    from tuner.engine.control import Command, Verb

    out = console(as_json)
    found = awaited(name, place(storage), out)
    status = _obeyed(found, Command(Verb.PAUSE), ("paused", *ENDED), out)
    _tell(found, status, out, as_json)


@app.command()
def resume(name: SweepName, *, address: Address = None, storage: StorageUri = None, as_json: Json = False) -> None:
    """Go on with a paused, stopped or interrupted sweep, here or as a cluster's job: no trial is lost, none doubled."""
    from tuner.engine.control import Command, Verb
    from tuner.engine.status import ACTIVE, read

    where, out = place(storage), console(as_json)
    found = handle(name, where)
    before = read(found.storage) if isinstance(found, Stored) else found.status()
    there = bool(address) or isinstance(found, Remote)
    if before and (before.status == "paused" or (there and before.status in (*ACTIVE, "finished"))):
        status = _obeyed(found, Command(Verb.RESUME), ("preparing", "running", "finished", "failed"), out)
        _tell(found, status, out, as_json)
    elif there:
        spec = before.name if before else found.sweep
        words = ("resume", found.sweep)
        go_on_there(found.sweep, spec, words, address=address, storage=storage, out=out, as_json=as_json)
    else:
        drive(found.sweep, where, out, as_json)


@app.command()
def extend(
    name: SweepName,
    *,
    trials: Annotated[str | None, typer.Option(help="More trials (+64), or a new total.", metavar="+N|N")] = None,
    max_epochs: Annotated[int | None, typer.Option(help="The new length of the longest training.", min=1)] = None,
    address: Address = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Give a sweep more to do: its trials count, and finished ones may be trained further. Goes on if it had ended."""
    from tuner.engine.status import ACTIVE
    from tuner.engine.sweep import extend as extend_stored

    where, out = place(storage), console(as_json)
    found = handle(name, where)
    status = found.status()
    command = _extension(trials, max_epochs, status)
    if status.status in ACTIVE:
        _tell(found, _obeyed(found, command, (), out), out, as_json)
    elif address or isinstance(found, Remote):
        limits = {"--trials": command.trials, "--max-epochs": command.max_epochs}
        given = [word for option, new in limits.items() if new is not None for word in (option, str(new))]
        words = ("extend", found.sweep, *given)
        go_on_there(found.sweep, status.name, words, address=address, storage=storage, out=out, as_json=as_json)
    else:
        extend_stored(found.storage, command.trials, command.max_epochs)
        drive(found.sweep, where, out, as_json)


def _extension(trials: str | None, max_epochs: int | None, status: Status) -> Command:
    """The command to extend a sweep that stands at `status`. ValueError where it would get no more to do."""
    from tuner.engine.control import Command, Verb

    if trials is None and max_epochs is None:
        raise ValueError("extend needs --trials, --max-epochs, or both")
    total, longest = _total(trials, status.trials), status.rungs[-1][0] if status.rungs else 0
    if max_epochs is not None and max_epochs < longest:
        raise ValueError(f"--max-epochs can only grow: trials are trained for up to {longest} epochs, not {max_epochs}")
    if (total or status.trials, max_epochs or longest) == (status.trials, longest):
        raise ValueError(f"the sweep has {status.trials} trials of up to {longest} epochs already: give more of either")
    return Command(Verb.EXTEND, total, max_epochs)


def _total(text: str | None, now: int) -> int | None:
    """What `+64` or `128` means for a sweep of `now` trials."""
    if text is None:
        return None
    if not re.fullmatch(r"\+?[0-9]{1,9}", text):
        raise ValueError(f"--trials must be +N (so many more) or N (the new total), not {text!r}")
    total = now + int(text) if text.startswith("+") else int(text)
    if total < now:
        raise ValueError(f"--trials can only grow: the sweep has {now} trials, not {total}")
    return total


def _obeyed(found: Handle, command: Command, wanted: tuple[str, ...], out: Console) -> Status:
    """Tells the driver, and waits until the sweep's status is one of those `wanted` (none: until it has answered)."""
    from tuner.engine.status import ACTIVE

    status = found.status()
    if status.status in wanted:
        return status
    silent = isinstance(found, Remote) and status.status == "interrupted"  # or MLflow is behind, or a clock is wrong
    if status.status not in ACTIVE and not silent:
        raise ValueError(f"sweep {found.sweep} is {status.status}, not running: `caviar resume {found.sweep}` goes on")
    found.tell(command)
    out.print(f"{found.sweep}: {command}; waiting for it to be obeyed", highlight=False)
    deadline = time.monotonic() + OBEYED_SECONDS
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        status = found.status()
        if status.status in wanted or (not wanted and found.answer() and status.trials >= (command.trials or 0)):
            return status
        said = found.answer()
        if said and not said.endswith("accepted"):
            raise ValueError(f"sweep {found.sweep} does not obey: {said}")
        if status.status not in (*ACTIVE, "interrupted"):
            out.print(f"the sweep ended before it was told: give `{command.verb}` again", style="yellow")
            return status
    out.print("not obeyed yet: an epoch may be long; the command stays until it is, or until the next", style="yellow")
    return status


def _tell(found: Handle, status: Status, out: Console, as_json: bool) -> None:
    out.print(f"{found.sweep} is {standing(status)}", highlight=False)
    if as_json:
        answer({"sweep": found.sweep, "status": status.status, "trials": status.trials})
