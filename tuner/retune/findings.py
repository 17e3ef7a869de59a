"""What a period has found, as far as it came: read from what its steps have left. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.retune.judgement import CONTENDERS, Figures
from tuner.retune.states import Period, State


def part(period: Period, name: str) -> Mapping[str, Any]:
    """What the step has left under `name`; empty where it has left nothing."""
    found = period.data.get(name)
    return found if isinstance(found, Mapping) else {}


def verdict(period: Period) -> str:
    """The gate's verdict; the state of a period that did not come to the gate."""
    return str(part(period, "evaluation").get("verdict") or period.state.value)


def losses(period: Period) -> dict[str, Figures]:
    """{mean, low, high, accuracy} by contender, in nats; without a gate, what is known of the champion."""
    judged = part(period, "evaluation").get("losses") or {}
    if judged:
        return {name: judged[name] for name in CONTENDERS if judged.get(name)}
    known = part(period, "champion_loss")
    if known.get("loss") is None:
        return {}
    return {"champion": {"mean": known["loss"], "low": None, "high": None, "accuracy": known.get("accuracy")}}


def gains(period: Period) -> dict[str, Figures]:
    """{mean, low, high} of fresh_data, tuning and total, in nats, as far as they could be measured; more is better."""
    found = part(period, "evaluation").get("gains") or {}
    return {name: gain for name, gain in found.items() if gain and gain.get("mean") is not None}


def columns(period: Period) -> Sequence[Mapping[str, Any]]:
    """The columns whose drift was tested, most shifted first."""
    return part(period, "drift").get("columns") or ()


def shifted(period: Period) -> list[str]:
    """Names of the columns that have shifted."""
    return [column["name"] for column in columns(period) if column["shifted"]]


def promoted(period: Period) -> bool:
    """Whether a model was promoted in it, also where that was taken back; not where the model did not answer."""
    return period.state is State.PROMOTED or bool(part(period, "promotion"))


def versions(period: Period) -> dict[str, str]:
    """The registered version of each contender that has one."""
    named = {"champion": part(period, "champion"), "challenger": part(period, "candidate")}
    return {name: str(found["version"]) for name, found in named.items() if found.get("version")}
