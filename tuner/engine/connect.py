"""Connects this process to the Ray cluster named in RAY_ADDRESS, or starts one of its own on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def ray_cluster(home: Path) -> Iterator[None]:
    """Ray for the time of the block; a connection that this process has already is used and kept.

    An own cluster binds to loopback and demands a token that only this user can read.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not address and "ray" not in sys.modules:  # ray reads its mode of authentication when it is imported
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(_token(home)))
    import ray

    if ray.is_initialized():
        yield
        return
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    on_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    if on_main:
        signal.signal(signal.SIGTERM, before)  # ray puts one of its own there, which ends the process at once
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a lost worker is no error: its pack is trained again
    try:
        yield
    finally:
        ray.shutdown()


def _token(home: Path) -> Path:
    """The file with this user's token; made once, readable by nobody else."""
    token = home / "ray.token"
    if not token.exists():
        home.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=home)  # mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, token)  # whoever is first wins, and nobody reads half a token
        Path(temporary).unlink()
    return token
