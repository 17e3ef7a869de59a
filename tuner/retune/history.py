"""A model's periods side by side: plain values for programs, a table for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.retune.findings import columns, gains, losses, part, shifted, verdict
from tuner.retune.judgement import CONTENDERS
from tuner.retune.states import Period, State, words

LONGEST = 200  # characters of a reason
STYLES: Mapping[State, str] = MappingProxyType(
    {
        State.PROMOTED: "green",
        State.HELD_DATA: "yellow",
        State.PENDING_APPROVAL: "yellow",
        State.ROLLED_BACK: "red",
    }
)


def rows(periods: Iterable[Period]) -> list[dict[str, Any]]:
    """{period, state, verdict, reason, losses, run_id} of each, in their order.

    `losses` is {contender: {mean, low, high, accuracy}}, in nats, empty where nothing was measured; `verdict` is the
    state of a period that did not come to the gate; `run_id` may be None.
    """
    return [
        {
            "period": period.period,
            "state": period.state.value,
            "verdict": verdict(period),
            "reason": period.reason,
            "losses": losses(period),
            "run_id": period.data.get("run_id"),
        }
        for period in periods
    ]


def table(periods: Sequence[Period]) -> RenderableType:
    """The periods' figures; below, the reasons."""
    reasons = Table.grid(padding=(0, 2))
    for period in periods:
        reasons.add_row(Text(period.period), Text(shortened(_why(period))))
    return Group(figures(periods), "", reasons)


def figures(periods: Iterable[Period]) -> Table:
    """The periods for a terminal of 80 columns or more: losses on each one's holdout, what the challenger gains, and
    how many columns have shifted.
    """
    shown = Table(header_style="bold", box=None, pad_edge=False)
    shown.add_column("period", no_wrap=True)
    shown.add_column("state", no_wrap=True)
    for name in (*CONTENDERS, "gain"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("shifted", no_wrap=True)
    for period in periods:
        found, gain = losses(period), gains(period).get("total", {})
        shown.add_row(
            period.period,
            Text(_state(period), STYLES.get(period.state, "")),
            *(_figure(found.get(name, {}).get("mean"), "") for name in CONTENDERS),
            _figure(gain.get("mean"), "+"),
            f"{len(shifted(period))} of {len(columns(period))}" if columns(period) else "",
        )
    return shown


def shortened(text: str, longest: int = LONGEST) -> str:
    """The first sentences of `text` that fit, else its first words."""
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    head = line[:longest]
    end = max(head.rfind(". "), head.rfind("; "))
    if end > longest // 3:
        return head[: end + 1] if head[end] == "." else f"{head[:end]} …"
    return f"{head.rpartition(' ')[0] or head} …"


def _state(period: Period) -> str:
    """The state, and the verdict where that does not follow from it."""
    said, state = part(period, "evaluation").get("verdict"), period.state
    other = state is State.REJECTED and said not in (None, state.value)
    return f"{words(state)} ({said})" if other else words(state)


def _why(period: Period) -> str:
    trouble = period.data.get("trouble")
    return f"trouble: {trouble}" if trouble else period.reason


def _figure(value: float | None, sign: str) -> str:
    return "" if value is None else f"{value:{sign}.4f}"
