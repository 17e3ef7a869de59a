"""The token and the password that a cluster is started or joined with: from the environment, never from an option."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.server import Login
from tuner.engine.connect import own_token


def admin() -> Login:
    """Who may do everything in MLflow, from the environment. ValueError without a password."""
    password = os.environ.get("MLFLOW_AUTH_ADMIN_PASSWORD")
    if not password:
        raise ValueError("--auth has no default password: set the admin's as MLFLOW_AUTH_ADMIN_PASSWORD")
    return Login(os.environ.get("MLFLOW_AUTH_ADMIN_USERNAME") or "admin", password)


def jobs() -> Login:
    """Who jobs are in MLflow, from the environment. ValueError without a password, or where they would be the admin."""
    name, password = (os.environ.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
    if not name or not password:
        raise ValueError(
            "set who the jobs are: MLFLOW_TRACKING_USERNAME, such as caviar-jobs, and MLFLOW_TRACKING_PASSWORD"
        )
    if name == admin().name:
        raise ValueError(f"MLFLOW_TRACKING_USERNAME={name} is the admin: jobs need a login of their own")
    return Login(name, password)


def cluster_token(home: Path) -> Path:
    """The file with the token to demand; made if there is none. ValueError where Ray would use another."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if "RAY_AUTH_TOKEN" in os.environ:
        raise ValueError(
            f"RAY_AUTH_TOKEN is set, and Ray prefers it to the token of this cluster, {named or home / 'ray.token'}: "
            "unset it"
        )
    token = Path(named).expanduser().absolute() if named else own_token(home)
    if not token.is_file() or not token.read_text().strip():
        raise ValueError(f"RAY_AUTH_TOKEN_PATH={named} is no file with a token: write one, or unset it")
    return token


def head_token(home: Path) -> dict[str, str]:
    """The token to join with, as Ray's environment names it. ValueError if there is none."""
    found = {name: os.environ[name] for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if os.environ.get(name)}
    if "RAY_AUTH_TOKEN" in found:
        return {"RAY_AUTH_TOKEN": found["RAY_AUTH_TOKEN"]}
    token = Path(found.get("RAY_AUTH_TOKEN_PATH", home / "ray.token")).expanduser().absolute()
    if not token.is_file():
        raise ValueError(
            f"joining takes the head's token, and {token} is no file: copy ray.token from CAVIAR_HOME on the head to "
            "this machine (mode 600), and set RAY_AUTH_TOKEN_PATH to the copy"
        )
    return {"RAY_AUTH_TOKEN_PATH": str(token)}
