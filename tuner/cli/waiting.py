"""What is under way where a command would else be silent: a spinner on a terminal, one line elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def waiting(out: Console, what: str) -> Iterator[None]:
    """Shows `what` with its seconds as long as the block runs; where nobody sits in front, says it once."""
    if not out.is_terminal:
        out.print(f"{what} …", markup=False, highlight=False, soft_wrap=True)
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        progress.add_task(what, total=None)
        yield
