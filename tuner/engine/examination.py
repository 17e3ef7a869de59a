"""What the exported model says of rows of the snapshot, and of the plane through their two principal components."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.classifier import Classifier
from tuner.data.snapshot import Snapshot
from tuner.engine.account import Examined, Plane
from tuner.engine.history import MODEL_FOLDER
from tuner.engine.storage import Storage

ROWS = 20_000  # of a split, evenly spread: more change no figure that people read
FITTED = 5_000  # rows that the principal components are found from
POINTS = 300  # rows that are put down on the plane
CELLS = 160  # of the plane, along each axis
NAMED = 3  # inputs that weigh most on an axis
Floats = NDArray[np.float64]


def exported(sweep: Storage) -> Classifier | None:
    """The model that the sweep has exported; None if there is none."""
    names = [name for name in sweep.names(MODEL_FOLDER) if name != "sample.json"]
    if not names:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            Path(folder, name).write_bytes(sweep.read(f"{MODEL_FOLDER}/{name}"))
        return Classifier.load(Path(folder))


def examine(model: Classifier, snapshot: Snapshot) -> Examined:
    """The model on the holdout; on the validation rows, which it was trained on, where there is no holdout."""
    splits = snapshot.splits
    part = "holdout" if splits["holdout"].stop > splits["holdout"].start else "validation"
    chosen = _some(splits[part], ROWS)
    probabilities = _probabilities(model, snapshot.X[chosen])
    labels = np.asarray(snapshot.y[chosen], np.int64)
    rows = splits[part].stop - splits[part].start
    return Examined(part, rows, labels, probabilities, _plane(model, snapshot, chosen, labels, probabilities))


def _some(rows: slice, most: int) -> NDArray[np.int64]:
    """At most `most` of the rows, evenly spread, in order."""
    count = rows.stop - rows.start
    return np.asarray(rows.start + _spread(count, most), np.int64)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of the places 0 to `count` - 1."""
    return np.asarray(np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)), np.int64)


def _probabilities(model: Classifier, X: NDArray[Any]) -> Floats:
    """Class probabilities [N, classes] of encoded rows."""
    told = model.inference.log_proba(torch.from_numpy(np.ascontiguousarray(X, np.float32)))
    return np.asarray(told[0].double().exp().numpy(), np.float64)


def _plane(
    model: Classifier, snapshot: Snapshot, chosen: NDArray[np.int64], labels: NDArray[np.int64], told: Floats
) -> Plane | None:
    """The plane of rows that the model was trained on; None where these differ in fewer than two directions."""
    from sklearn.decomposition import PCA

    if snapshot.encoder.width < 2:
        return None
    trained = slice(snapshot.splits["train"].start, snapshot.splits["validation"].stop)
    X = np.asarray(snapshot.X[_some(trained, FITTED)], np.float64)
    found = PCA(2, svd_solver="randomized", random_state=0).fit(X)
    if not found.singular_values_[1] > 1e-9 * found.singular_values_[0]:
        return None
    some = _spread(len(chosen), POINTS)
    points = found.transform(np.asarray(snapshot.X[chosen[some]], np.float64))
    seen = np.vstack([found.transform(X), points])
    low, high = np.percentile(seen, [0.5, 99.5], axis=0)
    margin = 0.08 * (high - low)
    x, y = (np.linspace(low[axis] - margin[axis], high[axis] + margin[axis], CELLS) for axis in (0, 1))
    names = snapshot.encoder.names
    first, second = (_heaviest(names, found.components_[axis]) for axis in (0, 1))
    shares = found.explained_variance_ratio_
    return Plane(
        (float(shares[0]), float(shares[1])),
        (first, second),
        x,
        y,
        _regions(model, found, x, y),
        None if model.inference.layout.widths else _lines(model, found),
        points,
        labels[some],
        told[some].argmax(axis=1),
    )


def _regions(model: Classifier, found: Any, x: Floats, y: Floats) -> NDArray[np.int64]:
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    told = _probabilities(model, found.inverse_transform(grid)).argmax(axis=1)
    return np.asarray(told.reshape(len(y), len(x)), np.int64)


def _lines(model: Classifier, found: Any) -> Floats:
    """a, b, c of each class's score a x + b y + c on the plane: what softmax takes is linear in the inputs."""
    ((W, b),) = model.inference.layers()
    weights = W[0, : model.inference.classes].double().numpy()
    bias = b[0, 0, : model.inference.classes].double().numpy()
    return np.asarray(np.column_stack([weights @ found.components_.T, weights @ found.mean_ + bias]), np.float64)


def _heaviest(names: tuple[str, ...], weights: Floats) -> list[tuple[str, float]]:
    order = np.argsort(-np.abs(weights), kind="stable")[:NAMED]
    return [(names[place], float(weights[place])) for place in order]
