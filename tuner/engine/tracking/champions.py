"""A registered model's versions and aliases: who is champion, and how another one takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from tuner.engine.tracking.answering import answering
from tuner.engine.tracking.registry import classifier_of
from tuner.engine.tracking.store import MlflowStore

if TYPE_CHECKING:
    from models.classifier import Classifier


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model. `tags` are texts."""

    number: str
    run_id: str | None
    tags: Mapping[str, str]


class Champions:
    """The registry of one MLflow store. Every method raises OSError where the store does not do what is asked."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        with answering(uri):
            self._store = MlflowStore(uri)
            self._client = self._store.client

    def version(self, model: str, alias: str) -> Version | None:
        """The version to which `alias` points; None if there is no such model or alias."""
        with answering(self._uri):
            number = self._aliases(model).get(alias)
            found = self._client.get_model_version(model, number) if number else None
        return Version(str(found.version), found.run_id, dict(found.tags)) if found else None

    def add(self, model: str, model_uri: str, run_id: str | None, tags: Mapping[str, str], about: str) -> str:
        """The number of the version made from `model_uri`; one that has the same `tags` already is not made again."""
        with answering(self._uri):
            try:
                self._client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            for found in self._client.search_model_versions(f"name = '{model}'"):
                if tags.items() <= found.tags.items():
                    return str(found.version)
            logged = model_uri.removeprefix("models:/")
            made = self._client.create_model_version(
                model, model_uri, run_id, dict(tags), description=about, model_id=logged, await_creation_for=0
            )
        return str(made.version)

    def point(self, model: str, alias: str, number: str) -> None:
        """Makes `alias` point to the version; a reader sees the old one or the new one, never none."""
        with answering(self._uri):
            self._client.set_registered_model_alias(model, alias, number)

    def drop(self, model: str, alias: str) -> None:
        """Takes the alias away, if there is one."""
        with answering(self._uri):
            self._client.delete_registered_model_alias(model, alias)

    def tag(self, model: str, number: str, tags: Mapping[str, str]) -> None:
        """Sets the version's tags."""
        with answering(self._uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(model, number, key, value)

    def load(self, model: str, number: str) -> Classifier:
        """The classifier of the version. ValueError where it cannot be loaded, though MLflow answers."""
        with answering(self._uri):
            self._client.get_registered_model(model)  # so that a server that is away is no broken model
        return classifier_of(self._uri, f"models:/{model}/{number}")

    def _aliases(self, model: str) -> Mapping[str, str]:
        try:
            found: Mapping[str, str] = self._client.get_registered_model(model).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise
        return found
