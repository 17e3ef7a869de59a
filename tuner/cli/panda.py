"""Commands that train a panda, one model that is changed by hand meanwhile: start, resume, adopt, reproduce."""

from __future__ import annotations

import contextlib
import sys
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
    console,
    fail,
    place,
)
from tuner.cli.panda_looking import Name, chronicle_of, find_panda, panda

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.engine.panda.chronicle import Chronicle
    from tuner.engine.panda.execution import Outcome
    from tuner.engine.place import Place
    from tuner.trial import Row

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
    where, out = place(storage), console(as_json)
    _train(find_panda(name, where), where, out, as_json, epochs)


@panda.command()
def reproduce(name: Name, storage: StorageUri = None, as_json: Json = False) -> None:
    """Replay a panda's schedule from its first weights, and compare the curve with the one it had."""
    where, out = place(storage), console(as_json)
    replayed(find_panda(name, where), where, out, as_json)


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
    from models.columns import counted
    from tuner.engine import archive
    from tuner.engine.assignment import Assignment
    from tuner.engine.panda import line
    from tuner.engine.panda.making import storage_of

    found = chronicle_of(name, where)
    archive.fetch(found.created["snapshot"]["digest"], where.storage, where.snapshots)
    out.print(
        f"replaying {found.epoch} epochs and {counted(len(found.schedule.changes), 'change')} of {name}",
        highlight=False,
    )
    result = line.reproduce(Assignment(storage_of(where, name), where.snapshots), found)
    words = "equal to the last bit" if result.bitwise else f"largest relative difference {result.difference:.2e}"
    out.print(f"{name}: {result.epochs} epochs compared, {words}", highlight=False)
    if as_json:
        answer(result.to_json())
    if not result.ok:
        fail(f"the curve of {name} was not reproduced", FAILED)


def _train(name: str, where: Place, out: Console, as_json: bool, epochs: int | None = None) -> None:
    """Trains the panda in this process to its end, and answers with what it found."""
    from tuner.engine.journal import JournalError
    from tuner.engine.panda.execution import execute

    def say(text: str) -> None:
        out.print(text, highlight=False)

    say(f"panda {name}: look at it with caviar ui {name}, change it with caviar panda set {name} learning_rate=…")
    others = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    try:
        with others:
            outcome = execute(where, name, lambda found, row: _line(found, row, out), epochs=epochs, tell=say)
    except KeyboardInterrupt:
        fail(f"\ninterrupted; nothing is lost: caviar panda resume {name}", INTERRUPTED)
    except JournalError:  # another process trains it
        raise
    except OSError as error:
        fail(f"{error}\nnothing is lost: caviar panda resume {name}", FAILED)
    _tell(name, outcome, out)
    if as_json:
        shown: dict[str, Any] = {
            "panda": name,
            "status": outcome.ended,
            "epoch": outcome.epoch,
            **(outcome.result or {}),
        }
        answer({**shown, "run_id": outcome.published.parent_run_id, "model_uri": outcome.published.model_uri})
    if outcome.ended == "stopped":
        fail(f"stopped; nothing is lost: caviar panda resume {name}", INTERRUPTED)
    if outcome.ended == "diverged":
        back = f"caviar panda rewind {name} --epoch {max(outcome.epoch - 2, 0)} learning_rate=…"
        fail(f"its loss is not finite: {back}, then caviar panda resume {name}", FAILED)


def _tell(name: str, outcome: Outcome, out: Console) -> None:
    """How it ended, with what, and what there is left to do."""
    if result := outcome.result:
        out.print(result["summary_markdown"], highlight=False)
        holdout = result["holdout"]["winner"]
        out.print(f"holdout  loss {holdout['loss']:.4f}, accuracy {holdout['accuracy']:.4f}", highlight=False)
    if uri := outcome.published.model_uri:
        out.print(f"model    {uri}", highlight=False)
    out.print(f"{outcome.ended} at epoch {outcome.epoch}" + _unsent(outcome.published.error), highlight=False)
    if outcome.unused:
        longer = f"caviar panda resume {name} --epochs …"
        out.print(f"what was set after its last epoch takes effect with {longer}", highlight=False)


def _line(found: Chronicle, row: Row, out: Console) -> None:
    figures = f"train {row.train_loss:.4f}  val {row.val_loss:.4f}  accuracy {row.val_accuracy:.4f}"
    out.print(f"epoch {row.epoch}/{found.goal}  {figures}  learning rate {row.learning_rate:.3g}", highlight=False)


def _unsent(error: str | None) -> str:
    return f"; MLflow has not got everything yet: {error}" if error else ""
