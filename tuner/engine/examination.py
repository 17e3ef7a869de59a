"""What the exported model says of rows of the snapshot, and of the plane through their two principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuner.engine.account import Examined, Plane

if TYPE_CHECKING:
    from models.classifier import Classifier
    from tuner.data.snapshot import Snapshot

ROWS = 20_000  # of a split, evenly spread: more change no figure that people read
WIDE = 300  # inputs from which on fewer rows are taken to find the principal components: it takes time
FITTED, FITTED_WIDE = 5_000, 1_000
POINTS = 300  # rows that are put down on the plane
CELLS = 160  # of the plane, along each axis
NAMED = 3  # inputs that weigh most on an axis
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def examine(model: Classifier, snapshot: Snapshot) -> Examined:
    """The model on the holdout; on the validation rows, which it was trained on, where there is no holdout."""
    splits = snapshot.splits
    part = "holdout" if splits["holdout"].stop > splits["holdout"].start else "validation"
    chosen = _some(splits[part], ROWS)
    told = _probabilities(model, snapshot.X[chosen])
    labels = np.asarray(snapshot.y[chosen], np.int64)
    rows = splits[part].stop - splits[part].start
    return Examined(part, rows, labels, told, _plane(model, snapshot, chosen, labels, told))


def _plane(model: Classifier, snapshot: Snapshot, chosen: Places, labels: Places, told: Floats) -> Plane | None:
    """The plane of rows that the model was trained on; None where these differ in fewer than two directions."""
    width = snapshot.encoder.width
    trained = slice(snapshot.splits["train"].start, snapshot.splits["validation"].stop)
    X = np.asarray(snapshot.X[_some(trained, FITTED if width <= WIDE else FITTED_WIDE)], np.float64)
    mean = X.mean(axis=0)
    _, sizes, directions = np.linalg.svd(X - mean, full_matrices=False)
    if len(sizes) < 2 or not sizes[1] > 1e-9 * sizes[0]:
        return None
    heaviest = np.abs(directions[:2]).argmax(axis=1)
    axes = directions[:2] * np.sign(directions[[0, 1], heaviest])[:, None]  # else their signs are anyone's guess
    some = _spread(len(chosen), POINTS)
    points = (np.asarray(snapshot.X[chosen[some]], np.float64) - mean) @ axes.T
    x, y = _grid(np.vstack([(X - mean) @ axes.T, points]))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    first, second = (_heaviest(snapshot.encoder.names, axis) for axis in axes)
    shares = sizes**2 / (sizes**2).sum()
    return Plane(
        (float(shares[0]), float(shares[1])),
        (first, second),
        x,
        y,
        np.asarray(_probabilities(model, grid @ axes + mean).argmax(axis=1).reshape(len(y), len(x)), np.int64),
        None if model.inference.layout.widths else _lines(model, mean, axes),
        points,
        labels[some],
        np.asarray(told[some].argmax(axis=1), np.int64),
    )


def _grid(seen: Floats) -> tuple[Floats, Floats]:
    """Places along both axes of all that is seen [N, 2] but the utmost, with a margin."""
    low, high = np.percentile(seen, [0.5, 99.5], axis=0)
    margin = 0.08 * (high - low)
    x, y = (np.linspace(low[axis] - margin[axis], high[axis] + margin[axis], CELLS) for axis in (0, 1))
    return x, y


def _lines(model: Classifier, mean: Floats, axes: Floats) -> Floats:
    """a, b, c of each class's score a x + b y + c on the plane: what softmax takes is linear in the inputs."""
    ((W, b),) = model.inference.layers()
    weights = W[0, : model.inference.classes].double().numpy()
    bias = b[0, 0, : model.inference.classes].double().numpy()
    return np.asarray(np.column_stack([weights @ axes.T, weights @ mean + bias]), np.float64)


def _heaviest(names: tuple[str, ...], weights: Floats) -> list[tuple[str, float]]:
    order = np.argsort(-np.abs(weights), kind="stable")[:NAMED]
    return [(names[place], float(weights[place])) for place in order]


def _some(rows: slice, most: int) -> Places:
    """At most `most` of the rows, evenly spread, in order."""
    return np.asarray(rows.start + _spread(rows.stop - rows.start, most), np.int64)


def _spread(count: int, most: int) -> Places:
    """At most `most` of the places 0 to `count` - 1."""
    return np.asarray(np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)), np.int64)


def _probabilities(model: Classifier, X: NDArray[Any]) -> Floats:
    """Class probabilities [N, classes] of encoded rows."""
    told = model.inference.log_proba(torch.tensor(X, dtype=torch.float32))
    return np.asarray(told[0].double().exp().numpy(), np.float64)
