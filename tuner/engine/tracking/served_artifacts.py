"""What a cluster's MLflow server stored, read and written again without that server, on the same SQLite file.

Its runs say that their artifacts are at mlflow-artifacts:/…, for which MLflow wants a server. They lie where that
server kept them: beside the SQLite file, with those of the embedded store.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

SCHEME = "mlflow-artifacts"


def read_from(root: Path) -> None:
    """Has this process look for served artifacts below the folder `root`, unless it tracks to a server."""

    def repository(uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> ArtifactRepository:
        if tracking_uri and tracking_uri.startswith("http"):
            return MlflowArtifactsRepository(uri, tracking_uri, registry_uri)
        return LocalArtifactRepository(served(uri, root).as_uri(), tracking_uri, registry_uri)

    _artifact_repository_registry.register(SCHEME, repository)  # type: ignore[no-untyped-call]


def served(uri: str, root: Path) -> Path:
    """The folder of mlflow-artifacts:/…; ValueError if it would lie outside of `root`."""
    path = (root / unquote(urlparse(uri).path).lstrip("/")).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{uri} leaves the folder of artifacts, {root}")
    return path
