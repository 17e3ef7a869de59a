"""Connects this process to the Ray cluster named in RAY_ADDRESS, or starts one of its own on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROBE_SECONDS = 10.0
CLUSTER = re.compile(r"(?P<client>ray://)?\[?(?P<host>[^/\[\]]+?)\]?:(?P<port>\d+)")


@contextmanager
def ray_cluster(home: Path) -> Iterator[None]:
    """Ray for the time of the block; a connection that this process has already is used and kept.

    OSError if nothing listens at RAY_ADDRESS. An own cluster demands a token that only this user can read: Ray
    listens at the node's address, also where it is asked for 127.0.0.1.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        _demand_token(home)
    import ray

    if ray.is_initialized():
        yield
        return
    if address:
        _probe(address, ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    on_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        # without an address, ray would join any cluster that it finds on this machine
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        if on_main:
            signal.signal(signal.SIGTERM, before)  # ray puts one of its own there, which ends the process at once
    except SystemExit:  # its handler was quicker: the sweep is interrupted as by any other SIGTERM
        raise KeyboardInterrupt from None
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a lost worker is no error: its pack is trained again
    try:
        yield
    finally:
        ray.shutdown()


def _probe(address: str, node: str) -> None:
    """OSError unless something listens at `address`, for which Ray itself would wait for minutes.

    Like Ray, asks the address `node` of this machine where a loopback address is named. Names such as `auto` pass.
    """
    named = CLUSTER.fullmatch(address)
    if not named:
        return
    loopback = named["host"] in ("localhost", "127.0.0.1", "::1") and not named["client"]
    try:
        socket.create_connection((node if loopback else named["host"], int(named["port"])), PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise OSError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}): start it, correct the address, or unset "
            "RAY_ADDRESS to train on this machine"
        ) from error


def _demand_token(home: Path) -> None:
    """Has a cluster of our own demand our token; Ray's own, in ~/.ray, could be read by everyone."""
    if "RAY_AUTH_TOKEN" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(own_token(home)))
    if "ray" not in sys.modules:  # else ray has read its mode already; where that is unset, init makes it `token`
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def own_token(home: Path) -> Path:
    """The file with this user's token; made once, readable by nobody else.

    OSError where it is: it may have come with a folder of somebody else's, who then knows it.
    """
    token = home / "ray.token"
    if token.exists() and (token.stat().st_uid != os.getuid() or token.stat().st_mode & 0o077):
        raise OSError(f"{token} can be read by others: remove it, and a new one is made; or `chmod 600` if it is yours")
    if not token.exists():
        home.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=home)  # mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, token)  # whoever is first wins, and nobody reads half a token
        Path(temporary).unlink()
    return token
