"""Builds the example data: digits from a good scanner, and after them digits from a worse one.

    python examples/shift/build.py [--out data/shift.parquet] [--contrast 0.5]

The digits are scikit-learn's 1,797 images of 8 x 8 pixels. A random third of them, which comes last in `scanned`, goes
through the second scanner: it sees `contrast` times the ink of every pixel.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits


def main() -> None:
    """Writes the file and tells what it wrote."""
    parser = argparse.ArgumentParser(description="digits from two scanners, as one Parquet file")
    parser.add_argument("--out", type=Path, default=Path("data/shift.parquet"), help="file (default: %(default)s)")
    parser.add_argument("--contrast", type=float, default=0.5, help="of the second scanner (default: %(default)s)")
    asked = parser.parse_args()
    frame = build(asked.contrast)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    partial = asked.out.with_name(f".{asked.out.name}.partial")
    frame.to_parquet(partial, index=False)
    partial.replace(asked.out)
    days = frame["scanned"].dt.date.value_counts().sort_index()
    print(f"{len(frame):,} digits: {', '.join(f'{count:,} on {day}' for day, count in days.items())}: {asked.out}")


def build(contrast: float) -> pd.DataFrame:
    """Columns p0 … p63 (0 is white, 16 black), `digit`, and `scanned`: the second scanner's are a day younger."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    second = np.arange(len(y)) >= 2 * len(y) // 3
    X[second] = np.round(contrast * X[second])
    frame = pd.DataFrame(X, columns=[f"p{place}" for place in range(X.shape[1])])
    frame["digit"] = y
    seconds = np.arange(len(y)) + np.where(second, 24 * 3600, 0)
    frame["scanned"] = pd.Timestamp("2026-03-02T08:00") + pd.to_timedelta(seconds, unit="s")
    return frame


if __name__ == "__main__":
    main()
