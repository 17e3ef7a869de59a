"""What people are shown of a period once it rests: a run in MLflow, and a notification. Neither can fail it."""

from __future__ import annotations

from tuner.engine.tracking.period_run import log_period
from tuner.retune.notify import notify
from tuner.retune.review import describe
from tuner.retune.setting import Setting
from tuner.retune.states import Period


def publish(setting: Setting, period: Period) -> Period:
    """Shows and tells what has not been shown and told of the period's state yet.

    What MLflow does not take now, the next tick sends; a message is sent once, whatever becomes of it.
    """
    state = period.state.value
    shown, told = (period.data.get(what) == state for what in ("shown", "told"))
    if shown and (told or not setting.policy.notify):
        return period
    described = describe(period, [one for one in setting.periods.all(period.model) if one.at < period.at])
    if not shown:
        try:
            run_id = log_period(setting.spec.tracking.uri or setting.place.tracking, described)
        except OSError as error:
            setting.tell(f"not shown in MLflow yet: {error}")
        else:
            period = _noted(setting, period, run_id=run_id, shown=state)
    if setting.policy.notify and not told:
        for failure in notify(setting.policy.notify, period, described.message):
            setting.tell(f"not told: {failure}")
        period = _noted(setting, period, told=state)
    return period


def _noted(setting: Setting, period: Period, **data: str) -> Period:
    with setting.periods.locked(setting.claim) as writer:
        return writer.amend(period, setting.clock(), **data)
