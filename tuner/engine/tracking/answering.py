"""MLflow's errors as one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from tuner.engine.tracking.store import told


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """OSError for whatever the MLflow at `uri` raises in the block."""
    try:
        yield
    except MlflowException as error:
        raise OSError(sentence(told(uri), told(error))) from error


def sentence(uri: str, error: str) -> str:
    """What is wrong with the MLflow at `uri`, and what to set."""
    if "error code 401" in error:
        text = "wants a name and a password, and got none or wrong ones (401)"
        return f"MLflow at {uri} {text}: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if "error code 403" in error:
        return f"MLflow at {uri} does not allow it to this user (403): ask its admin for the permission"
    if "failed with exception" in error:
        return f"nothing answers at {uri}: start MLflow there with `caviar up`, or correct MLFLOW_TRACKING_URI"
    return f"MLflow at {uri} does not answer as it should: {error[:500]}"
