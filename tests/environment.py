"""The environment of what the tests start."""

from __future__ import annotations

import os

EVEN = {"RAY_worker_niceness": "0"}  # by default 15: beside a busy process a worker hardly gets to its first import


def clean() -> dict[str, str]:
    """This environment without anything that leads to a cluster, a tracking server or a home."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_", "CAVIAR_"))}
    return kept | EVEN
