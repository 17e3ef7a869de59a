"""What a sweep keeps beside its journal: the names of those objects, and what a worker leaves of a pack."""

from __future__ import annotations

import json
import socket

from tuner.engine.storage import Storage, StorageError

MODEL_FOLDER = "model"  # where the worker that refits the winner exports it
REPORT = "report.html"  # the page that says what a sweep found


def result_name(pack_id: int) -> str:
    """The object in which a worker leaves what a pack did."""
    return f"packs/{pack_id:06d}.json"


def partial_name(pack_id: int) -> str:
    """The object in which a worker leaves a pack that is not at its end."""
    return f"state/{pack_id:06d}.partial.safetensors"


def give_up(sweep: Storage, pack_id: int, error: Exception) -> None:
    """Leaves the error as the pack's result; one of the storage is marked, for it is no fault of the pack's."""
    of_storage = isinstance(error, StorageError)
    told = str(error) if of_storage else f"{type(error).__name__}: {error}"
    result = {"error": told, "of_storage": of_storage, "host": socket.gethostname()}
    sweep.write(result_name(pack_id), json.dumps(result).encode())
