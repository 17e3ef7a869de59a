"""The sweeps of a period, as specs: the challenger's search, and the champion's configuration trained again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.retune.policy import Policy, slug
from tuner.retune.states import Period
from tuner.spec import Spec, from_mapping
from tuner.trial import Value

Params = Mapping[str, Value]
_OF_OTHERS = ("points", "rounds", "outside", "expand")  # a sampler at random has none of these


def as_of(spec: Spec, period: Period) -> Spec:
    """`spec` on the rows before the period's beginning."""
    return _with(spec, data={"before": period.at.isoformat()})


def challenger(spec: Spec, period: Period, start: Sequence[Params], focus: Mapping[str, Any] | None) -> Spec:
    """The period's sweep; it begins with the configurations `start`, where there are any."""
    warm = {"start": [dict(params) for params in start], "focus": focus} if start and focus else {}
    return _with(as_of(spec, period), search=warm)


def retrained(spec: Spec, period: Period, params: Params) -> Spec:
    """One trial of the champion's configuration, as far as the spec still allows it, trained to the end."""
    # Where a search may expand, the champion may lie beyond the bounds that the spec names: its axes must stay longer.
    sampler = {} if spec.search.expand else {"sampler": "random", **dict.fromkeys(_OF_OTHERS)}
    return _with(
        as_of(spec, period),
        search={**sampler, "trials": 1, "start": [dict(params)], "from": None, "focus": None},
        objective={"confirm": 0, "baseline": False},
        stopping={"none": {"max_epochs": spec.stopping.last}},
    )


def sweep_id(policy: Policy, period: Period, digest: str, contender: str) -> str:
    """The id of a period's sweep: the same for the same data."""
    day = period.period.replace(":", "")
    return f"{slug(policy.model)[:34]}-{day}-{digest[:6]}" + ("-retrained" if contender == "retrained" else "")


def _with(spec: Spec, *, stopping: Mapping[str, Any] | None = None, **changes: Mapping[str, Any]) -> Spec:
    """`spec` with fields of its sections replaced; `stopping` is replaced as a whole."""
    data = spec.model_dump(mode="json", by_alias=True)
    for name, change in changes.items():
        data[name] = {**data[name], **change}
    return from_mapping({**data, "stopping": stopping or data["stopping"]})
