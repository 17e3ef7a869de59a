"""The year of a model: one HTML file about all its periods. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tuner.retune.figures import LOOKS, PROMOTED, over_periods
from tuner.retune.findings import columns, gains, losses, part, shifted, verdict
from tuner.retune.history import shortened
from tuner.retune.sections import number
from tuner.retune.states import Period, State, words
from tuner.retune.trends import drifted, gain_of, gained
from tuner.review.measure import counted, listed
from tuner.review.page import page
from tuner.review.parts import Section


def year(model: str, periods: Sequence[Period]) -> str:
    """The file's text. `periods` are all that the model has, the oldest first; there must be one."""
    made = (_losses(periods), _verdicts(periods), gained(periods), drifted(periods), _promotions(periods))
    return page(f"{model}, period by period", [section for section in made if section], _lead(periods), _facts(periods))


def _lead(periods: Sequence[Period]) -> list[str]:
    known = Counter(words(one.state) for one in periods)
    states = listed([f"{count} {state}" for state, count in known.most_common()])
    told = [f"{counted(len(periods), 'period')}, {periods[0].period} to {periods[-1].period}: {states}."]
    newest = periods[-1]
    return [*told, f"The newest, {newest.period}, is {words(newest.state)}: {_why(newest)}"]


def _facts(periods: Sequence[Period]) -> list[tuple[str, str]]:
    measured = [one for one in periods if losses(one)]
    facts = [("periods", str(len(periods))), ("promotions", str(sum(one.state in PROMOTED for one in periods)))]
    if version := _champion(periods):
        facts.append(("champion", f"version {version}"))
    if measured:
        last = losses(measured[-1])
        name = next(name for name in reversed(list(LOOKS)) if name in last)
        facts.append((f"{name}'s loss, {measured[-1].period}", number(last[name]["mean"]) or "not finite"))
    moved = sum(bool(shifted(one)) for one in periods)
    tested = sum(bool(columns(one)) for one in periods)
    return [*facts, ("periods with drift", f"{moved} of {tested}")] if tested else facts


def _champion(periods: Sequence[Period]) -> str:
    """The champion's version after the newest period that says so, unless that one was rolled back since."""
    promotions = [(one.state, part(one, "promotion")) for one in periods]
    undone = {str(moved["to"]): moved["from"] for state, moved in promotions if moved and state is State.ROLLED_BACK}
    for one in reversed(periods):
        known = part(one, "promotion").get("to") or part(one, "champion").get("version")
        while str(known) in undone:
            known = undone[str(known)]
        if known:
            return str(known)
    return ""


def _losses(periods: Sequence[Period]) -> Section | None:
    pictures = over_periods(periods)
    lead = "Each period has its own holdout, its newest rows: compare the models within a period, not across them."
    return Section("Losses", [lead], pictures=pictures) if pictures else None


def _verdicts(periods: Sequence[Period]) -> Section:
    rows = [
        (one.period, words(one.state), verdict(one).replace("_", " "), shortened(_why(one), 400))
        for one in reversed(periods)
    ]
    return Section("Verdicts", ["The newest first."], ("period", "state", "verdict", "why"), rows)


def _why(period: Period) -> str:
    trouble = period.data.get("trouble")
    return f"Trouble: {trouble}" if trouble else period.reason


def _promotions(periods: Sequence[Period]) -> Section:
    done = [one for one in periods if part(one, "promotion")]
    rows = [
        (
            one.period,
            words(one.state),
            str(part(one, "promotion")["from"] or "none"),
            str(part(one, "promotion")["to"]),
            gain_of(gains(one).get("total")),
        )
        for one in done
    ]
    told = [] if rows else ["No model was promoted."]
    return Section("Promotions", told, ("period", "state", "version before", "version after", "gain in nats"), rows)
