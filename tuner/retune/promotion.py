"""The champion changes: intent first, then the aliases, read back and asked once; all under the model's lock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tuner.retune import material
from tuner.retune.evaluation import moved_by_hand
from tuner.retune.setting import Setting, champion_of
from tuner.retune.states import Period, State

ASKED_ROWS = 16


def promote(setting: Setting, period: Period) -> Period:
    """PROMOTING: `previous` and then `champion` are moved. Done again after a kill, it does the same.

    The alias `champion` always points to a version that answers; where the new one does not, it points back.
    """
    model, champions = setting.policy.model, setting.champions
    version, champion = _version(setting, period), champion_of(period)
    before = champion["version"] if champion else None
    wrong = asked(setting, period, version)  # fetches it before the lock is held
    with setting.periods.locked(setting.claim) as writer:
        moved = moved_by_hand(setting, period, version)
        if moved:
            return writer.advance(period, State.INCONCLUSIVE, moved, setting.clock())
        if wrong is None:
            if before:
                champions.point(model, "previous", before)
            champions.point(model, "champion", version)
            found = champions.version(model, "champion")
            wrong = asked(setting, period, found.number) if found else "the alias was not there when it was read back"
        if wrong:
            _point_back(setting, before, version)
            text = f"version {version} does not answer ({wrong}): the champion is what it was"
            return writer.advance(period, State.ROLLED_BACK, text, setting.clock())
        done = {"from": before, "to": version}
        text = f"version {version} is champion instead of {before or 'none'}: {period.reason}"
        champions.tag(model, version, _trail(setting, "promoted", text))
        return writer.advance(period, State.PROMOTED, text, setting.clock(), promotion=done)


def roll_back(setting: Setting, period: Period, who: str) -> Period:
    """PROMOTED: the champion before it is champion again. ValueError where there is none, or it has been moved."""
    model, done = setting.policy.model, period.data["promotion"]
    with setting.periods.locked(setting.claim) as writer:
        found = setting.champions.version(model, "champion")
        if done["from"] is None:
            raise ValueError(f"{model} had no champion before version {done['to']}: register another one first")
        if not found or found.number not in (done["to"], done["from"]):
            now = f"version {found.number}" if found else "no version"
            raise ValueError(f"{now} of {model} is champion, not version {done['to']}: somebody moved the alias")
        wrong = asked(setting, period, done["from"])
        if wrong:
            raise ValueError(f"version {done['from']} of {model} does not answer ({wrong}): the champion stays")
        _point_back(setting, done["from"], done["to"])
        text = f"{who} rolled back from version {done['to']} to version {done['from']}"
        setting.champions.tag(model, done["to"], _trail(setting, "rolled_back", text))
        return writer.advance(period, State.ROLLED_BACK, text, setting.clock())


def asked(setting: Setting, period: Period, version: str) -> str | None:
    """Why the version cannot be used; None where it answers for a few rows of the holdout."""
    rows = material.kept(setting.folder(period.period)).holdout.head(ASKED_ROWS)
    try:
        model = setting.champions.load(setting.policy.model, version)
        answers = model.predict_proba(rows)
    except ValueError as error:
        return str(error)
    return None if abs(answers.sum(axis=1) - 1).max() < 1e-6 else "its probabilities do not sum to one"


def _version(setting: Setting, period: Period) -> str:
    """The version that is to be champion: the challenger's, or the retrained one's, which is registered only now."""
    if period.data["evaluation"]["best"] == "challenger":
        return str(period.data["candidate"]["version"])
    found: Mapping[str, Any] = period.data["retrained"]
    tags = {
        "caviar.period": period.period,
        "caviar.sweep": found["sweep"],
        "caviar.params": json.dumps(found["params"]),
    }
    about = f"The champion's configuration, trained again in the period {period.period}."
    return setting.champions.add(setting.policy.model, found["model_uri"], found["run_id"], tags, about)


def _point_back(setting: Setting, before: str | None, version: str) -> None:
    """Undoes a promotion from `before` to `version`, whatever of it was done; `previous` is what it was, too."""
    model, champions = setting.policy.model, setting.champions
    found = champions.version(model, "champion")
    if before is None:
        if found and found.number == version:
            champions.drop(model, "champion")
        return
    champions.point(model, "champion", before)
    earlier = _before(setting, before)
    if earlier:
        champions.point(model, "previous", earlier)
    else:
        champions.drop(model, "previous")


def _before(setting: Setting, version: str) -> str | None:
    """The version that `version` once replaced."""
    for period in reversed(setting.periods.all(setting.policy.model)):
        done = period.data.get("promotion")
        if done and done["to"] == version:
            found: str | None = done["from"]
            return found
    return None


def _trail(setting: Setting, what: str, text: str) -> dict[str, str]:
    return {f"caviar.{what}": setting.clock().isoformat(), f"caviar.{what}.reason": text[:4000]}
