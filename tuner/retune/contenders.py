"""Three models on one holdout, row by row: what the gate judges. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.classifier import Classifier

FLOOR = 1e-12  # a probability of zero would make a loss infinite for one row


def measure(
    model: Classifier, rows: pd.DataFrame, labels: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    """Cross-entropy [N] in nats and whether the most probable class is right [N], for the true `labels` [N].

    Rows of a class that the model does not know have infinite loss; those classes come third.
    """
    classes = [str(name) for name in model.classes]
    places = pd.Index(classes).get_indexer(pd.Index(labels))
    probabilities = model.predict_proba(rows)
    known = places >= 0
    given = np.where(known, probabilities[np.arange(len(rows)), np.where(known, places, 0)], 0.0)
    losses = np.where(known, -np.log(np.maximum(given, FLOOR)), np.inf)
    hits = known & (probabilities.argmax(axis=1) == places)
    return losses, hits, sorted(set(np.asarray(labels)[~known].tolist()))


def blocks(times: pd.Series, length: timedelta) -> NDArray[np.int64]:
    """Which block [N] each row is in: those of one span of `length`, counted from 1970, are together."""
    since = times.to_numpy().astype("datetime64[us]").astype(np.int64)
    return since // int(length / timedelta(microseconds=1))


def slices(rows: pd.DataFrame, names: Sequence[str]) -> Mapping[str, list[str]]:
    """The labels [N] of each of the columns `names`; a missing value is a label, too."""
    return {
        name: [str(value) for value in rows[name].astype(object).where(rows[name].notna(), "missing")] for name in names
    }


def prior(counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> dict[str, float]:
    """The share of each class in the rows that were trained and validated on."""
    seen = np.add(counts["train"], counts["validation"])
    return dict(zip(classes, (seen / seen.sum()).tolist(), strict=True))
