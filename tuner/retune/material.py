"""A period's raw rows: read once, kept beside its state, and never read from the source again.

What is judged after a kill, or next month as the champion's data, is what was read when the period was tuned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.errors import DataError
from tuner.data import preparation, snapshot
from tuner.engine import build
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.spec import Spec

WINDOW, HOLDOUT, FACTS = "window.parquet", "holdout.parquet", "facts.json"
KEPT_ROWS = 50_000  # of the window, drawn at random: what drift is measured on


@dataclass(frozen=True, slots=True)
class Material:
    """Raw rows of a period: `window` (training and validation; a sample of them) and all of `holdout`.

    The target column holds the classes' names. `facts` are JSON values: digest, rows, classes, class_counts (by
    part), features (kind by name), missing (share by feature), newest (ISO time).
    """

    window: pd.DataFrame
    holdout: pd.DataFrame
    facts: Mapping[str, Any]


def gather(spec: Spec, place: Place, folder: Storage) -> Mapping[str, Any]:
    """Reads what `spec` names, makes its snapshot, keeps the raw rows in `folder`; returns the facts.

    DataError for data that nothing can be trained on.
    """
    request = build.request(spec)
    found = preparation.gather(request)
    made = snapshot.store(preparation.encode(request, found), place.snapshots)
    named = found.frame.assign(**{request.label: np.array(found.classes)[found.y]})
    window = named.iloc[np.sort(np.concatenate([found.split.train, found.split.validation]))]
    sample = window.sample(min(len(window), KEPT_ROWS), random_state=0).sort_index()
    for name, frame in ((WINDOW, sample), (HOLDOUT, named.iloc[found.split.holdout])):
        _write(folder, name, frame)
    about = made.description
    facts = {
        **{key: about[key] for key in ("digest", "rows", "classes", "class_counts", "features", "ranges")},
        "missing": {name: float(found.frame[name].isna().mean()) for name in found.features},
        "newest": about["ranges"]["holdout"][1],
    }
    folder.write(FACTS, json.dumps(facts).encode())
    return facts


def kept(folder: Storage) -> Material:
    """What `gather` left in `folder`. FileNotFoundError where it left nothing."""
    facts = json.loads(folder.read(FACTS))
    return Material(_read(folder, WINDOW), _read(folder, HOLDOUT), facts)


def _write(folder: Storage, name: str, frame: pd.DataFrame) -> None:
    with folder.file_to_write(name) as file:
        try:
            frame.to_parquet(file, index=False)
        except (ValueError, TypeError) as error:  # of pyarrow: several kinds in one column
            raise DataError(f"a column must hold values of one kind ({error}): convert it, or leave it out") from error


def _read(folder: Storage, name: str) -> pd.DataFrame:
    with folder.file_to_read(name) as file:
        return pd.read_parquet(file)
