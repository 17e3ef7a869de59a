"""Commands to a panda that is being trained, or will be: set, rewind, stop, fan-out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import Json, StorageUri, answer, console, place
from tuner.cli.panda_looking import Name, find_panda, panda

if TYPE_CHECKING:
    from tuner.engine.journal import Entry
    from tuner.engine.panda.chronicle import Chronicle
    from tuner.engine.panda.requests import Request
    from tuner.engine.storage import Storage

OBEYED_SECONDS = 60.0  # how long a command waits to see that it took effect
Settings = Annotated[
    list[str], typer.Argument(help="Such as learning_rate=0.003 momentum=0.95, or epochs=50.", metavar="NAME=VALUE...")
]


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


@panda.command(name="fan-out")
def fan_out(
    name: Name,
    *,
    epoch: Annotated[int | None, typer.Option(help="Where they begin. [default: the last epoch]", min=0)] = None,
    trials: Annotated[int, typer.Option(help="How many; the first goes on as it is.", min=2, max=1024)] = 32,
    epochs: Annotated[int, typer.Option(help="How long each is trained.", min=1)] = 5,
    vary: Annotated[
        str | None, typer.Option(help="Which hyperparameters, with commas. [default: learning rate, momentum, decay]")
    ] = None,
    width: Annotated[float, typer.Option(help="How far around the present values: a factor.")] = 4.0,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Try continuations of a panda around its present settings, side by side, and go on with the best."""
    from tuner.engine import archive
    from tuner.engine.assignment import Assignment
    from tuner.engine.panda import fan_out as fan
    from tuner.engine.panda.making import storage_of
    from tuner.engine.panda.outlook import outlook

    where, out = place(storage), console(as_json)
    name = find_panda(name, where)
    found = outlook(storage_of(where, name)).chronicle
    begin = found.epoch if epoch is None else epoch
    tried = fan.drawn(found, begin, [one.strip() for one in vary.split(",")] if vary else [], trials, width)
    archive.fetch(found.created["snapshot"]["digest"], where.storage, where.snapshots)
    out.print(f"{len(tried)} continuations of {name} from epoch {begin} to {begin + epochs}", highlight=False)
    given = Assignment(storage_of(where, name), where.snapshots)
    made = fan.continued(given, found, begin, begin + epochs, tried)
    out.print(fan.table(found, made), highlight=False)
    request = fan.adoption(found, made, begin, begin + epochs)
    if request is None:
        out.print("none is better than to go on as it is: nothing changes", highlight=False)
        if as_json:
            answer({"panda": name, "adopted": None, "continuations": [one.to_json() for one in made]})
        return
    _ask(name, request, storage, as_json)


def _ask(name: str, request: Request, storage: str | None, as_json: bool) -> None:
    """Asks the panda, if it can be done as things are, and waits until it is, if somebody trains it."""
    from tuner.engine.journal import Journal
    from tuner.engine.panda import execution, requests
    from tuner.engine.panda.making import storage_of
    from tuner.engine.panda.outlook import outlook
    from tuner.engine.panda.requests import Verb

    where, out = place(storage), console(as_json)
    name = find_panda(name, where)
    found: Storage = storage_of(where, name)
    stopping, trained = request.verb is Verb.STOP, execution.is_trained(found)
    if stopping and not trained:
        raise ValueError(f"panda {name} is not being trained: there is nothing to stop")
    before = outlook(found).chronicle
    if not stopping:
        before.entry_for(request)
    last = max((number for number, _ in Journal(found).entries()), default=0)
    asked = requests.ask(found, request)
    entry = execution.answer(found, asked, last, OBEYED_SECONDS) if trained and not stopping else None
    if entry and "refused" in entry:
        raise ValueError(entry["refused"])
    out.print(f"{request}: {_became(name, found, entry)}{_undone(before, request)}", highlight=False)
    if as_json:
        answer({"panda": name, "asked": str(request), "obeyed": bool(entry), "entry": json.loads(json.dumps(entry))})


def _became(name: str, found: Storage, entry: Entry | None) -> str:
    """What became of a request: `entry` is what the journal says of it, None while nobody has obeyed it."""
    from tuner.engine.panda.execution import is_trained
    from tuner.engine.panda.outlook import outlook

    if entry is None and is_trained(found):
        return "asked; it takes effect at the end of this epoch"
    expected = outlook(found)
    if entry is None:
        return f"takes effect with caviar panda resume {name}{expected.longer}"
    return f"in effect after epoch {entry.get('epoch', expected.chronicle.epoch)}"


def _undone(before: Chronicle, request: Request) -> str:
    """What a rewind also brings back: settings that were changed since, but for those that it sets itself."""
    from tuner.engine.panda.requests import Verb

    if request.verb is not Verb.REWIND or request.epoch is None:
        return ""
    now = before.schedule.shown(before.epoch)
    then = before.schedule.cut(request.epoch).shown(request.epoch)
    back = [f"{name}={value}" for name, value in then.items() if name not in request.values and value != now[name]]
    return f"; {', '.join(back)} again" if back else ""
