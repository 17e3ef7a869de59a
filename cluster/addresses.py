"""Which address of this machine a cluster binds, and whether its ports are free."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  # refused
WORKERS = range(10002, 20000)


def bound_address(host: str) -> str:
    """The IPv4 address of this machine that `host` names. ValueError where Ray could not keep to it."""
    if host in EVERYWHERE:
        raise ValueError(
            f"--host {host!r} names no machine, and others must be told where this one is: write the address by which "
            "they reach it, one of `hostname -I`"
        )
    try:
        address = str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
        with socket.socket() as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise ValueError(f"--host {host} is no IPv4 address of this machine ({error}): see `hostname -I`") from None
    if is_loopback(address) and address != LOOPBACK:
        raise ValueError(
            f"--host {host} is {address}, a loopback address for which Ray listens everywhere: write {LOOPBACK} to "
            "stay on this machine, or the address by which others reach it"
        )
    return address


def address_towards(host: str, port: int) -> str:
    """The IPv4 address of this machine by which `host` sees it. OSError where there is no way to it.

    Ray would ask for the way to the internet, which a closed network has not.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise OSError(f"there is no way from here to {host} ({error}): correct the name, or start it first") from None


def is_loopback(address: str) -> bool:
    """Whether `address` (host or IPv4) is reached from this machine only."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def same_server(one: str, other: str) -> bool:
    """Whether two URLs name the same host and port, however they are written."""
    try:
        return _server(one) == _server(other)
    except ValueError:  # of a port that is no number
        return False


def _server(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url.strip())
    host = parts.hostname or ""
    return LOOPBACK if host == "localhost" else host, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def demand_free(address: str, ports: Mapping[str, int]) -> None:
    """ValueError if two of the `ports`, by option, are the same, or one is taken or Ray's."""
    if len(set(ports.values())) < len(ports):
        raise ValueError(f"{', '.join(ports)} must be different ports, not {', '.join(map(str, ports.values()))}")
    for option, port in ports.items():
        if port in WORKERS:
            raise ValueError(f"{option} must not be from {WORKERS[0]} to {WORKERS[-1]}, as Ray's workers listen there")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as who will bind it: a past use is none
            try:
                probe.bind((address, port))
            except OSError as error:
                raise ValueError(f"port {port} is taken ({error}): choose another one with {option}") from None


def host_and_port(text: str, port: int) -> tuple[str, int]:
    """The host and port of `HOST[:PORT]`. ValueError if it is written otherwise."""
    host, colon, number = text.strip().rpartition(":")
    if not colon:
        host, number = number, str(port)
    if not host or not number.isdigit() or not 0 < int(number) < 1 << 16:
        raise ValueError(f"the head must be written as HOST or HOST:PORT, such as 10.0.0.1:6379, not {text!r}")
    return host, int(number)
