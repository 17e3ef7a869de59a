"""What is under way where a command would else be silent: redrawn on a terminal, elsewhere in lines if it is long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PATIENCE_SECONDS = 2.0  # before a log is told: what is quick needs no words there
LINE_SECONDS = 10.0  # between two lines of a log


@contextmanager
def waiting(out: Console, what: str) -> Iterator[None]:
    """Shows `what`, with its seconds, as long as the block runs."""
    if out.is_terminal:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=out, transient=True) as progress:
            progress.add_task(what, total=None)
            yield
        return
    timer = Timer(PATIENCE_SECONDS, lambda: out.print(f"{what} …", markup=False, highlight=False, soft_wrap=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def counting(out: Console, what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yields what is to be called with how many of `total` are done."""
    if out.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn("{task.description}", markup=False)
        columns = (text, BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
        with Progress(*columns, console=out, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    said = time.monotonic()

    def say(done: int) -> None:
        nonlocal said
        if time.monotonic() - said > LINE_SECONDS:
            said = time.monotonic()
            out.print(f"{what}: {done:,} of {total:,} {unit}", markup=False, highlight=False, soft_wrap=True)

    yield say
