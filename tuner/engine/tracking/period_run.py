"""A period of re-tuning as people review it: one run in the experiment MODEL/re-tuning, brought up to date."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Protocol

from mlflow.entities import ViewType
from requests import RequestException

from tuner.engine.tracking.answering import answering, sentence
from tuner.engine.tracking.runs import LONGEST, Measure
from tuner.engine.tracking.store import FINAL, MlflowStore, told

MODEL, PERIOD, FILES, NOTE = "caviar.model", "caviar.period", "caviar.files", "mlflow.note.content"


class Description(Protocol):
    """What a run is to say. Times are seconds since 1970; an empty tag is taken away; `files` are texts by name."""

    @property
    def model(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def begun(self) -> float: ...
    @property
    def updated(self) -> float: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def markdown(self) -> str: ...
    @property
    def files(self) -> Mapping[str, str]: ...


def log_period(uri: str, described: Description) -> str:
    """The id of the period's one run in the store `uri`, which now says what is `described`.

    It is found again by its tags, so that this can be done again at any time: after a kill, and in each new state.
    A parameter keeps its first value. OSError, in one sentence, where MLflow does not do it.
    """
    with answering(uri):
        try:
            store = MlflowStore(uri)
            experiment = store.experiment(f"{described.model}/re-tuning")
            run = _found(store, experiment, described) or _made(store, experiment, described)
            _write(store, run, described)
        except RequestException as error:
            raise OSError(sentence(told(uri), told(error))) from error
        except RuntimeError as error:  # refused: somebody deleted the experiment, or may not write
            raise OSError(f"MLflow at {told(uri)} does not take period {described.period}: {told(error)}") from error
    return str(run.info.run_id)


def _found(store: MlflowStore, experiment: str, described: Description) -> Any:
    """The period's run. Of several, which a server that answers too late can leave behind, the fullest stays."""
    same = f'tags.`{MODEL}` = "{described.model}" AND tags.`{PERIOD}` = "{described.period}"'
    runs = store.client.search_runs([experiment], same, ViewType.ACTIVE_ONLY)
    first, *others = sorted(runs, key=lambda run: (-len(run.data.metrics), run.info.run_id)) or (None,)
    for other in others:
        store.client.delete_run(other.info.run_id)
    return first


def _made(store: MlflowStore, experiment: str, described: Description) -> Any:
    own = {MODEL: described.model, PERIOD: described.period}
    return store.client.get_run(store.create(experiment, described.period, own, described.begun, None))


def _write(store: MlflowStore, run: Any, described: Description) -> None:
    """Sends what the run does not say yet; the files first, so that their tag stands for files that are there."""
    run_id, data = run.info.run_id, run.data
    digest = _digest(described.files)
    if data.tags.get(FILES) != digest:
        for name, text in described.files.items():
            store.write_text(run_id, name, text)
    wanted = {**described.tags, NOTE: described.markdown, FILES: digest}
    time = round(described.updated * 1000)
    measures = [
        Measure(name, value, time, 0)
        for name, value in described.metrics.items()
        if math.isfinite(value) and data.metrics.get(name) != value
    ]
    params = {name: value for name, value in described.params.items() if name not in data.params}
    tags = {name: text[:LONGEST] for name, text in wanted.items() if text and data.tags.get(name) != text[:LONGEST]}
    store.log(run_id, measures, params, tags)
    for name, text in wanted.items():
        if not text and name in data.tags:
            store.delete_tag(run_id, name)
    if run.info.status != described.status:
        store.set_status(run_id, described.status, described.updated if described.status in FINAL else None)


def _digest(files: Mapping[str, str]) -> str:
    found = hashlib.sha256()
    for name, text in sorted(files.items()):
        found.update(f"{name}\0{len(text)}\0{text}".encode())
    return found.hexdigest()[:32]
