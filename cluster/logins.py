"""Who a cluster's jobs are in MLflow, where it demands passwords: a user who may create and change, not administer.

The password is a new one for each head, and nowhere but in the environment of what the head starts.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from cluster.server import Login
from cluster.starting import ask

NAME = "caviar-jobs"
USERS = "api/2.0/mlflow/users"
GRANT = "api/3.0/mlflow/users/permissions/grant"
EDITED = ("experiment", "registered_model")  # also those of others: a sweep continues an experiment that somebody began


def new() -> Login:
    return Login(NAME, secrets.token_urlsafe(32))


def admitted(url: str, admin: Login, jobs: Login) -> bool:
    """Has MLflow at `url` know `jobs` by this password; whether it does. What they create they may delete, too."""
    login = {"username": jobs.name, "password": jobs.password}
    grants = [
        {"username": jobs.name, "resource_type": kind, "resource_id": "*", "permission": "EDIT"} for kind in EDITED
    ]
    return (
        _done(f"{url}/{USERS}/create", admin, login)
        and _done(f"{url}/{USERS}/update-password", admin, login, method="PATCH")
        and all(_done(f"{url}/{GRANT}", admin, grant) for grant in grants)
    )


def renewed(url: str, former: Login, admin: Login) -> bool:
    """Has MLflow at `url` know `former` by the password of `admin` from now on; whether it did so just now."""
    login = {"username": admin.name, "password": admin.password, "current_password": former.password}
    return _done(f"{url}/{USERS}/update-password", former, login, method="PATCH")


def _done(url: str, admin: Login, body: dict[str, str], method: str = "POST") -> bool:
    """Whether it is so now; an earlier head has made the same user and grants."""
    status, answer = ask(url, admin, body, method)
    return status == HTTPStatus.OK or answer.get("error_code") == "RESOURCE_ALREADY_EXISTS"
