"""Where the weights of a network lie: one flat vector a slot, K slots one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The tensors of one network in its flat vector of `length` numbers: first all matrices, then all vectors.

    `widths` are the hidden widths and `classes` the width of the output layer, as stored (padded or not).
    """

    inputs: int
    widths: tuple[int, ...]
    classes: int
    batch_norm: bool

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(out, in) of each weight matrix, the output layer last."""
        sizes = (self.inputs, *self.widths, self.classes)
        return tuple(zip(sizes[1:], sizes[:-1], strict=True))

    @cached_property
    def matrices(self) -> int:
        """How many numbers are in matrices; they come first, and only they decay."""
        return sum(rows * columns for rows, columns in self.shapes)

    @cached_property
    def _vectors(self) -> list[int]:
        """Lengths of the vectors: gamma and beta (batch norm) or the bias of each hidden layer, the output bias."""
        return [width for width in self.widths for _ in range(1 + self.batch_norm)] + [self.classes]

    @cached_property
    def length(self) -> int:
        return self.matrices + sum(self._vectors)

    @property
    def plain(self) -> Layout:
        """The same without batch norm: a bias in the place of gamma and beta."""
        return replace(self, batch_norm=False)

    def weights(self, flat: Tensor) -> list[Tensor]:
        """Views [K, out, in] into `flat` [K, length], one a layer."""
        parts = torch.split(flat[:, : self.matrices], [rows * columns for rows, columns in self.shapes], dim=1)
        return [part.view(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def vectors(self, flat: Tensor) -> list[tuple[Tensor, ...]]:
        """Views [K, out] into `flat`: (gamma, beta) or (bias,) a hidden layer, then (bias,) of the output layer."""
        parts = torch.split(flat[:, self.matrices :], self._vectors, dim=1)
        each = 1 + self.batch_norm
        return [tuple(parts[at : at + each]) for at in range(0, len(parts), each)]


GAINS = {
    "he": 2.0,  # makes up for the half that a ReLU takes (He et al., 2015)
    "torch": 1 / 3,  # the variance of torch.nn.Linear's default, which is uniform
}


def initial(layout: Layout, seed: int, widths: Sequence[int], classes: int, weights: str = "he") -> Tensor:
    """One slot's first parameters, float64 [length]: hidden weights ~ N(0, GAINS[weights] / fan-in), gamma 1, else 0.

    No ReLU follows the output layer: its weights are ~ N(0, 1 / (3 fan-in)) in any case, so that the first
    predictions are near uniform and the first loss is near ln(classes). The numbers depend on `seed` and on the true
    `widths` and `classes` only; what is padded gets zeros, and a bias of minus infinity for the classes that do not
    exist, so that softmax gives them exactly nothing.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    flat = torch.zeros(1, layout.length, dtype=torch.float64)
    fan_in = layout.inputs
    gains = [GAINS[weights]] * len(widths) + [GAINS["torch"]]
    for W, width, gain in zip(layout.weights(flat), (*widths, classes), gains, strict=True):
        values = generator.standard_normal((width, fan_in)) * np.sqrt(gain / fan_in)
        W[0, :width, :fan_in] = torch.from_numpy(values)
        fan_in = width
    *hidden, (bias,) = layout.vectors(flat)
    if layout.batch_norm:
        for gamma, _ in hidden:
            gamma.fill_(1)
    bias[:, classes:] = -torch.inf
    return flat[0]


def unpadded(layout: Layout, flat: Tensor, widths: Sequence[int], classes: int) -> tuple[Layout, Tensor]:
    """One slot's vector [1, length] without its padding, and the layout of that."""
    small = Layout(layout.inputs, tuple(widths), classes, layout.batch_norm)
    result = flat.new_empty(1, small.length)
    for target, source in zip(small.weights(result), layout.weights(flat), strict=True):
        target.copy_(source[:, : target.shape[1], : target.shape[2]])
    for targets, sources in zip(small.vectors(result), layout.vectors(flat), strict=True):
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source[:, : target.shape[1]])
    return small, result
