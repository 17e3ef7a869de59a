"""A plan in words and tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.review.terminal import duration, table

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def describe_plan(plan: Mapping[str, Any]) -> RenderableType:
    """Trials by rung, then time with its range, space, requests to MLflow, what fits, and the advice."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    whole, search = plan["whole"], plan["search"]
    facts.add_row("epochs", f"{plan['search_epochs']:,} in the search, {plan['epochs']:,} with all that follows it")
    if plan["caution"]:
        facts.add_row("", Text(plan["caution"], style="yellow"))
    hands = _count(plan["workers"], "worker")
    facts.add_row("time", f"about {duration(whole['expected'])} ({_range(whole)}) on {hands}")
    start = ", ".join(f"{name} {duration(seconds)}" for name, seconds in plan["start"].items())
    facts.add_row("", f"training begins after {duration(sum(plan['start'].values()))} ({start})")
    facts.add_row("", f"the search ends after {duration(search['expected'])} ({_range(search)})")
    if plan["contested"]:
        facts.add_row("", Text("other sweeps run: their workers are not counted", style="yellow"))
    facts.add_row("memory", _memory(plan))
    if plan["memory"] and plan["memory"] > plan["memory_free"]:
        short = f"only {_size(plan['memory_free'])} are free: lower resources.max_workers"
        facts.add_row("", Text(short, style="yellow"))
    parts = ", ".join(f"{name} {_size(plan[name])}" for name in ("states", "journal", "snapshot", "model", "report"))
    facts.add_row("disk", f"{_size(plan['disk'])}: {parts}")
    facts.add_row("MLflow", f"about {plan['requests']:,} requests to a server (none where it is embedded)")
    if plan["budget"]:
        facts.add_row("budget", Text(plan["budget"]["reason"], style="" if plan["budget"]["fits"] else "yellow"))
    facts.add_row("advice", f"{plan['kind']}: {plan['reason']}.")
    lead = Text.assemble(("\nplan  ", "bold"), _count(plan["trials"], "trial"))
    if plan["trials"] < plan["asked"]:
        lead.append(f": the grid has no more of the {plan['asked']:,} that are asked for")
    return Group(lead, table(plan["rungs"], columns=("epochs", "trials")), "", facts)


def _memory(plan: Mapping[str, Any]) -> str:
    worker = f"{_size(plan['worker_memory'])} a worker"
    return worker if plan["memory"] is None else f"{_size(plan['memory'])} in all, {worker}"


def _range(span: Mapping[str, float]) -> str:
    return f"{duration(span['low'])} to {duration(span['high'])}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _size(number: float) -> str:
    power = min(int(math.log(max(number, 1), 1024)), len(UNITS) - 1)
    scaled = number / 1024**power
    return f"{scaled:.{0 if scaled >= 100 else 1}f} {UNITS[power]}"
