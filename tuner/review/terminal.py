"""Sweeps on a terminal: where one stands in a line or a small table, and tables of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


class Glance(Protocol):
    """The part of a sweep's status that is shown."""

    @property
    def sweep(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def trials(self) -> int: ...
    @property
    def states(self) -> Mapping[str, int]: ...
    @property
    def rungs(self) -> Sequence[tuple[int, int]]: ...
    @property
    def best(self) -> Mapping[str, Any] | None: ...
    @property
    def epochs(self) -> int: ...
    @property
    def epochs_per_second(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def seconds_left(self) -> float | None: ...
    @property
    def running(self) -> Sequence[str]: ...
    @property
    def halted(self) -> str: ...
    @property
    def busy(self) -> int: ...
    @property
    def trials_per_second(self) -> float: ...
    @property
    def curve(self) -> Sequence[tuple[int, float]]: ...
    @property
    def decisions(self) -> Sequence[str]: ...


def one_line(status: Glance) -> str:
    """The status in one line of plain text."""
    parts = [f"{status.phase}: {states_text(status) or 'starting'}"]
    if any(reached for _, reached in status.rungs):
        parts.append("at epochs " + ", ".join(f"{epochs}: {reached}" for epochs, reached in status.rungs))
    if status.best:
        parts.append(f"best {_loss(status.best)} ({status.best['trial']})")
    parts.append(_speed(status))
    return " | ".join(part for part in parts if part)


def panel(status: Glance) -> RenderableType:
    """The status as a small table, for a look at it: trials by state, trials by rung, best so far, speed, time left."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    grid.add_row("sweep", f"{status.sweep}  [dim]{status.phase}[/dim]")
    grid.add_row("trials", states_text(status) or ("starting workers …" if status.status == "running" else "none"))
    for epochs, reached in status.rungs:
        width = round(30 * reached / status.trials) if status.trials else 0
        grid.add_row(f"epoch {epochs}", Text("█" * width + f" {reached}", style="cyan"))
    if status.best:
        grid.add_row("best", best_text(status.best))
    grid.add_row("speed", _speed(status))
    if status.halted:
        grid.add_row("early end", Text(status.halted, style="yellow"))
    for reason in list(status.running)[:4] if status.status == "running" else ():
        grid.add_row("", Text(f"training: {reason}", style="dim", overflow="ellipsis", no_wrap=True))
    return Group(grid)


def table(records: Iterable[Mapping[str, Any]], title: str = "", columns: Sequence[str] = ()) -> Table:
    """Flat records as a table; columns that no record fills are left out."""
    rows = list(records)
    names = [name for name in columns or _names(rows) if any(row.get(name) is not None for row in rows)]
    shown = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None)
    for name in names:
        numeric = all(isinstance(row.get(name), int | float) for row in rows if row.get(name) is not None)
        shown.add_column(name.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        shown.add_row(*(text(row.get(name)) for name in names))
    return shown


def text(value: object) -> str:
    """A value as short text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 0.01 or abs(value) >= 1000 else f"{value:.4f}"
    return str(value)


def duration(seconds: float) -> str:
    """Seconds as people write them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def states_text(status: Glance) -> str:
    """How many trials there are in each state; where the sweep does not run, none is running: those were begun."""
    words = {} if status.status == "running" else {"running": "begun"}
    return ", ".join(f"{number} {words.get(state, state)}" for state, number in status.states.items())


def best_text(best: Mapping[str, Any]) -> str:
    """The best evaluation so far, and whose it is."""
    return f"{_loss(best)}, {best['val_accuracy']:.1%} right  ({best['trial']})"


def _loss(best: Mapping[str, Any]) -> str:
    return f"val_loss {best['val_loss']:.4f}"


def _speed(status: Glance) -> str:
    if not status.epochs:
        return duration(status.seconds)
    left = status.seconds_left if status.status == "running" else None
    speed = f"{status.epochs} epochs in {duration(status.seconds)}, {status.epochs_per_second:.1f}/s"
    return f"{speed}, about {duration(left)} left" if left else speed
