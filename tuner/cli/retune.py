"""The commands of re-tuning: a policy's periods, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import BAD_INPUT, FAILED, REFUSED, Json, answer, app, console, fail
from tuner.cli.period import due, opened, published, say, seen, settled, tell, user
from tuner.retune.states import words

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.retune.states import Period

retune = typer.Typer(help="Tune a model again on fresh data, period after period.", no_args_is_help=True)
app.add_typer(retune, name="retune")

PolicyPath = Annotated[Path, typer.Argument(help="The policy, a YAML file.", metavar="POLICY")]
Now = Annotated[
    str | None, typer.Option("--now", help="As if it were this time: a date (all of that day), or a date with a time.")
]
Because = Annotated[str, typer.Option("--because", help="Why, for the trail.", metavar="TEXT", show_default=False)]
REPLAY = "; the periods of a model go forward only, so a replay of the past needs an empty CAVIAR_HOME"
NONE_YET = "{model} has no period yet: caviar retune run {policy}"
PROMOTED_OR_OPEN = ("promoted", "skipped", "pending_approval")


@retune.command()
def run(policy: PolicyPath, now: Now = None, as_json: Json = False) -> None:
    """Do the latest period, and say what became of it. Exit 4 where the champion stays."""
    from tuner.retune.states import NothingToDoError

    out = console(as_json)
    try:
        found = _tick(policy, now, out, as_json)
    except NothingToDoError as error:
        fail(f"{error}{REPLAY if now else ''}", BAD_INPUT)
    if found is None:
        fail(f"the schedule of {policy} has not come round yet: give a later --now", BAD_INPUT)
    tell(found, out, as_json)
    if found.state.value not in PROMOTED_OR_OPEN:
        raise typer.Exit(REFUSED)


@retune.command()
def tick(policy: PolicyPath, now: Now = None, as_json: Json = False) -> None:
    """Do what is due, if anything is; call it as often as you like. Exit 0 whatever the verdict is."""
    from tuner.retune.states import NothingToDoError

    out = console(as_json)
    try:
        found = _tick(policy, now, out, as_json)
    except NothingToDoError as error:
        say(out, f"nothing to do: {error}")
        found = None
    if found:
        tell(found, out, as_json)
    elif as_json:
        answer({"period": None})


@retune.command()
def promote(policy: PolicyPath, as_json: Json = False) -> None:
    """Approve the newest period, which waits for it. Its model becomes the champion."""
    _needs_periods(policy)
    from tuner.retune import machine

    out = console(as_json)
    with opened(policy, out, as_json) as setting:
        newest = setting.periods.all(setting.policy.model)[-1]
        found = published(setting, machine.approve(setting, newest, user()))
    tell(found, out, as_json)
    if found.state.value != "promoted":
        raise typer.Exit(REFUSED)


@retune.command()
def decline(policy: PolicyPath, because: Because = "", as_json: Json = False) -> None:
    """Reject the newest period, which waits for approval. The champion stays."""
    _needs_periods(policy)
    from tuner.retune import machine

    out = console(as_json)
    with opened(policy, out, as_json) as setting:
        newest = setting.periods.all(setting.policy.model)[-1]
        found = published(setting, machine.decline(setting, newest, user(), because))
    tell(found, out, as_json)


@retune.command()
def rollback(policy: PolicyPath, as_json: Json = False) -> None:
    """Make the champion before the last promotion the champion again."""
    _needs_periods(policy)
    from tuner.retune import machine

    out = console(as_json)
    with opened(policy, out, as_json) as setting:
        found = published(setting, machine.roll_back(setting, user()))
    tell(found, out, as_json)


@retune.command()
def status(policy: PolicyPath, as_json: Json = False) -> None:
    """Show the newest period, and when the next one begins."""
    from cluster import schedule
    from tuner.retune import history

    loaded, found = seen(policy)
    following = schedule.following(loaded.schedule.cron, loaded.schedule.timezone, datetime.now(UTC))
    newest = history.rows(found[-1:])
    if as_json:
        answer({"model": loaded.model, "period": newest[0] if newest else None, "next": following.at.isoformat()})
        return
    out = console()
    if found:
        say(out, f"period   {found[-1].period}: {words(found[-1].state)}: {found[-1].reason}")
    else:
        say(out, f"period   none of {loaded.model} yet")
    if found and found[-1].data.get("trouble"):
        say(out, f"trouble  {found[-1].data['trouble']}")
    say(out, f"next     {following.period} ({following.at.isoformat()})")


@retune.command(name="history")
def show_history(policy: PolicyPath, as_json: Json = False) -> None:
    """Show all periods of the model: verdicts, losses, and why."""
    from tuner.retune import history

    loaded, found = seen(policy)
    if as_json:
        answer({"periods": history.rows(found)})
    elif found:
        console().print(history.table(found))
    else:
        say(console(), NONE_YET.format(model=loaded.model, policy=policy))


def _needs_periods(path: Path) -> None:
    """Fails where the model has none."""
    loaded, found = seen(path)
    if not found:
        fail(NONE_YET.format(model=loaded.model, policy=path), BAD_INPUT)


def _tick(path: Path, now: str | None, out: Console, as_json: bool) -> Period | None:
    """The period that is due, brought as far as it goes; None before the schedule's first time."""
    found = due(path, now)
    if found is None:
        return None
    if done := settled(path, found.period):
        return done
    from tuner.retune import machine
    from tuner.retune.states import NothingToDoError

    with opened(path, out, as_json) as setting:
        try:
            return published(setting, machine.tick(setting, found.period, found.at))
        except NothingToDoError:
            raise
        except (OSError, ValueError) as error:
            fail(f"period {found.period}: {error}\nnothing is lost: the next tick goes on", FAILED)
