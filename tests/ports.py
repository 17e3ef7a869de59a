"""Ports that stay free until a test uses them: below those that systems give out, above those of Ray's workers."""

from __future__ import annotations

import socket
from itertools import islice
from random import SystemRandom

RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """So many different ports at which nothing listens, on any address of this machine."""
    return list(islice(filter(_is_free, SystemRandom().sample(RANGE, len(RANGE))), count))


def free_port() -> int:
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
