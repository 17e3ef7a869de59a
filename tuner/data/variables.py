"""Variables of the environment in the address of data: `${NAME}`, so that no password need be written in a spec."""

from __future__ import annotations

import os
import re

from models.errors import DataError

ALLOWED = "CAVIAR_SPEC_VARIABLES"
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it, under this odd name, for the commands that are its jobs
NAME = re.compile(r"\$\{(\w+)\}")


def expanded(text: str) -> str:
    """`text` with each ${NAME} replaced by that environment variable; DataError where there is none of the name.

    CAVIAR_SPEC_VARIABLES lists the names that specs may use, with commas between them. Without it, all may be used
    where the spec's author runs it, and none in a job on a cluster: else a stranger's spec could send the cluster's
    secrets to a server of its own.
    """
    names = {name.strip() for name in os.environ.get(ALLOWED, "").split(",")}
    limited = ALLOWED in os.environ or JOB in os.environ

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if limited and name not in names:
            text = f"the data's address names ${{{name}}}, which specs may not use here"
            raise DataError(f"{text}: add it to {ALLOWED} where the cluster's head is started")
        if name not in os.environ:
            raise DataError(f"the data's address names ${{{name}}}, which the environment lacks: set {name}")
        return os.environ[name]

    return NAME.sub(value, text)
