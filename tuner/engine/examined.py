"""An examination as one object beside the journal: the worker that exports the model leaves it, reports read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tuner.engine.account import Examined, Plane
from tuner.engine.storage import Storage

if TYPE_CHECKING:
    from models.classifier import Classifier
    from tuner.data.snapshot import Snapshot

NAME = "examined.safetensors"
MISSING = "There is no exported model: the sweep has not come to its end, or no trial reached a finite loss."
ARRAYS = ("x", "y", "regions", "points", "labels", "predicted")  # of a plane


def leave(sweep: Storage, model: Classifier, snapshot: Snapshot) -> None:
    """Examines the model and stores what came out. What goes wrong is stored instead: the model is as good as it is."""
    from tuner.engine.examination import examine

    try:
        data = packed(examine(model, snapshot))
    except Exception as error:
        data = save({}, {"error": f"{type(error).__name__}: {error}"[:500]})
    sweep.write(NAME, data)


def take(sweep: Storage) -> tuple[Examined | None, str]:
    """What was left; else why there is nothing, as a sentence."""
    try:
        with sweep.file_to_read(NAME) as file, safe_open(file, "np") as opened:
            about: dict[str, str] = opened.metadata() or {}
            if "error" in about:
                return None, f"The model could not be examined: {about['error']}."
            return unpacked({name: opened.get_tensor(name) for name in opened.keys()}, about), ""  # noqa: SIM118
    except FileNotFoundError:
        return None, MISSING
    except SafetensorError as error:
        return None, f"What the model said of rows cannot be read: {error}."


def packed(found: Examined) -> bytes:
    """The examination as bytes."""
    arrays: dict[str, Any] = {"of_rows": found.labels, "probabilities": found.probabilities.astype(np.float32)}
    about = {"part": found.part, "rows": str(found.rows)}
    if found.plane:
        arrays |= {name: getattr(found.plane, name) for name in ARRAYS}
        arrays |= {} if found.plane.lines is None else {"lines": found.plane.lines}
        about["plane"] = json.dumps({"shares": found.plane.shares, "loadings": found.plane.loadings})
    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, about))


def unpacked(arrays: dict[str, Any], about: dict[str, str]) -> Examined:
    """The inverse of `packed`, but for the digits of probabilities."""
    plane = None
    if "plane" in about:
        told = json.loads(about["plane"])
        first, second = ([(str(name), float(weight)) for name, weight in axis] for axis in told["loadings"])
        rest = {name: arrays[name] for name in ARRAYS}
        plane = Plane(shares=tuple(told["shares"]), loadings=(first, second), lines=arrays.get("lines"), **rest)
    probabilities = arrays["probabilities"].astype(np.float64)
    return Examined(about["part"], int(about["rows"]), arrays["of_rows"], probabilities, plane)
