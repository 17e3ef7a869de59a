"""A period in words and tables, to be written as Markdown or as a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner.retune.findings import columns, gains, losses, part, verdict, versions
from tuner.retune.judgement import Figures
from tuner.retune.states import Period, State
from tuner.review.parts import Section

GAINS = {
    "fresh_data": "fresh data (the champion's configuration, trained again)",
    "tuning": "tuning (the challenger against that)",
    "total": "both together (the challenger against the champion)",
}


def sections(period: Period) -> list[Section]:
    """All that there is to say, the verdict first; what was not measured is left out."""
    first, *rest = (make(period) for make in (_decided, _losses, _gains, _slices, _drift, _run))
    return [first, *(section for section in rest if section.sentences or section.rows or section.link)]


def _decided(period: Period) -> Section:
    said = part(period, "evaluation").get("reason")
    why = [sentence(period.reason)] if period.reason else []
    if said and said not in period.reason:
        why.append(f"The gate: {sentence(said)}")
    if trouble := period.data.get("trouble"):
        why.append(f"Trouble: {sentence(trouble)}")
    moved = part(period, "promotion")
    if moved:
        again = f", version {moved['from']} again after the roll back" if period.state is State.ROLLED_BACK else ""
        before = f"Champion: version {moved['from'] or 'none'} before"
        why.append(f"{before}, version {moved['to']} after the promotion{again}.")
    state = period.state.replace("_", " ")
    judged = verdict(period).replace("_", " ")
    return Section(state if judged == state else f"{state} (verdict: {judged})", why)


def _losses(period: Period) -> Section:
    known, judged = versions(period), part(period, "evaluation")
    rows = [
        (
            f"{name} (version {known[name]})" if name in known else name,
            number(figures["mean"]) or "not finite",
            between(figures),
            "" if figures.get("accuracy") is None else f"{figures['accuracy']:.1%}",
        )
        for name, figures in losses(period).items()
    ]
    basis = [f"Cross-entropy in nats on {judged['rows']:,} rows of the holdout: less is better."] if judged else []
    missing = part(period, "retrained").get("reason")
    told = [f"There is no retrained champion: {sentence(missing)}"] if missing and rows else []
    return Section("Losses", [*basis, *told] if rows else [], ("", "loss", "interval", "accuracy"), rows)


def _gains(period: Period) -> Section:
    found = gains(period)
    rows = [
        (GAINS[name], number(found[name]["mean"], "+"), between(found[name], "+")) for name in GAINS if name in found
    ]
    return Section("What gave what", (), ("", "gain in nats", "interval"), rows)


def _slices(period: Period) -> Section:
    every: Sequence[Mapping[str, Any]] = part(period, "evaluation").get("slices") or ()
    judged = [one for one in every if not one["why"]]
    rows = [
        (
            one["contender"],
            f"{one['column']} = {one['label']}",
            f"{one['rows']:,}",
            number(one["regression"], "+"),
            "" if one["low"] is None else number(one["low"], "+"),
            "worse" if one["regressed"] else "",
        )
        for one in judged
    ]
    small = len(every) - len(judged)
    told = ["Loss less the champion's, the worst first."]
    told += [f"{small} more had too few rows, or rows in too few blocks, to be judged."] if small else []
    head = ("contender", "slice", "rows", "loss more by", "surely by", "")
    return Section("Slices", told if every else (), head, rows)


def _drift(period: Period) -> Section:
    drift = part(period, "drift")
    told = [sentence(drift["reason"])] if drift.get("reason") else []
    if untested := drift.get("untested"):
        told.append(f"Not tested, for times always move on: {', '.join(untested)}.")
    rows = [
        (
            f"{one['name']} (label)" if one["role"] == "label" else one["name"],
            one["kind"],
            one["test"],
            "" if one["effect"] is None else f"{one['effect']:.3f}",
            "" if one["q"] is None else f"{one['q']:.2g}",
            "shifted" if one["shifted"] else "",
        )
        for one in columns(period)
    ]
    return Section("Drift", told, ("column", "kind", "test", "effect", "q", ""), rows)


def _run(period: Period) -> Section:
    facts, tuned = part(period, "facts"), part(period, "tuning")
    told = list(_data(facts)) if facts else []
    if not tuned.get("sweep"):
        return Section("Data and sweep", told)
    figures = tuned.get("figures") or {}
    if figures.get("spent"):
        told.append(f"Sweep {tuned['sweep']}: {figures['spent']}.")
    link = (f"the sweep {tuned['sweep']}", tuned["run_id"]) if tuned.get("run_id") else None
    return Section("Data and sweep", told, link=link)


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, rows in facts["rows"].items():
        oldest = (facts.get("ranges") or {}).get(name)
        yield f"{name}: {rows:,} rows" + (f", {oldest[0]} to {oldest[1]}." if oldest else ".")
    yield f"Snapshot {facts['digest'][:12]}."


def sentence(text: str) -> str:
    """`text` with a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def number(value: float | None, sign: str = "") -> str:
    """Four decimals; nothing for what is not known."""
    return "" if value is None else f"{value:{sign}.4f}"


def between(figures: Figures, sign: str = "") -> str:
    """Both ends of an interval; an end that is open is said to be."""
    if figures.get("low") is None and figures.get("high") is None:
        return ""
    low, high = (number(figures.get(end), sign) or "open" for end in ("low", "high"))
    return f"{low} to {high}"
