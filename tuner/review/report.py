"""The report of a sweep: one HTML file that says what was found, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from tuner.engine.account import Account
from tuner.review.axes import axes
from tuner.review.classes import classes
from tuner.review.curves import curves
from tuner.review.evidence import evidence
from tuner.review.measure import counted, measure_of, number
from tuner.review.page import page
from tuner.review.parts import Section
from tuner.review.plane import plane
from tuner.review.rounds import rounds
from tuner.review.rungs import rungs
from tuner.review.shift import compared
from tuner.review.terminal import duration
from tuner.review.winner import winner
from tuner.search.space import written

SECTIONS: Sequence[Callable[[Account], Section | None]] = (
    winner,
    curves,
    rungs,
    axes,
    evidence,
    rounds,
    compared,
    classes,
    plane,
)
UNFINISHED = {
    "running": "The sweep is running: this is how it stood when the page was made.",
    "preparing": "The sweep is being prepared: nothing is trained yet.",
    "paused": "The sweep is paused: `caviar resume` goes on with it.",
    "stopped": "The sweep was stopped before its end: `caviar resume` goes on with it.",
    "interrupted": "The sweep was interrupted before its end: `caviar resume` goes on with it.",
}


def report(account: Account) -> str:
    """The file's text. A sweep that is not at its end has what there is so far."""
    made = [section for section in (make(account) for make in SECTIONS) if section]
    return page(account.name, [*made, _asked(account), _data(account)], list(_lead(account)), _facts(account))


def _lead(account: Account) -> Iterator[str]:
    when = datetime.fromtimestamp(account.created, UTC)
    yield f"Sweep {account.sweep} of {when:%d %B %Y, %H:%M} UTC: {account.figures['spent']}."
    if account.status in UNFINISHED:
        now = datetime.fromtimestamp(account.time, UTC)
        yield f"{UNFINISHED[account.status]} ({now:%d %B %Y, %H:%M} UTC)"
    if account.figures.get("halted"):
        yield f"The search was ended early: {account.figures['halted']}."
    if account.status == "failed":
        yield f"There is no model: {account.figures['reason']}."
    for one in (account.figures.get("failures") or ())[:3]:
        yield f"{counted(one['trials'], 'trial')} failed: {one['reason']}."


def _facts(account: Account) -> list[tuple[str, str]]:
    figures, measure = account.figures, measure_of(account)
    best, holdout = figures.get("best"), figures["holdout"]["winner"]
    seeds = account.confirmations.get(best["trial"]) if best else None
    facts = [("status", account.status)]
    if best:
        facts.append((f"{measure.title}, in the search", measure.text(_score(best, account))))
    if seeds:
        facts.append((f"on {counted(len(seeds), 'fresh seed')}", measure.spread(seeds)))
    if holdout:
        facts += [("holdout loss", f"{holdout['loss']:.4f}"), ("holdout accuracy", f"{holdout['accuracy']:.1%}")]
    return [*facts, ("trials", f"{figures['trials']:,}"), ("time", duration(account.seconds))]


def _score(best: dict[str, float], account: Account) -> float:
    return best["val_loss"] if account.metric == "val_loss" else -best["val_accuracy"]


def _asked(account: Account) -> Section:
    """The space that was searched."""
    rows = [(axis.name.replace("_", " "), _domain(written(axis.domain))) for axis in account.space.axes]
    fixed = [f"{name.replace('_', ' ')} {number(value)}" for name, value in account.space.fixed.items()]
    ends = (
        f"compared at epochs {', '.join(map(str, account.rungs))}" if len(account.rungs) > 1 else "trained to the end"
    )
    rule = "stopped by nothing" if account.stopping == "none" else f"stopped by {account.stopping.replace('_', ' ')}"
    told = [f"Drawn by {account.sampler.replace('_', ' ')}, {rule}: trials are {ends}."]
    told += [f"Fixed: {', '.join(fixed)}."] if fixed else []
    return Section("What was searched", told, ("hyperparameter", "domain"), rows, folded="the space")


def _domain(domain: dict[str, list[float | int | str | bool]]) -> str:
    return "; ".join(f"{kind.replace('_', ' ')} {', '.join(map(number, ends))}" for kind, ends in domain.items())


def _data(account: Account) -> Section:
    """The snapshot, and what to be wary of."""
    counts = account.data["class_counts"]
    head = ("split", "rows", *(str(name) for name in account.data["classes"]))
    rows = [(part, f"{sum(found):,}", *(f"{count:,}" for count in found)) for part, found in counts.items()]
    told = [f"Snapshot {account.data['digest'][:12]}, {counted(account.data['inputs'], 'encoded column')}."]
    told += [f"{part}: {ends[0]} to {ends[1]}." for part, ends in (account.data.get("ranges") or {}).items() if ends]
    told += [f"Warning: {warning}." for warning in account.data.get("warnings") or ()]
    return Section("The data", told, head, rows, folded="rows of each class")
