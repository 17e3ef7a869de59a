"""K networks of one shape as one tensor program, forward and backward written out; K = 1 is the ordinary network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.config import Config
from models.layout import Layout

__all__ = ["Config", "Network", "activate", "activation_gradient", "sum_rows"]


def activate(Z: Tensor, activation: str) -> Tensor:
    """The activation of Z, in place. Both kinds map 0 to 0, so that a padded unit stays exactly zero."""
    return Z.tanh_() if activation == "tanh" else Z.relu_()


def activation_gradient(dA: Tensor, A: Tensor, activation: str) -> Tensor:
    """dA times the derivative of the activation, from its value A; in place."""
    if activation == "tanh":
        return torch.ops.aten.tanh_backward.grad_input(dA, A, grad_input=dA)  # type: ignore[no-any-return]
    return torch.ops.aten.threshold_backward.grad_input(dA, A, 0, grad_input=dA)  # type: ignore[no-any-return]


def sum_rows(T: Tensor) -> Tensor:
    """The sum over axis 0 by halving, in elementwise additions; T is left alone.

    torch.sum chooses its order of addition by the whole shape, so a slot's last bits may depend on K.
    """
    while len(T) > 1:
        half = len(T) // 2
        total = T[:half] + T[half : 2 * half]
        if len(T) % 2:
            total[0] += T[-1]
        T = total
    return T[0]


class Network:
    """Forward and backward of K slots on batches of `config.batch_size` rows; buffers are allocated once.

    `params` [K, length] is shared with the caller; `grads` [K, length] holds the gradients of the sum over
    slots of each slot's mean cross-entropy. `means`, `variances` [K, width] a hidden layer are the running
    averages of batch norm, updated in place. Activations are [batch, K, width], which batch norm reads as
    [batch, K * width] channels and the products as K slices.
    """

    def __init__(
        self, layout: Layout, config: Config, params: Tensor, *, means: Sequence[Tensor], variances: Sequence[Tensor]
    ) -> None:
        self.config, self.batch, self.slots = config, config.batch_size, len(params)
        self.grads = torch.zeros_like(params)
        self.W, self.vectors = layout.weights(params), layout.vectors(params)
        self.dW, self.dvectors = layout.weights(self.grads), layout.vectors(self.grads)
        self.means, self.variances = means, variances
        self.Z, self.A, self.dA = (
            [params.new_empty(self.batch, self.slots, width) for width in (*layout.widths, layout.classes)]
            for _ in range(3)
        )
        self.inputs: list[Tensor] = []  # of each layer, [K, batch, in]
        self.saved: list[tuple[Tensor, Tensor]] = []  # batch mean and 1 / sqrt(variance + epsilon), [K * width]

    def forward(self, X: Tensor) -> Tensor:
        """Log-probabilities [batch, K, classes] of the rows X [batch, inputs]."""
        self.inputs, self.saved = [X.expand(self.slots, *X.shape)], []
        last = len(self.W) - 1
        for layer, W in enumerate(self.W):
            torch.bmm(self.inputs[-1], W.mT, out=self.Z[layer].transpose(0, 1))
            if layer == last:
                break
            Y = self._normalise(layer) if self.config.normalised else self.Z[layer].add_(self.vectors[layer][0])
            self.inputs.append(activate(Y, self.config.activation).transpose(0, 1))
        return torch.log_softmax(self.Z[last].add_(self.vectors[last][0]), 2, out=self.A[last])

    def backward(self, Y: Tensor) -> None:
        """Fill `grads` for the one-hot labels Y [batch, 1, classes] of the rows last given to `forward`."""
        last = len(self.W) - 1
        dZ = torch.exp(self.A[last], out=self.dA[last]).sub_(Y).div_(self.batch)  # dZ = (A - Y) / m
        self.dvectors[last][0].copy_(sum_rows(dZ))
        for layer in range(last, -1, -1):
            torch.bmm(dZ.permute(1, 2, 0), self.inputs[layer], out=self.dW[layer])
            if layer:
                dA = self.dA[layer - 1]
                torch.bmm(dZ.transpose(0, 1), self.W[layer], out=dA.transpose(0, 1))
                dZ = self._through(layer - 1, dA)

    def _normalise(self, layer: int) -> Tensor:
        """gamma * (Z - mean) / sqrt(variance + epsilon) + beta over the batch, biased variance [batch, K, width]."""
        gamma, beta = (vector.reshape(-1) for vector in self.vectors[layer])
        mean, inverse = torch.empty_like(gamma), torch.empty_like(gamma)
        torch.native_batch_norm(
            self.Z[layer].view(self.batch, -1),
            gamma,
            beta,
            self.means[layer].view(-1),
            self.variances[layer].view(-1),
            True,
            1 - self.config.bn_decay,
            self.config.bn_epsilon,
            out=(self.A[layer].view(self.batch, -1), mean, inverse),
        )
        self.saved.append((mean, inverse))
        return self.A[layer]

    def _through(self, layer: int, dA: Tensor) -> Tensor:
        """From dA to dZ of a hidden layer [batch, K, width], filling the gradients of its vectors on the way."""
        A = self.inputs[layer + 1].transpose(0, 1)
        dY = activation_gradient(dA, A, self.config.activation)
        if not self.config.normalised:
            self.dvectors[layer][0].copy_(sum_rows(dY))
            return dY
        gamma = self.vectors[layer][0].reshape(-1)
        dZ, *grads = torch.ops.aten.native_batch_norm_backward(
            dY.view(self.batch, -1),
            self.Z[layer].view(self.batch, -1),
            gamma,
            None,
            None,
            *self.saved[layer],
            True,
            self.config.bn_epsilon,
            [True, True, True],
        )
        for target, grad in zip(self.dvectors[layer], grads, strict=True):
            target.copy_(grad.view(self.slots, -1))
        return dZ.view(self.batch, self.slots, -1)  # type: ignore[no-any-return]
