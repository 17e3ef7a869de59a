"""Which panda is meant, where it stands, and which there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.app import Json, StorageUri, answer, app, console, place

if TYPE_CHECKING:
    from tuner.engine.panda.chronicle import Chronicle
    from tuner.engine.place import Place

panda = typer.Typer(no_args_is_help=True, help="Train one model and change it by hand while it trains.")
app.add_typer(panda, name="panda")

Name = Annotated[str, typer.Argument(help="A panda's id, its beginning, or its MLflow run id.", metavar="PANDA")]


@panda.command()
def show(name: Name, storage: StorageUri = None, as_json: Json = False) -> None:
    """Show where a panda stands, and what was changed when."""
    from tuner.engine import status
    from tuner.engine.panda import account
    from tuner.engine.panda.making import storage_of
    from tuner.engine.panda.outlook import outlook

    where, out = place(storage), console(as_json)
    name = find_panda(name, where)
    waiting = outlook(storage_of(where, name)).waiting
    found, seen = chronicle_of(name, where), status.read(storage_of(where, name))
    standing = seen.status if seen else found.status
    out.print(account.summary(name, found.schedule, found.best(), found.epoch, found.trained), highlight=False)
    out.print(f"{standing}; to train to epoch {found.goal}", highlight=False)
    for request, refused in waiting:
        out.print(f"asked: {request}" + (f", which will be refused: {refused}" if refused else ""), highlight=False)
    if as_json:
        facts: dict[str, Any] = {"panda": name, "status": standing, "epoch": found.epoch, "trained": found.trained}
        facts |= {"goal": found.goal, "schedule": found.schedule.to_json()}
        answer({**facts, "asked": [str(request) for request, _ in waiting]})


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


def chronicle_of(name: str, where: Place) -> Chronicle:
    """What the journal of the panda says."""
    from tuner.engine.panda.execution import load

    return load(where, name)


def find_panda(text: str, where: Place) -> str:
    """The panda of this id, the only one whose id begins so, or that of an MLflow run. ValueError if there is none."""
    from tuner.engine.panda.making import FOLDER

    if exact := named(text, where):
        return exact
    same = [name for name in where.storage.names(FOLDER) if text and name.startswith(text)]
    if len(same) == 1:
        return same[0]
    if Path(text).is_file():
        raise ValueError(f"{text} is a spec: `caviar panda start {text}` begins one, `caviar panda list` shows all")
    if same:
        raise ValueError(f"panda {text!r} could be any of {len(same)}, such as {same[-1]}: write more of its id")
    raise ValueError(f"no panda {text!r} in {where.storage.uri}: `caviar panda list` shows those there are")


def named(text: str, where: Place) -> str | None:
    """The panda that has exactly this id, or is shown by exactly this MLflow run; None if there is none."""
    from tuner.engine.panda.making import FOLDER, storage_of
    from tuner.engine.publisher import published

    names = where.storage.names(FOLDER)
    shown = (name for name in names if text and published(storage_of(where, name)).parent_run_id == text)
    return text if text in names else next(shown, None)
