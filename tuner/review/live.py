"""A sweep while it runs: a screen that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.review.terminal import Glance, best_text, duration, one_line, states_text

PLAIN_SECONDS = 10.0  # how often a plain line is printed
BAR = 30  # columns of a rung's bar
CURVE = 40  # columns of the curve
LEVELS = "▁▂▃▄▅▆▇█"


class Progress:
    """Shows each status it is called with: a live screen on a terminal, else (or if `plain`) a line now and then.

    `hint` says at the bottom of the screen what can be done.
    """

    def __init__(self, console: Console, *, plain: bool = False, hint: str = "") -> None:
        self._console, self._hint = console, hint
        is_live = console.is_terminal and not plain
        self._status: Glance | None = None
        self._printed = self._told = 0.0
        self._live = Live(console=console, get_renderable=self._screen, transient=True) if is_live else None
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
        self._status, self._told = status, time.monotonic()
        if self._live:
            return
        new_phase = not self._line.startswith(f"{status.phase}:")
        if new_phase or time.monotonic() - self._printed > PLAIN_SECONDS:
            line = one_line(status)
            if line != self._line:
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._line, self._printed = line, time.monotonic()

    def _screen(self) -> RenderableType:
        """Drawn a few times a second: the clock goes on while a driver has nothing new to say."""
        if self._status is None:
            return ""
        return screen(self._status, self._hint, time.monotonic() - self._told)


def screen(status: Glance, hint: str = "", since: float = 0.0) -> RenderableType:
    """All that is to be seen of a running sweep: rungs, the best and its curve, speed, the last decisions.

    `since` is how many seconds ago the status was told.
    """
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(ratio=1)
    facts.add_row("trials", states_text(status) or _starting(status))
    for epochs, reached in status.rungs:
        bar = ProgressBar(total=max(status.trials, 1), completed=reached, width=BAR)
        row = Table.grid(padding=(0, 1))
        row.add_row(bar, f"{reached:,} of {status.trials:,}")
        facts.add_row(f"epoch {epochs}", row)
    if status.best:
        facts.add_row("best", Text(best_text(status.best)))
    if len(status.curve) > 1:
        first, last = status.curve[0][1], status.curve[-1][1]
        facts.add_row(
            "", Text.assemble((sparkline(status.curve, status.epochs), "cyan"), f"  {first:.4f} → {last:.4f}")
        )
    facts.add_row("speed", _speed(status, since if status.status == "running" else 0.0))
    if status.halted:
        facts.add_row("early end", Text(status.halted, style="yellow"))
    for place, decision in enumerate(reversed(status.decisions)):  # the newest first
        facts.add_row("" if place else "lately", Text(decision, style="dim", overflow="ellipsis", no_wrap=True))
    title = Text.assemble((status.sweep, "bold"), f" {status.status}, {status.phase}")
    return Group(Panel(facts, title=title, title_align="left", subtitle=Text(hint, "dim"), subtitle_align="left"))


def sparkline(curve: Sequence[tuple[int, float]], epochs: int, width: int = CURVE) -> str:
    """The best loss after so many epochs, from (epochs, loss) where it fell up to now; the scale is logarithmic."""
    begin, end = curve[0][0], max(epochs, curve[-1][0])
    heights = [math.log(max(loss, 1e-12)) for _, loss in curve]
    low, high = min(heights), max(heights)
    line = ""
    for column in range(width):
        at = begin + (end - begin) * column / max(width - 1, 1)
        height = [height for (when, _), height in zip(curve, heights, strict=True) if when <= at][-1]
        line += LEVELS[round((height - low) / (high - low) * (len(LEVELS) - 1))] if high > low else LEVELS[0]
    return line


def _starting(status: Glance) -> str:
    return "starting workers …" if status.status == "running" else "none yet"


def _speed(status: Glance, since: float) -> str:
    parts = [f"{duration(status.seconds + since)} so far"]
    if status.busy:
        parts.append(f"{status.busy} pack{'s' * (status.busy != 1)} on workers")
    if status.epochs:
        parts += [f"{status.trials_per_second:.1f} trials/s", f"{status.epochs_per_second:.1f} epochs/s"]
    if status.status == "running" and status.seconds_left:
        parts.append(f"about {duration(max(status.seconds_left - since, 1.0))} left")
    return ", ".join(parts)
