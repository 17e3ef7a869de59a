"""A period from state to state, and what a tick makes of a model's periods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from tuner.retune import evaluation, fresh, promotion, tuning
from tuner.retune.setting import Setting, Step
from tuner.retune.states import ENDS, RESTS, NothingToDoError, Period, State, words


class PeriodError(ValueError):
    """What is asked of a period cannot be done in its state."""


def _begin(setting: Setting, _: Period) -> Step:
    return Step(State.CLAIMED, f"begun by {setting.claim.owner.partition(' of ')[0]}")


STEPS: Mapping[State, Callable[[Setting, Period], Step]] = MappingProxyType(
    {
        State.DUE: _begin,
        State.CLAIMED: fresh.read,
        State.SNAPSHOTTED: fresh.score,
        State.DRIFT_SCORED: fresh.decide,
        State.TUNING: tuning.tune,
        State.CANDIDATE: evaluation.evaluate,
        State.EVALUATED: evaluation.conclude,
        State.BLESSED: evaluation.approve,
    }
)


def tick(setting: Setting, name: str, at: datetime) -> Period:
    """Brings the period `name`, which begins `at`, to its end or to where it waits; older ones are ended first.

    Does nothing to a period that has ended. What was interrupted goes on from its state. NothingToDoError where a
    newer period is there already.
    """
    known = setting.periods.all(setting.policy.model)
    newer = [period.period for period in known if period.at > at]
    if newer:
        raise NothingToDoError(f"period {name} is over: {newer[-1]} has begun already")
    for period in known:
        if period.at < at:
            _overtake(setting, period, name)
    period = setting.periods.ensure(setting.claim, name, at, setting.clock())
    if period.state is State.HELD_DATA:
        period = setting.periods.advance(
            setting.claim, period, State.CLAIMED, "the data are looked at again", setting.clock()
        )
    return drive(setting, period)


def drive(setting: Setting, period: Period) -> Period:
    """Takes step after step until the period rests. An error leaves it in its state, with the trouble noted."""
    while period.state not in RESTS:
        before = period
        try:
            period = _next(setting, period)
        except (OSError, ValueError) as error:
            with setting.periods.locked(setting.claim) as writer:
                writer.amend(period, setting.clock(), trouble=str(error))
            raise
        if period.state not in RESTS:  # where it comes to rest, its caller tells
            same = period.reason == before.reason
            setting.tell(words(period.state) if same else f"{words(period.state)}: {period.reason}")
    return period


def approve(setting: Setting, period: Period, who: str) -> Period:
    """A person promotes what waits for approval. PeriodError where nothing does."""
    _demand_pending(period, "promoted")
    reason = f"approved by {who}"
    return drive(
        setting, setting.periods.advance(setting.claim, period, State.PROMOTING, reason, setting.clock(), approved=who)
    )


def decline(setting: Setting, period: Period, who: str, why: str) -> Period:
    """A person rejects what waits for approval; `why` may be empty. PeriodError where nothing does."""
    _demand_pending(period, "declined")
    reason = f"declined by {who}{': ' if why else ''}{why}"
    return setting.periods.advance(setting.claim, period, State.REJECTED, reason, setting.clock(), declined=who)


def _demand_pending(period: Period, done: str) -> None:
    if period.state is not State.PENDING_APPROVAL:
        raise PeriodError(
            f"period {period.period} is {words(period.state)}: only one that is pending approval can be {done}"
        )


def roll_back(setting: Setting, who: str) -> Period:
    """The last promotion is undone. PeriodError where there is none."""
    promoted = [one for one in setting.periods.all(setting.policy.model) if one.state is State.PROMOTED]
    if not promoted:
        raise PeriodError(f"no period of {setting.policy.model} is promoted: there is nothing to roll back")
    return promotion.roll_back(setting, promoted[-1], who)


def _next(setting: Setting, period: Period) -> Period:
    if period.state is State.PROMOTING:
        return promotion.promote(setting, period)
    step = STEPS[period.state](setting, period)
    return setting.periods.advance(
        setting.claim, period, step.state, step.reason, setting.clock(), **step.data, trouble=None
    )


def _overtake(setting: Setting, period: Period, name: str) -> None:
    """An older period is over, but for a promotion that has begun: aliases are not left halfway."""
    if period.state is State.PROMOTING:
        done = drive(setting, period)
        setting.tell(f"period {done.period}: {words(done.state)}: {done.reason}")
    elif period.state not in ENDS:
        reason = f"period {name} began before this one, which was {words(period.state)}, came to its end"
        setting.periods.advance(setting.claim, period, State.SKIPPED, reason, setting.clock())
