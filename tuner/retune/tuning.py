"""The period's sweeps: the challenger is searched for, and the champion's configuration trained again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.errors import DataError
from tuner.engine import publisher
from tuner.engine.journal import Journal
from tuner.engine.pause import StoppedError
from tuner.retune import specs
from tuner.retune.setting import Setting, Step, champion_of
from tuner.retune.states import Period, State
from tuner.search.focus import Focus, grown
from tuner.spec import Spec


class DataChangedError(ValueError):
    """The source gave other rows than a moment ago."""


def tune(setting: Setting, period: Period) -> Step:
    """TUNING: runs both sweeps, or goes on with them."""
    start, focus = _warm(setting, period)
    try:
        found = _swept(setting, period, specs.challenger(setting.spec, period, start, focus), "challenger")
        again = _retrained(setting, period)
    except (DataError, DataChangedError) as error:
        return Step(State.HELD_DATA, str(error))
    except StoppedError as error:
        return Step(State.REJECTED, f"somebody stopped the sweep: {error}")
    if found["reason"]:
        return Step(State.REJECTED, f"the sweep found no model: {found['reason']}", {"tuning": found})
    tuned = {**found, "start": start, "widths": focus and focus["widths"]}
    number = setting.champions.add(
        setting.policy.model,
        found["model_uri"],
        found["run_id"],
        {"caviar.period": period.period, "caviar.sweep": found["sweep"], "caviar.params": json.dumps(found["params"])},
        f"Challenger of the period {period.period}.",
    )
    setting.champions.point(setting.policy.model, "challenger", number)
    text = f"version {number} of {setting.policy.model}, from sweep {found['sweep']}"
    return Step(State.CANDIDATE, text, {"tuning": tuned, "retrained": again, "candidate": {"version": number}})


def _retrained(setting: Setting, period: Period) -> Mapping[str, Any]:
    champion = champion_of(period)
    if not champion:
        return {"reason": "there is no champion"}
    if not champion["params"]:
        return {"reason": f"version {champion['version']} does not say with which hyperparameters it was trained"}
    return _swept(setting, period, specs.retrained(setting.spec, period, champion["params"]), "retrained")


def _swept(setting: Setting, period: Period, spec: Spec, contender: str) -> dict[str, Any]:
    """Runs the sweep; what it found. OSError where MLflow has not got its model yet."""
    sweep = specs.sweep_id(setting.policy, period, period.data["facts"]["digest"], contender)
    folder = setting.place.sweep(sweep)
    if not (folder.exists("result.json") and publisher.published(folder).model_uri):
        setting.run(spec, sweep)
    made, wanted = Journal(folder).read(1)["snapshot"]["digest"], period.data["facts"]["digest"]
    if made != wanted:
        raise DataChangedError(f"the source changed after it was read: it gave {made[:12]}, and {wanted[:12]} before")
    figures, there = json.loads(folder.read("result.json")), publisher.published(folder)
    if figures["reason"] is None and not there.model_uri:
        raise OSError(f"MLflow has not got the model of sweep {sweep} yet: {there.error or 'it does not answer'}")
    params = figures["best"]["params"] if figures["best"] else None
    facts = {"sweep": sweep, "run_id": there.parent_run_id, "model_uri": there.model_uri}
    return {**facts, "params": params, "reason": figures["reason"], "figures": figures}


def _warm(setting: Setting, period: Period) -> tuple[list[specs.Params], dict[str, Any] | None]:
    """The champion's configuration and past winners', best first, and the boxes around them."""
    rule, champion = setting.policy.warm_start, champion_of(period)
    if rule is None:
        return [], None
    past = [one for one in setting.periods.all(setting.policy.model) if one.at < period.at and "tuning" in one.data]
    known = [champion["params"]] if champion and champion["params"] else []
    known += [one.data["tuning"]["params"] for one in reversed(past[-rule.past :] if rule.past else [])]
    start = [params for place, params in enumerate(known) if params and params not in known[:place]]
    return start, {"share": rule.share, "width": rule.width, "widths": _widths(setting, past)}


def _widths(setting: Setting, past: list[Period]) -> dict[str, float]:
    """Wider where the last winner lay on the edge of its box."""
    last = past[-1].data["tuning"] if past else None
    rule = setting.policy.warm_start
    if not rule or not last or not last.get("start") or not last["params"]:
        return {}
    box = Focus(rule.share, rule.width, last["widths"] or {})
    return grown(setting.spec.space(), box, Focus(rule.share, rule.width), last["start"][0], last["params"])
