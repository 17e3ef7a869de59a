"""What the commands of re-tuning share: a policy, opened with all that is around it, and how its periods are told."""

from __future__ import annotations

import contextlib
import getpass
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tuner.cli.app import answer, place
from tuner.cli.database import DATABASE, is_named, periods_opened
from tuner.retune.states import words

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.schedule import Occurrence
    from tuner.engine.place import Place
    from tuner.retune.policy import Policy
    from tuner.retune.setting import Runner, Setting
    from tuner.retune.states import Period
    from tuner.spec import Spec


@contextlib.contextmanager
def opened(path: Path, out: Console, as_json: bool) -> Iterator[Setting]:
    """The policy at `path`, whose model this process drives for the time of the block."""
    from tuner.engine.tracking.champions import Champions
    from tuner.retune.lease import driving
    from tuner.retune.loading import load_policy
    from tuner.retune.setting import Setting

    policy, spec = load_policy(path)
    where, clock = place(policy.run.storage), partial(datetime.now, UTC)
    with contextlib.ExitStack() as stack:
        if as_json:
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # Ray prints, too
        periods = stack.enter_context(periods_opened())
        run = stack.enter_context(_runner(policy, where, out))
        claim = stack.enter_context(driving(periods, policy.model, clock))
        champions = Champions(spec.tracking.uri or where.tracking)
        yield Setting(policy, spec, where, periods, champions, run, clock, claim, partial(say, out))


def known(path: Path) -> tuple[Policy, list[Period]]:
    """The policy and its periods so far; nothing is claimed."""
    from tuner.retune.loading import load_policy

    policy, _ = load_policy(path)
    with periods_opened() as periods:
        return policy, periods.all(policy.model)


def seen(path: Path) -> tuple[Policy, list[Period]]:
    """The policy and its periods, for who looks. ValueError where none are here, but may well be in another database.

    A policy whose sweeps run on a cluster is mostly ticked there; who looks from elsewhere must not be told to begin a
    history of his own beside that one.
    """
    policy, found = known(path)
    if not found and policy.run.address and not is_named():
        raise ValueError(
            f"no period of {policy.model} is known here, but its sweeps run at {policy.run.address}, and {DATABASE} is "
            "not set: set it to the database of whoever ticks this policy, or type this where that happens"
        )
    return policy, found


def settled(path: Path, name: str) -> Period | None:
    """The period, if nothing is left to be done about it: cheap to ask, for a tick comes each hour."""
    from tuner.retune.states import ENDS, State

    policy, periods = known(path)
    found = next((period for period in periods if period.period == name), None)
    if found is None or found.state not in ENDS | {State.PENDING_APPROVAL}:
        return None
    done = (found.data.get("shown"), found.data.get("told") if policy.notify else found.state)
    return found if done == (found.state, found.state) else None


def due(path: Path, now: str | None) -> Occurrence | None:
    """The newest period of the policy's schedule; None before its first time."""
    from cluster import schedule
    from tuner.retune.loading import load_policy

    policy, _ = load_policy(path)
    cron, zone = policy.schedule.cron, policy.schedule.timezone
    return schedule.latest(cron, zone, _moment(now, zone) if now is not None else datetime.now(UTC))


def published(setting: Setting, period: Period) -> Period:
    """Shows the period in MLflow and tells people of it, once for each state in which it rests."""
    from tuner.retune import publishing

    return publishing.publish(setting, period)


def tell(period: Period, out: Console, as_json: bool) -> None:
    """The period's state and why, and its losses."""
    from tuner.retune import history

    say(out, f"period {period.period}: {words(period.state)}: {period.reason}")
    if as_json:
        answer(history.rows([period])[0])
    elif period.data.get("evaluation"):
        out.print(history.figures([period]))


def say(out: Console, text: str) -> None:
    """One line, however long it is: what is in it are names and reasons, no markup."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def user() -> str:
    """Who decides, for the trail."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _moment(text: str, zone: str) -> datetime:
    """The time that `text` names in `zone`; of a date alone, its last moment: what is due on that day is due."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        form = "an ISO date or time, such as 2013-04-01 or 2013-04-01T06:00"
        raise ValueError(f"--now must be {form}, not {text!r}") from None
    if len(text) <= len("2013-04-01"):
        found = datetime.combine(found.date(), time.max)
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


@contextlib.contextmanager
def _runner(policy: Policy, where: Place, out: Console) -> Iterator[Runner]:
    """Here, or on the policy's cluster."""
    from tuner.retune.running import Here
    from tuner.review.live import Progress

    if policy.run.address:
        yield partial(_there, policy, where)
    else:
        with Here(where, partial(Progress, out)) as here:
            yield here


def _there(policy: Policy, where: Place, spec: Spec, sweep: str) -> None:
    """Submits the sweep, or attaches to it, and waits for its end. Its result is read from the shared storage."""
    from tuner.cli.submit import send

    jobs, submission = send(spec, sweep, str(policy.run.address), policy.run.storage, ship=True)
    job = jobs.follow(sweep, partial(print, end="", flush=True, file=sys.stderr), submission.printed)
    if not where.sweep(sweep).exists("result.json"):
        raise OSError(f"sweep {sweep} has not finished at {jobs.address} ({job.state}): its log says why")
