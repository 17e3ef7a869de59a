"""Writes scikit-learn's digits, 1,797 images of 8 x 8 pixels, as one NPZ file (X, y).

python examples/digits.py [--out data/digits.npz]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main() -> None:
    """Writes the file and tells what it wrote."""
    parser = argparse.ArgumentParser(description="scikit-learn's digits as one NPZ file")
    parser.add_argument("--out", type=Path, default=Path("data/digits.npz"), help="file (default: %(default)s)")
    out: Path = parser.parse_args().out
    digits = load_digits()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial.npz")
    np.savez_compressed(partial, X=digits.images.astype(np.uint8), y=digits.target.astype(np.int64))
    partial.replace(out)
    print(f"{len(digits.target):,} images of {digits.images[0].shape} pixels, ten classes: {out}")


if __name__ == "__main__":
    main()
