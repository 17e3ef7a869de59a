"""A panda: one model that is changed by hand while it trains."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.app import (
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

    from tuner.engine.panda.chronicle import Chronicle
    from tuner.engine.panda.requests import Request
    from tuner.engine.storage import Storage
    from tuner.engine.sweep import Place
    from tuner.trial import Row

OBEYED_SECONDS = 60.0  # how long a command waits to see that it took effect
panda = typer.Typer(no_args_is_help=True, help="Train one model and change it by hand while it trains.")
app.add_typer(panda, name="panda")

Name = Annotated[str, typer.Argument(help="A panda's id, its beginning, or its MLflow run id.", metavar="PANDA")]
Settings = Annotated[
    list[str], typer.Argument(help="Such as learning_rate=0.003 momentum=0.95, or epochs=50.", metavar="NAME=VALUE...")
]
Goal = Annotated[int | None, typer.Option("--epochs", help="The epoch to train to.", min=1)]
Id = Annotated[str | None, typer.Option("--id", help="The panda's id. [default: name and time]")]


@panda.command()
def start(
    spec: SpecPath,
    *,
    sets: Sets = None,
    panda_id: Id = None,
    epochs: Goal = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Train one model here with all it is given. Every hyperparameter of the spec must be fixed."""
    from tuner.engine.panda import making
    from tuner.spec import load

    where, out = place(storage), console(as_json)
    made = making.start(load(spec, sets or ()), where, panda_id, epochs)
    _train(made, where, out, as_json)


@panda.command()
def resume(name: Name, *, epochs: Goal = None, storage: StorageUri = None, as_json: Json = False) -> None:
    """Go on with a panda that was stopped, killed or rewound, or train a finished one for longer."""
    from tuner.engine.panda import requests
    from tuner.engine.panda.making import storage_of
    from tuner.engine.panda.requests import Request, Verb

    where, out = place(storage), console(as_json)
    found = _find(name, where)
    if epochs:
        request = Request(Verb.SET, {"epochs": epochs})
        _chronicle(found, where).entry_for(request)
        requests.ask(storage_of(where, found), request)
    _train(found, where, out, as_json)


@panda.command(name="set")
def set_(name: Name, settings: Settings, storage: StorageUri = None, as_json: Json = False) -> None:
    """Change hyperparameters from the next epoch on. A learning rate that is set decays from there on."""
    from tuner.engine.panda.requests import Request, Verb
    from tuner.engine.panda.settings import assignments

    _ask(name, Request(Verb.SET, assignments(settings)), storage, as_json)


