"""The MLflow server of a cluster: its command, its database, and who may ask it."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy

from cluster.addresses import is_loopback
from cluster.processes import Service

KEPT = ("MLFLOW_S3_", "MLFLOW_GCS_", "MLFLOW_SERVER_ALLOWED_HOSTS")
CLOSED = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
AUTH = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {users}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""  # without the cache every request costs 0.1 s of CPU, for a password's hash is slow on purpose


@dataclass(frozen=True, slots=True)
class Login:
    """Who somebody is in MLflow, where it demands a password."""

    name: str
    password: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """What MLflow's clients take it from."""
        return {"MLFLOW_TRACKING_USERNAME": self.name, "MLFLOW_TRACKING_PASSWORD": self.password}

    def header(self) -> str:
        """What requests have as Authorization."""
        return f"Basic {base64.b64encode(f'{self.name}:{self.password}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Places:
    """Where MLflow keeps what it has: its database, that of its users (URLs, which can hold a password), artifacts."""

    database: str = field(repr=False)
    artifacts: str
    users: str = field(repr=False)


def inside(home: Path, database: str) -> Places:
    """Artifacts and users in `home`, whichever `database` there is."""
    return Places(database, (home / "artifacts").as_uri(), f"sqlite:///{home / 'mlflow-users.db'}")


def workers() -> int:
    """How many processes should answer on this machine."""
    return max(1, min(4, (os.cpu_count() or 1) // 2))


def server(
    address: str, port: int, home: Path, places: Places, *, admin: Login | None, workers: int, env: Mapping[str, str]
) -> Service:
    """MLflow at `address`; what it keeps goes to `places`, artifacts through the server.

    With an `admin`, everyone needs a name and a password; settings for that are written into `home`.
    """
    kept = {name: value for name, value in env.items() if not name.startswith("MLFLOW_") or name.startswith(KEPT)}
    mine = {**kept, **CLOSED, "MLFLOW_BACKEND_STORE_URI": places.database}
    where = ["--host", address, "--port", str(port), "--workers", str(workers)]
    hosts = ["--allowed-hosts", ",".join(_hosts(address, port, env.get("MLFLOW_SERVER_ALLOWED_HOSTS", "")))]
    artifacts = ["--serve-artifacts", "--artifacts-destination", places.artifacts]
    app = ["--app-name", "basic-auth"] if admin else []
    if admin:
        mine |= _auth(home, places.users, admin)
    return Service("MLflow", [sys.executable, "-m", "mlflow", "server", *where, *hosts, *artifacts, *app], mine)


def _hosts(address: str, port: int, more: str) -> list[str]:
    """What a request may call this server; not what a hostile page calls it by changing the DNS of its own name."""
    others = [] if is_loopback(address) else [address, socket.gethostname(), socket.getfqdn()]
    named = [f"{name}:{port}" for name in dict.fromkeys(others)]
    # Tunnels begin at any port.
    return ["localhost:*", "127.0.0.1:*", *named, *(name.strip() for name in more.split(",") if name.strip())]


def _auth(home: Path, users: str, admin: Login) -> dict[str, str]:
    """Writes who may do what by default, and returns what MLflow's basic-auth needs. There is no default password."""
    settings, url = home / "mlflow-auth.ini", sqlalchemy.make_url(users)
    for secret in (settings, *([Path(str(url.database))] if url.get_backend_name() == "sqlite" else [])):
        secret.touch(mode=0o600)
    settings.write_text(AUTH.format(users=users.replace("%", "%%")))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_USERNAME": admin.name,
        "MLFLOW_AUTH_ADMIN_PASSWORD": admin.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
    }
