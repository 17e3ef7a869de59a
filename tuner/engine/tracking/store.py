"""MLflow's runs behind a few verbs on plain values. Blocks; raises `RefusedError` where trying again cannot help."""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from tuner.engine.tracking.embedded import artifact_root, prepare
from tuner.engine.tracking.runs import Measure
from tuner.spec import masked

METRICS_A_REQUEST = 800  # MLflow takes 1000 metrics, parameters and tags together
PAGE = 1000
FINAL = ("FINISHED", "FAILED", "KILLED")
REFUSALS = (
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_DOES_NOT_EXIST",
    "BAD_REQUEST",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "ENDPOINT_NOT_FOUND",
    "FEATURE_DISABLED",
)

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it costs a request a run
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Artifacts go through the server: who reaches it need not reach its S3.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}

T = TypeVar("T")


class RefusedError(RuntimeError):
    """MLflow answered, and will answer the same until somebody acts: a run was deleted, or a name is not acceptable."""


@dataclass(slots=True)
class Found:
    """A run that is in MLflow. A deleted one lies in its bin; nothing can be logged to it."""

    run_id: str
    status: str
    deleted: bool = False


class MlflowStore:
    """One MLflow tracking store, embedded (`sqlite:///…`) or a server (`http…`)."""

    def __init__(self, uri: str) -> None:
        configure()
        self.embedded = prepare(uri) if uri.startswith("sqlite") else None
        self.uri = uri
        mlflow.set_tracking_uri(uri)  # MLflow's registry resolves models:/… by the process-wide one
        mlflow.set_registry_uri(uri)
        self.client = MlflowClient(uri, registry_uri=uri)

    def check(self) -> None:
        """Raises what MLflow raises if the store does not answer."""
        self.client.search_experiments(max_results=1)

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, made if there is none; its artifacts lie beside an embedded store."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = (artifact_root(self.uri) / _file_name(name)).as_uri() if self.uri.startswith("sqlite") else None
            try:
                return str(self.client.create_experiment(name, artifact_location=location))
            except MlflowException:  # another sweep was faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise RuntimeError(f"the MLflow experiment {name!r} was deleted; restore it, and this sweep is published")
        return str(found.experiment_id)

    def find(self, experiment_id: str, uid: str, key: str) -> dict[str, Found]:
        """The runs of the sweep `uid` by the value of their tag `key` ("" for the one without it).

        Of several, which a server that answered too late can leave behind, the fullest stays; the rest is deleted.
        """
        found: dict[str, Found] = {}
        token = None
        runs: list[Any] = []
        while True:
            page = self.client.search_runs(
                [experiment_id], f'tags.`caviar.uid` = "{uid}"', ViewType.ALL, max_results=PAGE, page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
        for run in sorted(runs, key=lambda r: (-len(r.data.metrics), -len(r.data.params), r.info.run_id)):
            name = run.data.tags.get(key, "")
            deleted = run.info.lifecycle_stage != "active"
            if name not in found or found[name].deleted:
                found[name] = Found(run.info.run_id, run.info.status, deleted)
            elif not deleted:
                self.client.delete_run(run.info.run_id)
        return found

    def create(self, experiment_id: str, name: str, tags: Mapping[str, str], begun: float, parent: str | None) -> str:
        """Makes a run, in status RUNNING, and returns its id."""
        tags = {**own_tags(parent), **tags}
        run = self.client.create_run(experiment_id, start_time=_ms(begun), tags=tags, run_name=name)
        return str(run.info.run_id)

    def log(self, run_id: str, measures: Sequence[Measure], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Logs everything in as few requests as the limits allow. Logging the same again changes nothing."""
        metrics = [Metric(m.key, m.value, m.time, m.step) for m in measures]
        rest = ([Param(*item) for item in params.items()], [RunTag(*item) for item in tags.items()])
        for start in range(0, max(len(metrics), 1), METRICS_A_REQUEST):
            part = metrics[start : start + METRICS_A_REQUEST]
            if part or any(rest):
                or_refused(partial(self.client.log_batch, run_id, part, *rest))
            rest = ([], [])

    def set_status(self, run_id: str, status: str, ended: float | None) -> None:
        """Sets the run's status; a final one with the time of its end."""
        if status in FINAL:
            or_refused(lambda: self.client.set_terminated(run_id, status, None if ended is None else _ms(ended)))
        else:
            or_refused(lambda: self.client.update_run(run_id, status=status))

    def read(self, run_id: str) -> tuple[dict[str, str], dict[str, str], dict[int, dict[str, float]]]:
        """The run's tags, parameters, and the values of its metrics by step (`time`: seconds since 1970)."""
        run = or_refused(lambda: self.client.get_run(run_id))
        history: dict[int, dict[str, float]] = {}
        for key in run.data.metrics:
            for metric in self.client.get_metric_history(run_id, key):
                history.setdefault(metric.step, {})[key] = metric.value
                history[metric.step]["time"] = metric.timestamp / 1000
        return dict(run.data.tags), dict(run.data.params), history

    def tags(self, run_id: str) -> dict[str, str]:
        """The run's tags."""
        return dict(or_refused(lambda: self.client.get_run(run_id)).data.tags)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        or_refused(lambda: self.client.set_tag(run_id, key, value))

    def delete_tag(self, run_id: str, key: str) -> None:
        or_refused(lambda: self.client.delete_tag(run_id, key))

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> dict[str, str]:
        """Sets a tag of the experiment, and returns all it has."""
        or_refused(lambda: self.client.set_experiment_tag(experiment_id, key, value))
        return dict(self.client.get_experiment(experiment_id).tags)

    def untag_experiment(self, experiment_id: str, keys: Sequence[str]) -> None:
        """Takes tags off the experiment; one that is gone already is no matter."""
        for key in keys:
            with contextlib.suppress(RefusedError):
                or_refused(partial(self.client.delete_experiment_tag, experiment_id, key))

    def write_text(self, run_id: str, name: str, text: str) -> None:
        """Writes the run's artifact `name`."""
        or_refused(lambda: self.client.log_text(run_id, text, name))

    def use_data(self, run_id: str, name: str, snapshot: Mapping[str, Any]) -> None:
        """Notes the snapshot as the run's input, by its digest."""
        source = json.dumps({"source": snapshot.get("source")}, default=str)
        profile = {key: snapshot[key] for key in ("rows", "classes", "class_counts", "splits") if key in snapshot}
        digest = str(snapshot.get("digest") or "unknown")[:36]
        data = Dataset(name[:500], digest, "caviar", source[:65000], profile=json.dumps(profile, default=str))
        note = partial(
            self.client.log_inputs, run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "tuning")])]
        )
        try:
            or_refused(note)
        except RefusedError:  # two runs that bring the same data at once: MLflow adds it for one, and refuses the other
            or_refused(note)


def told(error: object) -> str:
    """An error as one line without passwords."""
    return masked(" ".join(str(error).split()))[:2000]


def configure() -> None:
    """Short timeouts and no retries inside MLflow: its POSTs are not idempotent, so whoever calls tries again."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def or_refused(request: Callable[[], T]) -> T:
    """What `request` returns; RefusedError where MLflow answers that it will not have it."""
    try:
        return request()
    except MlflowException as error:
        if error.error_code in REFUSALS:
            raise RefusedError(str(error)) from error
        raise


def own_tags(parent: str | None) -> dict[str, str]:
    """The tags that every run is born with, beside its own."""
    own = {"mlflow.user": getpass.getuser(), "mlflow.source.name": "caviar", "mlflow.source.type": "LOCAL"}
    return {**own, "mlflow.parentRunId": parent} if parent else own


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip(".") or "_"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
