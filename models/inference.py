"""The network at test time: batch norm folded into the weights, so that a hidden layer is g(W x + b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.layout import Layout, unpadded
from models.network import activate, sum_rows

CHUNK = 512  # rows at a time; fixed, so that no result depends on memory or on K
Moments = tuple[Tensor, Tensor]  # mean and biased variance of a layer's Z, float64 [K, width]


@dataclass(frozen=True, eq=False)
class Inference:
    """K networks ready to predict. `layout` is without batch norm; `params` [K, length]; `classes` really exist."""

    layout: Layout
    params: Tensor
    activation: str
    classes: int

    def log_proba(self, X: Tensor) -> Tensor:
        """Log-probabilities [K, N, classes] of the rows X [N, inputs]."""
        return torch.cat([self.chunk(X[at : at + CHUNK]) for at in range(0, len(X), CHUNK)], dim=1)

    def chunk(self, X: Tensor) -> Tensor:
        """Log-probabilities of a few rows at once."""
        A = X.to(self.params).expand(len(self.params), *X.shape)
        *hidden, (W, b) = self.layers()
        for weight, bias in hidden:
            A = activate(affine(A, weight, bias), self.activation)
        return torch.log_softmax(affine(A, W, b), 2)[:, :, : self.classes]

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight [K, out, in] and bias [K, 1, out] of each layer, as views."""
        biases = [bias.unsqueeze(1) for (bias,) in self.layout.vectors(self.params)]
        return list(zip(self.layout.weights(self.params), biases, strict=True))

    def single(self, slot: int, widths: Sequence[int]) -> Inference:
        """One slot by itself, a copy without padding; `widths` are its true hidden widths."""
        layout, params = unpadded(self.layout, self.params[slot : slot + 1], widths, self.classes)
        return Inference(layout, params, self.activation, self.classes)


def affine(A: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """A W^T + b of each slot: A [K, N, in], W [K, out, in], b [K, 1, out]; a new tensor [K, N, out].

    In two steps: with one input, baddbmm rounds once for one slot and twice for several, on CPUs with AVX-512.
    """
    return torch.bmm(A, W.mT).add_(b)


def loss_and_accuracy(inference: Inference, X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy in nats and share of right answers over the rows X, y; both float64 [K]."""
    loss, right = torch.zeros(2, len(inference.params), dtype=torch.float64, device=inference.params.device)
    for at in range(0, len(X), CHUNK):
        logp, labels = inference.chunk(X[at : at + CHUNK]), y[at : at + CHUNK]
        picked = logp.gather(2, labels[None, :, None].expand(len(logp), -1, 1))[:, :, 0]
        loss -= sum_rows(picked.T.double())
        right += (logp.argmax(2) == labels).sum(1)
    return loss / len(X), right / len(X)


def fold(layout: Layout, params: Tensor, moments: Sequence[Moments], epsilon: float) -> Tensor:
    """`params` with batch norm folded into weights and biases: [K, length] of the layout without batch norm."""
    if not layout.batch_norm:
        return params.clone()
    plain = layout.plain
    result = params.new_empty(len(params), plain.length)
    weights, vectors = layout.weights(params), layout.vectors(params)
    folded = [fold_layer(weights[layer], vectors[layer], moment, epsilon) for layer, moment in enumerate(moments)] + [
        (weights[-1], vectors[-1][0])
    ]
    for W, (b,), (weight, bias) in zip(plain.weights(result), plain.vectors(result), folded, strict=True):
        W.copy_(weight)
        b.copy_(bias)
    return result


def fold_layer(W: Tensor, vectors: Sequence[Tensor], moments: Moments, epsilon: float) -> tuple[Tensor, Tensor]:
    """W' = W * scale and b' = beta - mean * scale with scale = gamma / sqrt(variance + epsilon), in float64."""
    (gamma, beta), (mean, variance) = vectors, moments
    scale = gamma.double() / (variance + epsilon).sqrt()
    shift = beta.double() - mean * scale
    return (W.double() * scale.unsqueeze(2)).to(W), shift.to(W)


def population_moments(layout: Layout, params: Tensor, X: Tensor, activation: str, epsilon: float) -> list[Moments]:
    """Exact mean and biased variance of each hidden layer's Z over the rows X [N, inputs], with these weights.

    Layer by layer, each with the statistics of those below; chunks are merged in float64 (Chan et al., 1979).
    """
    moments: list[Moments] = []
    below: list[tuple[Tensor, Tensor]] = []
    for W, vectors in zip(layout.weights(params)[:-1], layout.vectors(params), strict=False):
        seen, mean, squares = 0, params.new_zeros(()).double(), params.new_zeros(()).double()
        for at in range(0, len(X), CHUNK):
            A = X[at : at + CHUNK].to(params).expand(len(params), -1, -1)
            for weight, bias in below:
                A = activate(affine(A, weight, bias.unsqueeze(1)), activation)
            Z = torch.bmm(A, W.mT).transpose(0, 1).double()  # [rows, K, width]
            total = seen + len(Z)
            here = sum_rows(Z) / len(Z)
            squares = squares + sum_rows((Z - here) ** 2) + (here - mean) ** 2 * (seen * len(Z) / total)
            mean = mean + (here - mean) * (len(Z) / total)
            seen = total
        moments.append((mean, squares / seen))
        below.append(fold_layer(W, vectors, moments[-1], epsilon))
    return moments