@panda.command()
def rewind(
    name: Name,
    epoch: Annotated[int, typer.Option("--epoch", help="The epoch to go back to; 0 is the start.", min=0)],
    settings: Annotated[
        list[str] | None, typer.Argument(help="What to change there.", metavar="[NAME=VALUE...]")
    ] = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Go back to the weights, optimizer and hyperparameters after an earlier epoch, and on from there."""
    from tuner.engine.panda.requests import Request, Verb
    from tuner.engine.panda.settings import assignments

    _ask(name, Request(Verb.REWIND, assignments(settings or ()), epoch), storage, as_json)


@panda.command()
def stop(name: Name, storage: StorageUri = None, as_json: Json = False) -> None:
    """Stop training after this epoch; `resume` goes on."""
    from tuner.engine.panda.requests import Request, Verb

    _ask(name, Request(Verb.STOP), storage, as_json)


@panda.command()
def show(name: Name, storage: StorageUri = None, as_json: Json = False) -> None:
    """Show where a panda stands, and what was changed when."""
    from tuner.engine import status
    from tuner.engine.panda import account
    from tuner.engine.panda.making import storage_of

    where, out = place(storage), console(as_json)
    name = _find(name, where)
    found, seen = _chronicle(name, where), status.read(storage_of(where, name))
    standing = seen.status if seen else found.status
    out.print(account.summary(name, found.schedule, found.best(), found.epoch, found.trained), highlight=False)
    out.print(f"{standing}; to train to epoch {found.goal}", highlight=False)
    if as_json:
        facts: dict[str, Any] = {"panda": name, "status": standing, "epoch": found.epoch, "trained": found.trained}
        answer({**facts, "goal": found.goal, "schedule": found.schedule.to_json()})


@panda.command(name="list")
def list_(storage: StorageUri = None, as_json: Json = False) -> None:
    """List the pandas there are."""
    from tuner.engine import status
    from tuner.engine.panda.making import FOLDER, storage_of

    where, out = place(storage), console(as_json)
    rows = []
    for name in where.storage.names(FOLDER):
        seen = status.read(storage_of(where, name))
        if seen:
            rows.append({"panda": name, "status": seen.status, "epoch": seen.epochs, "goal": seen.epochs_expected})
            out.print(f"{name}  {seen.status}  epoch {seen.epochs} of {seen.epochs_expected}", highlight=False)
    if as_json:
        answer({"pandas": rows})


@panda.command()
def reproduce(name: Name, storage: StorageUri = None, as_json: Json = False) -> None:
    """Replay a panda's schedule from its first weights, and compare the curve with the one it had."""
    where, out = place(storage), console(as_json)
    replayed(_find(name, where), where, out, as_json)


@panda.command()
def adopt(
    sweep: Annotated[str, typer.Argument(help="A sweep's id or its beginning.", metavar="SWEEP")],
    trial: Annotated[str, typer.Argument(help="The trial, such as t0012.", metavar="TRIAL")],
    *,
    panda_id: Id = None,
    epochs: Goal = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Go on with a sweep's trial as a panda: its weights and optimizer, its data and order. Twice its epochs."""
    from tuner.cli.find import find_sweep
    from tuner.engine.panda import making

    where, out = place(storage), console(as_json)
    made = making.adopt(find_sweep(sweep, where), trial, where, panda_id, epochs)
    _train(made, where, out, as_json)


def replayed(name: str, where: Place, out: Console, as_json: bool) -> None:
    """Replays the panda and answers with the comparison; exits if its curve was not reproduced."""
    from tuner.engine import archive
    from tuner.engine.assignment import Assignment
    from tuner.engine.panda import line
    from tuner.engine.panda.making import storage_of

    found = _chronicle(name, where)
    archive.fetch(found.created["snapshot"]["digest"], where.storage, where.snapshots)
    out.print(f"replaying {found.epoch} epochs and {len(found.schedule.changes)} changes of {name}", highlight=False)
    result = line.reproduce(Assignment(storage_of(where, name), where.snapshots), found)
    words = "equal to the last bit" if result.bitwise else f"largest relative difference {result.difference:.2e}"
    out.print(f"{name}: {result.epochs} epochs compared, {words}", highlight=False)
    if as_json:
        answer(result.to_json())
    if not result.ok:
        fail(f"the curve of {name} was not reproduced", FAILED)


def _train(name: str, where: Place, out: Console, as_json: bool) -> None:
    """Trains the panda in this process to its end, and answers with what it found."""
    from tuner.engine.panda.execution import execute

    out.print(f"panda {name}: change it with caviar panda set {name} learning_rate=…", highlight=False)
    others = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    try:
        with others:
            outcome = execute(where, name, lambda found, row: _line(found, row, out))
    except KeyboardInterrupt:
        fail(f"\ninterrupted; nothing is lost: caviar panda resume {name}", INTERRUPTED)
    except OSError as error:
        fail(f"{error}\nnothing is lost: caviar panda resume {name}", FAILED)
    if outcome.result:
        out.print(outcome.result["summary_markdown"], highlight=False)
    out.print(f"{outcome.ended} at epoch {outcome.epoch}" + _unsent(outcome.published.error), highlight=False)
    if as_json:
        shown = {"panda": name, "status": outcome.ended, "epoch": outcome.epoch, **(outcome.result or {})}
        answer({**shown, "run_id": outcome.published.parent_run_id, "model_uri": outcome.published.model_uri})
    if outcome.ended == "stopped":
        fail(f"stopped; nothing is lost: caviar panda resume {name}", INTERRUPTED)
    if outcome.ended == "diverged":
        back = f"caviar panda rewind {name} --epoch {max(outcome.epoch - 2, 0)} learning_rate=…"
        fail(f"its loss is not finite: {back}, then caviar panda resume {name}", FAILED)


def _line(found: Chronicle, row: Row, out: Console) -> None:
    figures = f"train {row.train_loss:.4f}  val {row.val_loss:.4f}  accuracy {row.val_accuracy:.4f}"
    out.print(f"epoch {row.epoch}/{found.goal}  {figures}  learning rate {row.learning_rate:.3g}", highlight=False)


def _unsent(error: str | None) -> str:
    return f"; MLflow has not got everything yet: {error}" if error else ""


def _ask(name: str, request: Request, storage: str | None, as_json: bool) -> None:
    """Asks the panda, if it can be done as things are, and waits until it is, if somebody trains it."""
    from tuner.engine import status
    from tuner.engine.journal import Journal
    from tuner.engine.panda import requests
    from tuner.engine.panda.execution import answer as answered
    from tuner.engine.panda.making import storage_of
    from tuner.engine.panda.requests import Verb

    where, out = place(storage), console(as_json)
    name = _find(name, where)
    found: Storage = storage_of(where, name)
    seen, stopping = status.read(found), request.verb is Verb.STOP
    running = bool(seen and seen.status in status.ACTIVE)
    if stopping and not running:
        raise ValueError(f"panda {name} is not being trained: there is nothing to stop")
    if not stopping:
        _chronicle(name, where).entry_for(request)
    last = max((number for number, _ in Journal(found).entries()), default=0)
    asked = requests.ask(found, request)
    if not running:
        out.print(f"{request}: takes effect with caviar panda resume {name}", highlight=False)
    entry = answered(found, asked, last, OBEYED_SECONDS) if running and not stopping else None
    if entry and "refused" in entry:
        raise ValueError(entry["refused"])
    if entry:
        out.print(f"{request}: in effect after epoch {entry.get('epoch', _chronicle(name, where).epoch)}")
    elif running:
        out.print(f"{request}: asked; it takes effect at the end of this epoch", highlight=False)
    if as_json:
        answer({"panda": name, "asked": str(request), "obeyed": bool(entry), "entry": json.loads(json.dumps(entry))})


def _chronicle(name: str, where: Place) -> Chronicle:
    from tuner.engine.panda.execution import load

    return load(where, name)


def _find(text: str, where: Place) -> str:
    """The panda of this id, or the only one whose id begins so, or that of an MLflow run. ValueError if there is none."""
    from tuner.engine.panda.making import FOLDER, storage_of
    from tuner.engine.publisher import published

    names = where.storage.names(FOLDER)
    same = [name for name in names if text == name] or [name for name in names if text and name.startswith(text)]
    same = same or [name for name in names if text and published(storage_of(where, name)).parent_run_id == text]
    if len(same) == 1:
        return same[0]
    if Path(text).is_file():
        raise ValueError(f"{text} is a spec: `caviar panda start {text}` begins one, `caviar panda list` shows all")
    if same:
        raise ValueError(f"panda {text!r} could be any of {len(same)}, such as {same[-1]}: write more of its id")
    raise ValueError(f"no panda {text!r} in {where.storage.uri}: `caviar panda list` shows those there are")
