"""The network and the loop that a user of Ray Tune or Optuna writes by hand: nn.Sequential, DataLoader, one trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass(frozen=True, eq=False)
class Rows:
    """X [N, inputs] float32 and y [N] int64, for training and for validation; labels are below `classes`."""

    X: torch.Tensor
    y: torch.Tensor
    X_val: torch.Tensor
    y_val: torch.Tensor
    classes: int

    @classmethod
    def load(cls, folder: Path) -> Rows:
        """The arrays that `benchmarks.contest.write_rows` left in `folder`."""
        arrays = [torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("X", "y", "X_val", "y_val")]
        X, y, X_val, y_val = arrays
        return cls(X, y, X_val, y_val, int(max(y.max(), y_val.max())) + 1)


def network(inputs: int, classes: int, layers: int, units: int) -> nn.Sequential:
    """Linear, batch norm, ReLU for each hidden layer; then a linear layer whose outputs are logits."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
        inputs = units
    return nn.Sequential(*parts, nn.Linear(inputs, classes))


def train(params: Mapping[str, Any], rows: Rows, epochs: int) -> Iterator[tuple[float, float]]:
    """Trains one trial; yields (validation loss in nats, validation accuracy) after each epoch."""
    model = network(rows.X.shape[1], rows.classes, params["hidden_layers"], params["hidden_units"])
    data = DataLoader(TensorDataset(rows.X, rows.y), batch_size=params["batch_size"], shuffle=True, drop_last=True)
    momentum = 1 - params["one_minus_momentum"]
    # dampening makes the velocity the weighted mean that Caviar uses: the learning rates mean the same
    optimizer = torch.optim.SGD(model.parameters(), lr=params["learning_rate"], momentum=momentum, dampening=momentum)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + params["decay_rate"] * epoch))
    loss_of = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        for X, y in data:
            optimizer.zero_grad()
            loss_of(model(X), y).backward()
            optimizer.step()
        decay.step()
        model.eval()
        with torch.no_grad():
            logits = model(rows.X_val)
            accuracy = (logits.argmax(1) == rows.y_val).float().mean()
            yield float(loss_of(logits, rows.y_val)), float(accuracy)
