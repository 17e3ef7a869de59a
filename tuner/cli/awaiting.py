"""Sweeps that were submitted a moment ago, and do not show yet."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tuner.cli.handle import Handle, handle
from tuner.cli.logs import ADDRESS

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.engine.place import Place

LOOK_SECONDS = 1.0


def awaited(name: str, where: Place, out: Console) -> Handle:
    """The sweep that `name` means, running or ended; one whose job has only just begun is waited for."""
    from tuner.engine.status import ACTIVE

    waiting = False
    while True:
        try:
            found = handle(name, where)
            if found.status().status in ACTIVE or not _is_under_way(found.sweep):
                return found
        except ValueError:
            if not _is_under_way(name):
                raise
        if not waiting:
            out.print(f"{name}: its job has begun; waiting for the sweep to show", highlight=False, markup=False)
        waiting = True
        time.sleep(LOOK_SECONDS)


def _is_under_way(sweep: str) -> bool:
    """Whether the cluster that is in use, if any, has a job of that id that has not ended."""
    address = os.environ.get(ADDRESS)
    if not address:
        return False
    from cluster.dashboard import JobsError
    from cluster.jobs import Jobs

    try:
        job = Jobs(address).job(sweep)
    except (JobsError, ValueError):  # it was not asked for by the user: what can be seen without it has to do
        return False
    return job is not None and not job.state.ended
