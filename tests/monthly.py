"""A small business with a delivery of data each month, for tests of re-tuning."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

CLASSES = ("late", "never", "on time")
POLICY = "policy.yaml"


def table(start: str, end: str, *, angle: float = 0.0, move: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """A row each half hour: the class is the sector in which (x, y) lies, of three that are turned by `angle`.

    The rows lie around (`move`, 0).
    """
    times = pd.date_range(start, end, freq="30min", inclusive="left")
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, len(times)))
    x += move
    sector = ((np.arctan2(y, x) - angle) % (2 * np.pi) // (2 * np.pi / 3)).astype(int)
    noise = random.random(len(times)) < 0.1
    sector[noise] = random.integers(0, 3, noise.sum())
    shop = random.choice(["north", "south"], len(times))
    return pd.DataFrame({"time": times, "x": x, "y": y, "shop": shop, "kind": np.array(CLASSES)[sector]})


def deliver(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """Puts the rows where the policy's spec looks for them."""
    (folder / "data").mkdir(exist_ok=True)
    path = folder / "data" / f"{name}.parquet"
    frame.to_parquet(path, index=False)
    return path


def write(folder: Path, **changes: Any) -> Path:
    """The policy and its spec in `folder`; `changes` win over the policy's fields."""
    spec = {
        "name": "shop",
        "data": {
            "source": str(folder / "data/*.parquet"),
            "target": "kind",
            "time": "time",
            "validation": {"last": "5 days"},
        },
        "model": {"hidden_layers": {"int": [0, 1]}, "hidden_units": 32},
        "train": {"learning_rate": {"log_uniform": [1e-3, 1e-1]}, "optimizer": "adam", "batch_size": 64},
        "search": {"trials": 4},
        "stopping": {"asha": {"max_epochs": 4, "reduction": 2}},
        "objective": {"confirm": 0, "baseline": False},
    }
    policy = {
        "model": "shop",
        "spec": "spec.yaml",
        "schedule": {"cron": "0 0 1 * *"},
        "window": {"last": "30 days"},
        "holdout": {"last": "8 days"},
        "gate": {"min_delta": 0.001, "tolerance": 0.5, "class_tolerance": 2.0},
        "warm_start": {"past": 1},
        **changes,
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    (folder / POLICY).write_text(yaml.safe_dump(policy))
    return folder / POLICY


def month(name: str) -> datetime:
    """The beginning of "2013-02", in UTC."""
    return datetime.fromisoformat(f"{name}-01T00:00:00+00:00")
