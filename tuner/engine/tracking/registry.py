"""Winners as MLflow models: a pyfunc made of code, safetensors and JSON, registered under a name, used by alias."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

import models
from models.features import Encoder
from tuner.engine.storage import Storage
from tuner.engine.tracking import served_model
from tuner.engine.tracking.interface import example, signature
from tuner.engine.tracking.runs import LONGEST
from tuner.engine.tracking.store import MlflowStore
from tuner.spec import masked

if TYPE_CHECKING:
    from models.classifier import Classifier

REQUIREMENTS = ("mlflow", "numpy", "pandas", "safetensors", "torch")


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that a model comes from, and the sweep's result object."""

    experiment_id: str
    run_id: str
    result: Mapping[str, Any]


def register(store: MlflowStore, origin: Origin, folder: Storage, name: str | None) -> tuple[str, str | None]:
    """Logs the classifier in `folder` as a model of the run and registers it as `name`, each of it once.

    Returns the model's URI and, if it is registered, the alias it was given. The first version of a name becomes its
    champion; a later one becomes the challenger.
    """
    with tempfile.TemporaryDirectory() as scratch:
        directory = _local(folder, Path(scratch) / "model")
        digest = _digest(directory)
        model_id = _logged(store, origin, digest) or _log(store, origin, directory, digest)
    if not name:
        return f"models:/{model_id}", None
    number, alias = _version(store, origin, name, model_id, digest)
    return f"models:/{name}/{number}", alias


def classifier_of(uri: str, model_uri: str) -> Classifier:
    """The classifier inside the model `model_uri` (models:/NAME@champion) of the store `uri`.

    ValueError if there is no such model, or it is not one of Caviar's.
    """
    from models.classifier import Classifier

    store = MlflowStore(uri)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            fetched = mlflow.artifacts.download_artifacts(model_uri, dst_path=scratch, tracking_uri=store.uri)
            parts = Model.load(fetched).flavors["python_function"]["artifacts"]
            return Classifier.load(Path(fetched) / parts["model"]["path"])
        except (MlflowException, KeyError, OSError) as error:
            # from None: a traceback would show the password that the message hides
            raise ValueError(masked(f"no model of Caviar at {model_uri} in {uri}: {error}")) from None


def _logged(store: MlflowStore, origin: Origin, digest: str) -> str | None:
    """The model that an earlier session logged from the same bytes, if it got to the end."""
    found = store.client.search_logged_models([origin.experiment_id], f"tags.`caviar.digest` = '{digest}'")
    ready = [model for model in found if model.source_run_id == origin.run_id and str(model.status) == "READY"]
    return str(ready[0].model_id) if ready else None


def _log(store: MlflowStore, origin: Origin, directory: Path, digest: str) -> str:
    described, client = json.loads((directory / "model.json").read_text(encoding="utf-8")), store.client
    encoder = Encoder.from_json(described["encoder"])
    logged = client.create_logged_model(
        origin.experiment_id, "model", origin.run_id, {"caviar.digest": digest}, model_type="caviar"
    )
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "pyfunc"
        mlflow.pyfunc.save_model(
            made,
            python_model=served_model.__file__,
            artifacts={"model": str(directory)},
            code_paths=[str(Path(models.__file__).parent)],
            signature=signature(encoder, described["classes"]),
            input_example=example(encoder),
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
            mlflow_model=Model(artifact_path=logged.artifact_location, run_id=origin.run_id, model_id=logged.model_id),
        )
        client.log_model_artifacts(logged.model_id, str(made))
    client.log_outputs(origin.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def _version(store: MlflowStore, origin: Origin, name: str, model_id: str, digest: str) -> tuple[str, str]:
    """The version's number and the alias it was given."""
    client = store.client
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    mine = {"caviar.digest": digest, "caviar.run": origin.run_id}
    versions = [v for v in client.search_model_versions(f"name = '{name}'") if mine.items() <= v.tags.items()]
    made = versions[0] if versions else _new_version(store, origin, name, model_id, mine)
    alias = made.tags.get("caviar.alias")
    if alias is None:  # else people may have moved it since
        alias = "challenger" if "champion" in client.get_registered_model(name).aliases else "champion"
        client.set_registered_model_alias(name, alias, made.version)
        client.set_model_version_tag(name, made.version, "caviar.alias", alias)
    return str(made.version), alias


def _new_version(store: MlflowStore, origin: Origin, name: str, model_id: str, tags: Mapping[str, str]) -> ModelVersion:
    return store.client.create_model_version(
        name,
        f"models:/{model_id}",
        origin.run_id,
        {**tags, **_figures(origin.result)},
        description=origin.result.get("summary_markdown"),
        model_id=model_id,
    )


def _figures(result: Mapping[str, Any]) -> dict[str, str]:
    """A version's tags: where it comes from, and what was measured."""
    best, again, holdout = (result.get(key) or {} for key in ("best", "confirmed", "holdout"))
    winner = holdout.get("winner") or {}
    tags = {
        "caviar.sweep": result.get("sweep"),
        "caviar.panda": result.get("panda"),
        "caviar.trial": best.get("trial"),
        "caviar.params": json.dumps(best["params"]) if "params" in best else None,
        "caviar.schedule": _schedule(result),
        "val_loss": best.get("val_loss"),
        "confirmed_val_loss_mean": again.get("val_loss_mean"),
        "confirmed_val_loss_std": again.get("val_loss_std"),
        "holdout_loss": winner.get("loss"),
        "holdout_accuracy": winner.get("accuracy"),
    }
    return {key: str(value) for key, value in tags.items() if value is not None}


def _schedule(result: Mapping[str, Any]) -> str | None:
    """The true hyperparameters of a model that was changed while it trained; one too long for a tag lies in it."""
    if "schedule" not in result:
        return None
    text = json.dumps(result["schedule"])
    return text if len(text) <= LONGEST else f"{len(result['schedule']['changes'])} changes: see schedule.json in it"


def _local(folder: Storage, directory: Path) -> Path:
    """The folder on this machine, fetched if it lies elsewhere."""
    found = folder.local(".")
    if found:
        return found
    directory.mkdir()
    for name in folder.names():
        (directory / name).write_bytes(folder.read(name))
    return directory


def _digest(directory: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(directory.iterdir()):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:32]
