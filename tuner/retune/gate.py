"""The gate: which of three models, measured on one holdout, is to be champion. Pure, numpy only.

The rule. A candidate passes if it can predict every class that the champion can, if the low end of the two-sided
interval of its gain (the champion's loss - its loss, paired by row, blocks of rows resampled together) is at least
`min_delta`, and if no slice has regressed (tuner.retune.slices). There are two candidates: the challenger, and the
champion's configuration retrained on fresh data. Each is judged against the champion alone. One end of a two-sided
interval fails with half of 1 - confidence, so that a period in which neither is better promotes one with chance
1 - confidence at most, even at a min_delta of 0 (Bonferroni). Of those that pass, the one with the smaller mean loss is
promoted; if they are equal, the retrained one, which changes less. The gain of the one chosen is a little flattered,
its bound is not, for both bounds hold at once. A challenger that does not pass does not stand in the way of a
retrained champion that does.

A true gain of 2 min_delta passes with chance 80% if the gain's standard error is min_delta / 2.8: for independent rows
whose differences have the standard deviation s, that takes (2.8 s / min_delta)**2 rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.retune import slices
from tuner.retune.bootstrap import Interval
from tuner.retune.comparison import TITLES, Comparison
from tuner.retune.first import judge_first
from tuner.retune.judgement import CONTENDERS, Contenders, Figures, Finding, Judgement, Rule, Slice, Verdict

__all__ = ["Contenders", "Finding", "Judgement", "Rule", "Slice", "Verdict", "judge"]

CANDIDATES = ("retrained", "challenger")
GAINS = {
    "fresh_data": ("champion", "retrained"),
    "tuning": ("retrained", "challenger"),
    "total": ("champion", "challenger"),
}
NAMED = 5  # regressed slices in a reason


def judge(contenders: Contenders, rule: Rule, *, seed: int) -> Judgement:
    """The verdict on one period with its reason, the same for the same arguments.

    Rows of classes that the champion cannot predict are left out and told: its loss there is no number. Without a
    champion, the challenger alone is judged, by tuner.retune.first, which tells what raises ValueError.
    """
    case = Comparison.of(contenders, rule, seed)
    losses = {name: case.measured(case.loss(name)) for name in CONTENDERS}
    tables = {name: _slices(case, name) for name in CANDIDATES}
    if case.loss("champion") is None:
        findings = {"challenger": judge_first(case)}
    else:
        findings = {name: _finding(case, name, tables[name]) for name in CANDIDATES if case.loss(name) is not None}
    best = _best(findings, losses)
    return Judgement(
        verdict=findings["challenger" if best == "champion" else best].verdict,
        best=best,
        reason=_reason(case, findings, best, losses),
        rows=len(case.contenders.y),
        blocks=case.bootstrap.blocks,
        left_out=case.left_out,
        losses={
            name: {**_figures(losses[name]), "accuracy": _mean(case.accuracy(name))}
            for name in CONTENDERS
            if case.loss(name) is not None
        },
        gains={name: _figures(case.measured(case.difference(*pair))) for name, pair in GAINS.items()},
        findings=findings,
        slices=tables["challenger"] + tables["retrained"],
    )


def _slices(case: Comparison, name: str) -> tuple[Slice, ...]:
    regression = case.difference(name, "champion")
    return () if regression is None or not len(regression) else slices.compare(case, name, regression)


def _finding(case: Comparison, name: str, table: tuple[Slice, ...]) -> Finding:
    """The rule, for one candidate against the champion."""
    gain = case.measured(case.difference("champion", name))
    if obstacle := case.obstacle(name):
        return obstacle
    if gain is None:
        raise ValueError("contenders without an obstacle have finite losses")
    if gain.mean <= 0:
        than = "exactly as good as the champion, which stays" if gain.mean == 0 else f"{-gain.mean:.4f} nats worse"
        return Finding(Verdict.REJECTED, f"{TITLES[name]} is {than} on {_basis(case)}.")
    better = f"{TITLES[name]} is {gain.mean:.4f} nats better than the champion on {_basis(case)}"
    if regressed := [one for one in table if one.regressed]:
        named = ", ".join(f"{one.column} {one.label} by {one.regression:.4f}" for one in regressed[:NAMED])
        more = f" and {len(regressed) - NAMED} more" if len(regressed) > NAMED else ""
        return Finding(Verdict.REJECTED, f"{better}, but worse in slices: {named}{more}.")
    bound = f"by {gain.low:.4f} (at least {case.rule.min_delta:.4f} is needed)"
    if gain.low >= case.rule.min_delta:
        return Finding(Verdict.BLESSED, f"{better}, surely {bound}.")
    takes = f"a gain of {case.rule.min_delta + gain.mean - gain.low:.4f} would have been sure here"
    return Finding(Verdict.INCONCLUSIVE, f"{better}, but surely only {bound}; {takes}.")


def _best(findings: Mapping[str, Finding], losses: Mapping[str, Interval | None]) -> str:
    """The candidate that passes and has the smallest mean loss; max and min take the first of equals: the retrained."""
    passed = [name for name in CANDIDATES if name in findings and findings[name].verdict is Verdict.BLESSED]
    return min(passed, key=lambda name: _mean(losses[name]) or 0.0, default="champion")


def _reason(case: Comparison, findings: Mapping[str, Finding], best: str, losses: Mapping[str, Interval | None]) -> str:
    parts = [findings["challenger"].reason]
    retrained, challenger = losses["retrained"], losses["challenger"]
    if retrained and challenger and retrained.mean <= challenger.mean:
        figures = f"({retrained.mean:.4f} against {challenger.mean:.4f} nats)"
        parts.append(f"{TITLES['retrained']} is at least as good {figures}: tuning gave nothing on this holdout.")
    if best == "retrained":
        parts.append(f"It is what should be promoted. {findings[best].reason}")
    if case.left_out:
        parts.append(f"{case.left_out:,} rows of classes that the champion does not know were left out.")
    return " ".join(parts)


def _basis(case: Comparison) -> str:
    blocks = "" if case.contenders.blocks is None else f" in {case.bootstrap.blocks:,} blocks"
    return f"{len(case.contenders.y):,} rows{blocks}"


def _figures(interval: Interval | None) -> Figures:
    if interval is None:
        return {"mean": None, "low": None, "high": None}
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _mean(interval: Interval | None) -> float | None:
    return interval.mean if interval else None
