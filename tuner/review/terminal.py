"""Sweeps on a terminal: a live table while one runs, plain lines elsewhere, tables of what was found."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

PLAIN_SECONDS = 10.0  # how often a plain line is printed where there is no terminal


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


class Progress:
    """Shows each status it is called with: a live table on a terminal, else a line every ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._printed = 0.0
        self._line = ""

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, status: Glance) -> None:
        if self._live:
            self._live.update(panel(status))
            return
        new_phase = not self._line.startswith(f"{status.phase}:")
        if new_phase or time.monotonic() - self._printed > PLAIN_SECONDS:
            line = one_line(status)
            if line != self._line:
                self._console.print(line, highlight=False, soft_wrap=True)
            self._line, self._printed = line, time.monotonic()


def one_line(status: Glance) -> str:
    """The status in one line of plain text."""
    parts = [f"{status.phase}: {_states(status.states) or 'starting'}"]
    if any(reached for _, reached in status.rungs):
        parts.append("at epochs " + ", ".join(f"{epochs}: {reached}" for epochs, reached in status.rungs))
    if status.best:
        parts.append(f"best {_loss(status.best)} ({status.best['trial']})")
    parts.append(_speed(status))
    return " | ".join(part for part in parts if part)


def panel(status: Glance) -> RenderableType:
    """The status as a small table: trials by state, trials by rung, best so far, speed, time left."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    grid.add_row("sweep", f"{status.sweep}  [dim]{status.phase}[/dim]")
    grid.add_row("trials", _states(status.states) or ("starting workers …" if status.status == "running" else "none"))
    for epochs, reached in status.rungs:
        width = round(30 * reached / status.trials) if status.trials else 0
        grid.add_row(f"epoch {epochs}", Text("█" * width + f" {reached}", style="cyan"))
    if status.best:
        grid.add_row("best", f"{_loss(status.best)}, {status.best['val_accuracy']:.1%} right  ({status.best['trial']})")
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


def _states(states: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in states.items())


def _loss(best: Mapping[str, Any]) -> str:
    return f"val_loss {best['val_loss']:.4f}"


def _speed(status: Glance) -> str:
    if not status.epochs:
        return duration(status.seconds)
    left = status.seconds_left if status.status == "running" else None
    speed = f"{status.epochs} epochs in {duration(status.seconds)}, {status.epochs_per_second:.1f}/s"
    return f"{speed}, about {duration(left)} left" if left else speed
