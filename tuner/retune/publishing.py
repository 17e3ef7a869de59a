"""What people are shown of a period once it rests: a run in MLflow, and a notification. Neither can fail it."""

from __future__ import annotations

from tuner.retune.setting import Setting
from tuner.retune.states import Period


def publish(setting: Setting, period: Period) -> Period:
    """Shows and tells what has not been shown and told of the period's state yet; what fails, the next tick tries."""
    if period.data.get("shown") != period.state.value:
        period = _show(setting, period)
    if setting.policy.notify and period.data.get("told") != period.state.value:
        period = _tell(setting, period)
    return period


def _show(setting: Setting, period: Period) -> Period:
    from tuner.engine.tracking.period_run import log_period
    from tuner.retune.review import describe

    earlier = [one for one in setting.periods.all(period.model) if one.at < period.at]
    try:
        run_id = log_period(setting.spec.tracking.uri or setting.place.tracking, describe(period, earlier))
    except OSError as error:
        setting.tell(f"not shown in MLflow yet: {error}")
        return period
    with setting.periods.locked(setting.claim) as writer:
        return writer.amend(period, setting.clock(), run_id=run_id, shown=period.state.value)


def _tell(setting: Setting, period: Period) -> Period:
    from tuner.retune.notify import notify

    for failure in notify(setting.policy.notify or (), period.period, f"{period.state}: {period.reason}"):
        setting.tell(f"not told: {failure}")
    with setting.periods.locked(setting.claim) as writer:
        return writer.amend(period, setting.clock(), told=period.state.value)
