"""What people look at once a period rests: a run's words, figures and files, and a message. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuner.retune import figures
from tuner.retune.findings import columns, gains, losses, part, shifted, verdict, versions
from tuner.retune.markdown import markdown
from tuner.retune.sections import GAINS, between, number, sections
from tuner.retune.states import ENDS, RESTS, Period, State
from tuner.review.page import page
from tuner.review.parts import Section

# From here on the data are those that the period ends with: a parameter in MLflow never changes.
SETTLED = ENDS | {State.CANDIDATE, State.EVALUATED, State.BLESSED, State.PENDING_APPROVAL, State.PROMOTING}


@dataclass(frozen=True, slots=True)
class Description:
    """A period's run in MLflow, as plain values, and the `message` that is sent about it, in plain text.

    `status` is in MLflow's words; `begun` and `updated` are seconds since 1970; empty tags are none; `files` are
    texts by name.
    """

    model: str
    period: str
    status: str
    begun: float
    updated: float
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    markdown: str
    files: Mapping[str, str]
    message: str


def describe(period: Period, earlier: Sequence[Period] = ()) -> Description:
    """All of it, the same for the same arguments. `earlier` are the model's periods before this one, oldest first."""
    title, parts = f"{period.model}, period {period.period}", sections(period)
    kept = {"drift.json": part(period, "drift"), "judgement.json": part(period, "evaluation")}
    files = {name: json.dumps(found, indent=1) for name, found in kept.items() if found}
    return Description(
        model=period.model,
        period=period.period,
        status=_status(period),
        begun=period.at.timestamp(),
        updated=period.updated.timestamp(),
        metrics=_metrics(period),
        params=_params(period),
        tags=_tags(period),
        markdown=markdown(title, parts),
        files={**files, "review.html": page(title, _drawn(parts, period, earlier))},
        message=_message(period),
    )


def _drawn(parts: Sequence[Section], period: Period, earlier: Sequence[Period]) -> list[Section]:
    """The sections with the pictures that belong to them."""
    pictures = {"Losses": figures.contenders(period), "Drift": figures.drift(period)}
    made = [replace(part, pictures=pictures.get(part.title, ())) for part in parts]
    over = figures.over_periods([*earlier, period])
    return made + ([Section("The periods before", pictures=over)] if over else [])


def _status(period: Period) -> str:
    if period.state in ENDS:
        return "FINISHED"
    return "SCHEDULED" if period.state in RESTS else "RUNNING"


def _metrics(period: Period) -> dict[str, float]:
    """Losses and gains with both ends, accuracies, and drift; only what is a finite number."""
    drift, found = part(period, "drift"), dict[str, Any]()
    for kind, measured in (("loss", losses(period)), ("gain", gains(period))):
        for name, one in measured.items():
            found |= {f"{kind}_{name}": one["mean"]}
            found |= {f"{kind}_{name}_{end}": one.get(end) for end in ("low", "high")}
            found |= {f"accuracy_{name}": one.get("accuracy")} if kind == "loss" else {}
    found |= {"drift_auc": drift.get("auc"), "holdout_rows": part(period, "evaluation").get("rows")}
    if columns(period):
        found["columns_shifted"] = len(shifted(period))
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def _params(period: Period) -> dict[str, str]:
    """What stays as it is, whatever becomes of the period: its data only when they cannot be read anew any more."""
    fixed = {"period": period.period, "begins": period.at.isoformat()}
    if period.state not in SETTLED:
        return fixed
    facts, tuned = part(period, "facts"), part(period, "tuning")
    ranges = facts.get("ranges") or {}
    ends = {"window": (ranges.get("train"), ranges.get("validation")), "holdout": (ranges.get("holdout"),) * 2}
    settled: dict[str, Any] = {
        **{name: f"{first[0]} to {last[1]}" for name, (first, last) in ends.items() if first and last},
        "snapshot": str(facts.get("digest") or "")[:12],
        "sweep": tuned.get("sweep"),
        "sweep_run": tuned.get("run_id"),
        "retrained_sweep": part(period, "retrained").get("sweep"),
        **{f"{name}_version": number for name, number in versions(period).items()},
    }
    return fixed | {name: str(value) for name, value in settled.items() if value}


def _tags(period: Period) -> dict[str, str]:
    return {
        "caviar.model": period.model,
        "caviar.period": period.period,
        "caviar.state": period.state.value,
        "caviar.verdict": verdict(period),
        "caviar.reason": period.reason,
        "caviar.best": str(part(period, "evaluation").get("best") or ""),
        "caviar.trouble": str(period.data.get("trouble") or ""),
    }


def _message(period: Period) -> str:
    """The period in a few lines."""
    lines = list(sections(period)[0].sentences)
    for name, one in losses(period).items():
        ends = between(one)
        lines.append(f"{name}: loss {number(one['mean']) or 'not finite'}" + (f" ({ends})" if ends else ""))
    lines += [f"{GAINS[name]} gave {one['mean']:+.4f} nats" for name, one in gains(period).items()]
    if columns(period):
        lines.append(f"{len(shifted(period))} of {len(columns(period))} columns have shifted")
    return "\n".join(lines) or f"{period.model} {period.period}: {period.state.value}"
