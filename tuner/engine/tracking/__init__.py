"""MLflow as a projection of the journal: the only room that imports mlflow, and what it offers to the others.

The driver never imports it; it runs `python -m tuner.engine.tracking SWEEP` beside itself and closes that
process's standard input when it leaves. So MLflow can neither fail nor slow a trial, and what it lacks is
still in the journal. MLflow itself is imported late, because that takes seconds.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.spec import masked
from tuner.trial import Row

if TYPE_CHECKING:
    from models.classifier import Classifier
    from tuner.engine.tracking.remote import RemoteSweeps


def embedded_uri(home: Path) -> str:
    """The MLflow store under CAVIAR_HOME: one SQLite file, with the artifacts beside it."""
    return f"sqlite:///{(home / 'mlflow.db').absolute()}"


def ui_command(uri: str, port: int = 5000) -> list[str]:
    """The command that serves the embedded store `uri` to a browser on this machine; ValueError for a server."""
    if not uri.startswith("sqlite"):
        raise ValueError(f"MLflow runs at {masked(uri)} already: open that address in a browser")
    from tuner.engine.tracking import embedded

    prepare(uri)
    artifacts = embedded.artifact_root(uri).as_uri()
    serve = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--default-artifact-root", artifacts, "--artifacts-destination", artifacts]  # also of a cluster's server
    return [*serve, "--backend-store-uri", uri, *places]


def prepare(uri: str) -> None:
    """Makes the tables of the SQLite store `uri`, for many readers beside a writer; does nothing to a server's."""
    if not uri.startswith("sqlite"):
        return
    from tuner.engine.tracking import embedded, store

    store.configure()
    embedded.prepare(uri)


def publish(sweep_uri: str, uri: str) -> bool:
    """Sends what the journal of the sweep has and MLflow lacks; True if all of it is there now."""
    from tuner.engine.tracking import publisher

    return publisher.publish(sweep_uri, uri)


def remote_sweeps(uri: str) -> RemoteSweeps:
    """The sweeps that the store `uri` shows, for who has no access to their storage."""
    from tuner.engine.tracking.remote import RemoteSweeps

    return RemoteSweeps(uri)


def classifier_of(uri: str, model_uri: str) -> Classifier:
    """The classifier inside a model of the store `uri`, such as models:/NAME@champion. ValueError if there is none."""
    from tuner.engine.tracking import registry

    return registry.classifier_of(uri, model_uri)


@dataclass(frozen=True, slots=True)
class TrackedTrial:
    """What MLflow says about a trial. Parameters are texts there; `rows` are in order of epochs."""

    sweep: str
    trial: str
    seed: int
    params: dict[str, str]
    rows: list[Row]


def run_of(uri: str, run_id: str) -> TrackedTrial:
    """The trial behind an MLflow run. ValueError if there is no such run, or it is not one of Caviar's trials."""
    from tuner.engine.tracking.store import MlflowStore, RefusedError

    try:
        tags, params, history = MlflowStore(uri).read(run_id)
    except RefusedError as error:
        raise ValueError(masked(f"{uri} has no run {run_id}: {error}")) from None
    if "caviar.trial" not in tags:
        raise ValueError(f"run {run_id} of {masked(uri)} is not a trial of Caviar: it lacks the tag caviar.trial")
    names = ("train_loss", "val_loss", "val_accuracy", "learning_rate", "time")
    rows = [
        Row(tags["caviar.trial"], epoch, *(values.get(name, math.nan) for name in names))
        for epoch, values in sorted(history.items())
        if "train_loss" in values
    ]
    seed = int(params.pop("seed"))
    return TrackedTrial(tags["caviar.sweep"], tags["caviar.trial"], seed, params, rows)
