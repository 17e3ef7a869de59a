"""What batch statistics of the new rows would do: the winner of the example's sweep, normalised anew for each scanner.

    python examples/shift/adapt.py SWEEP-FOLDER [--data data/shift.parquet]

Batch norm predicts with the means and variances of the training rows, so it is a fixed part of the network and shifts
with the input. Here each hidden unit is brought back to the mean and the spread it had on the first scanner's rows,
over all of the second one's rows together, without their labels (AdaBN, Li et al., 2016).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from models.classifier import Classifier
from models.network import activate


def main() -> None:
    """Prints the second scanner's loss and accuracy, as the model is and adapted."""
    parser = argparse.ArgumentParser(description="the winner of the shift example, adapted to the second scanner")
    parser.add_argument("sweep", type=Path, help="the sweep's folder, which has the model")
    parser.add_argument("--data", type=Path, default=Path("data/shift.parquet"), help="file (default: %(default)s)")
    asked = parser.parse_args()
    model, frame = Classifier.load(asked.sweep / "model"), pd.read_parquet(asked.data)
    is_new = frame["scanned"] >= frame["scanned"].min() + pd.Timedelta(hours=12)
    known, new = (torch.from_numpy(model.encoder.transform(frame[rows])) for rows in (~is_new, is_new))
    names = [str(name) for name in model.classes]
    y = torch.tensor([names.index(str(digit)) for digit in frame.loc[is_new, "digit"]])
    for told, logp in (("as it is", model.inference.log_proba(new)[0]), ("adapted", adapted(model, known, new))):
        loss, right = -logp.gather(1, y[:, None]).mean(), (logp.argmax(1) == y).float().mean()
        print(f"{told:9} loss {loss:.3f}, {right:.1%} right")


def adapted(model: Classifier, known: Tensor, new: Tensor) -> Tensor:
    """Log-probabilities [N, classes] of the rows `new`, every hidden unit with its moments on the rows `known`."""
    *hidden, (W, b) = model.inference.layers()
    A, B = known, new
    for weight, bias in hidden:
        Z, shifted = A @ weight[0].T + bias[0], B @ weight[0].T + bias[0]
        scale = Z.std(0) / shifted.std(0).clamp_min(1e-8)
        B = activate((shifted - shifted.mean(0)) * scale + Z.mean(0), model.inference.activation)
        A = activate(Z, model.inference.activation)  # in place, so last
    return torch.log_softmax(B @ W[0].T + b[0], 1)


if __name__ == "__main__":
    main()
