"""Runs inside `ray start`, named by RAY_START_HOOK, before it starts anything."""

from __future__ import annotations

from typing import Any


def without_client_server(parameters: Any, _is_head: bool) -> None:
    """Leaves out the Ray client server, which no option can: one more way in, and jobs and drivers need none."""
    parameters.ray_client_server_port = None
