"""The first steps of a period: fresh data are read, checked, and compared with the champion's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from models.errors import DataError
from tuner.data import drift
from tuner.retune import check, material, specs
from tuner.retune.contenders import measure
from tuner.retune.setting import Setting, Step, champion_of
from tuner.retune.states import Period, State
from tuner.spec.problems import nearest


def read(setting: Setting, period: Period) -> Step:
    """CLAIMED: notes who is champion, and keeps the rows before the period's beginning."""
    version = setting.champions.version(setting.policy.model, "champion")
    champion = version and {
        "version": version.number,
        "params": json.loads(version.tags["caviar.params"]) if "caviar.params" in version.tags else None,
        "period": version.tags.get("caviar.period"),
    }
    try:
        facts = material.gather(specs.as_of(setting.spec, period), setting.place, setting.folder(period.period))
    except DataError as error:
        return Step(State.HELD_DATA, str(error), {"champion": champion})
    rows = ", ".join(f"{part} {number:,}" for part, number in facts["rows"].items())
    return Step(
        State.SNAPSHOTTED, f"snapshot {facts['digest'][:12]}: {rows} rows", {"champion": champion, "facts": facts}
    )


def score(setting: Setting, period: Period) -> Step:
    """SNAPSHOTTED: holds a broken delivery; else scores the drift since the champion was trained."""
    champion, fresh = champion_of(period), material.kept(setting.folder(period.period))
    rule, known, loss = setting.policy.check, None, None
    before = _before(setting, champion)
    if champion:
        try:
            model = setting.champions.load(setting.policy.model, champion["version"])
        except ValueError as error:
            setting.tell(f"the champion cannot be loaded: {error}")  # the gate says so again, and decides nothing
        else:
            missing = before.facts["missing"] if before else {}
            known = check.Known.of(model.encoder, model.classes, missing)
    wrong = [*check.problems(fresh.facts, rule, period.at, known), *_without_slices(setting, fresh)]
    if wrong:
        return Step(State.HELD_DATA, "; ".join(wrong))
    if champion and known:
        losses, hits, _ = measure(model, fresh.holdout, _labels(setting, fresh.holdout))
        loss = {"loss": float(losses.mean()) if np.isfinite(losses).all() else None, "accuracy": float(hits.mean())}
    found = _drift(setting, before, fresh)
    return Step(State.DRIFT_SCORED, found["reason"], {"drift": found, "champion_loss": loss})


def decide(setting: Setting, period: Period) -> Step:
    """DRIFT_SCORED: whether the period is worth a sweep."""
    rule, found = setting.policy.drift, period.data["drift"]
    if rule.tune == "always" or not champion_of(period) or found.get("drifted", True):
        return Step(State.TUNING, found["reason"])
    now, then = (period.data.get("champion_loss") or {}).get("loss"), _promoted_with(setting, period)
    if now is None or then is None or now > then + rule.max_loss_increase:
        text = (
            "cannot be compared" if now is None or then is None else f"is {now:.4f}, and was {then:.4f} when promoted"
        )
        return Step(State.TUNING, f"no drift, but the champion's loss {text}")
    return Step(State.SKIPPED, f"{found['reason']}; the champion's loss is {now:.4f}, and was {then:.4f} when promoted")


def _without_slices(setting: Setting, fresh: material.Material) -> list[str]:
    """Columns by which the gate is to judge and that the data lack: said now, not after the sweep."""
    absent = [name for name in setting.policy.gate.slices or () if name not in fresh.holdout]
    known = [str(name) for name in fresh.holdout]
    return [f"gate.slices names {name!r}, which the data lack{nearest(name, known)}" for name in absent]


def _before(setting: Setting, champion: Mapping[str, Any] | None) -> material.Material | None:
    """The champion's own rows, if they were kept."""
    if not champion or not champion["period"]:
        return None
    try:
        return material.kept(setting.folder(champion["period"]))
    except FileNotFoundError:
        return None


def _drift(setting: Setting, before: material.Material | None, fresh: material.Material) -> dict[str, Any]:
    if before is None:
        return {"reason": "drift is not scored: there is no champion whose data were kept"}
    target, time = setting.spec.data.target or "y", str(setting.spec.data.time)
    rows = _newer(pd.concat([fresh.window, fresh.holdout]), time, before.facts["newest"])
    features = {name: kind for name, kind in fresh.facts["features"].items() if name in before.window}
    reference = pd.concat([before.window, before.holdout])
    found: dict[str, Any] = drift.score(
        reference, rows, features=features, target=target, alpha=setting.policy.drift.alpha
    ).to_json()
    return found


def _newer(rows: pd.DataFrame, time: str, since: str) -> pd.DataFrame:
    """The rows that the champion has not seen: windows overlap, and what both have would hide what is new."""
    border = pd.Timestamp(datetime.fromisoformat(since)).tz_convert(None)
    newer = rows[rows[time] > border]
    return newer if len(newer) else rows


def _promoted_with(setting: Setting, period: Period) -> float | None:
    """The champion's loss on the holdout on which it was promoted."""
    champion = champion_of(period)
    before = setting.periods.get(setting.policy.model, champion["period"]) if champion and champion["period"] else None
    evaluation = before.data.get("evaluation") if before else None
    if not evaluation:
        return None
    contender = evaluation["best"]
    found: float | None = evaluation["losses"][contender]["mean"]
    return found


def _labels(setting: Setting, rows: pd.DataFrame) -> list[str]:
    return rows[setting.spec.data.target or "y"].astype(str).tolist()
