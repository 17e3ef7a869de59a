"""Where a user's sweeps live, from options and environment; apart from what makes sweeps, for it imports little."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tuner.data import variables
from tuner.engine.storage import Storage
from tuner.engine.tracking import embedded_uri


@dataclass(frozen=True, slots=True)
class Place:
    """Where sweeps live: `home` on this machine, `storage` for durable state, `tracking` for people to look at."""

    home: Path
    storage: Storage
    tracking: str

    def sweep(self, sweep_id: str) -> Storage:
        return self.storage.child(f"sweeps/{sweep_id}")

    @property
    def snapshots(self) -> Path:
        return self.storage.local("snapshots") or self.home / "snapshots"


def place(storage: str | None = None) -> Place:
    """Where this user's sweeps live: `storage`, CAVIAR_STORAGE or a folder in CAVIAR_HOME (default ./.caviar).

    ValueError in a job on a cluster that names none of them: its working directory is gone when it ends.
    """
    named = storage or os.environ.get("CAVIAR_STORAGE")
    if variables.JOB in os.environ and not (named or os.environ.get("CAVIAR_HOME")):
        raise ValueError(
            "this job would keep its sweep in a folder that is gone when it ends: submit it with --storage (a URI, or "
            "a folder that the cluster's machines share), or set CAVIAR_STORAGE where the cluster's head is started"
        )
    home = Path(os.environ.get("CAVIAR_HOME", ".caviar")).absolute()
    tracking = os.environ.get("MLFLOW_TRACKING_URI") or embedded_uri(home)
    chosen = named or str(home / "storage")
    return Place(home, Storage(chosen if "://" in chosen else Path(chosen).absolute()), tracking)
