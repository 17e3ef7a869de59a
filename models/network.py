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
    [batch, K * width] channels and the products as K slices; views are made once, too, because in a small
    network they cost as much as the arithmetic.
    """

    def __init__(
        self, layout: Layout, config: Config, params: Tensor, *, means: Sequence[Tensor], variances: Sequence[Tensor]
    ) -> None:
        self.config, self.batch, self.slots = config, config.batch_size, len(params)
        self.grads = torch.zeros_like(params)
        self.vectors, self.dvectors = layout.vectors(params), layout.vectors(self.grads)
        self.W, self.dW = layout.weights(params), layout.weights(self.grads)
        self.WT = [W.mT for W in self.W]
        self.Z, self.A, self.dA = (
            [params.new_empty(self.batch, self.slots, width) for width in (*layout.widths, layout.classes)]
            for _ in range(3)
        )
        self.products, self.dproducts = ([T.transpose(0, 1) for T in Ts] for Ts in (self.Z, self.dA))
        self.inputs = [params[:0], *(A.transpose(0, 1) for A in self.A[:-1])]  # of each layer, [K, batch, in]
        self.channels = [tuple(T.view(self.batch, -1) for T in Ts) for Ts in zip(self.Z, self.A, self.dA, strict=True)]
        self.running = [(mean.view(-1), variance.view(-1)) for mean, variance in zip(means, variances, strict=True)]
        self.saved = [torch.empty_like(torch.stack(pair)).unbind() for pair in self.running]  # mean, 1 / deviation
        self.gammas: list[Tensor] = []  # of the last forward, [K * width]
        self.minus_share = params.new_full((self.slots, 1), -1 / self.batch)
        self.ones = params.new_ones(1, self.batch)

    def forward(self, X: Tensor) -> Tensor:
        """Log-probabilities [batch, K, classes] of the rows X [batch, inputs]."""
        self.inputs[0], self.gammas = X.expand(self.slots, *X.shape), []
        *hidden, last = range(len(self.W))
        for layer in hidden:
            torch.bmm(self.inputs[layer], self.WT[layer], out=self.products[layer])
            if self.config.normalised:
                self._normalise(layer)
            else:
                torch.add(self.Z[layer], self.vectors[layer][0], out=self.A[layer])
            activate(self.A[layer], self.config.activation)
        torch.bmm(self.inputs[last], self.WT[last], out=self.products[last])
        return torch.log_softmax(self.Z[last].add_(self.vectors[last][0]), 2, out=self.A[last])

    def backward(self, Y: Tensor) -> None:
        """Fill `grads` for the one-hot labels Y [batch, 1, classes] of the rows last given to `forward`."""
        last = len(self.W) - 1
        dlogp = torch.mul(Y, self.minus_share, out=self.Z[last])
        dZ = torch._log_softmax_backward_data(dlogp, self.A[last], 2, dlogp.dtype, out=self.dA[last])  # (A - Y) / m
        self._sum_rows(dZ, self.dvectors[last][0])
        for layer in range(last, -1, -1):
            torch.bmm(dZ.permute(1, 2, 0), self.inputs[layer], out=self.dW[layer])
            if layer:
                torch.bmm(dZ.transpose(0, 1), self.W[layer], out=self.dproducts[layer - 1])
                dZ = self._through(layer - 1)

    def _normalise(self, layer: int) -> None:
        """A = gamma * (Z - mean) / sqrt(variance + epsilon) + beta over the batch, with its biased variance."""
        gamma, beta = (vector.reshape(-1) for vector in self.vectors[layer])
        self.gammas.append(gamma)
        Z, A, _ = self.channels[layer]
        decay, epsilon = self.config.bn_decay, self.config.bn_epsilon
        torch.native_batch_norm(
            Z, gamma, beta, *self.running[layer], True, 1 - decay, epsilon, out=(A, *self.saved[layer])
        )

    def _through(self, layer: int) -> Tensor:
        """From dA to dZ of a hidden layer [batch, K, width], filling the gradients of its vectors on the way."""
        Z, A, dA = self.channels[layer]
        dY = activation_gradient(dA, A, self.config.activation)
        if not self.config.normalised:
            self._sum_rows(dY, self.dvectors[layer][0])
            return self.dA[layer]
        dZ, *grads = torch.ops.aten.native_batch_norm_backward(
            dY,
            Z,
            self.gammas[layer],
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

    def _sum_rows(self, T: Tensor, target: Tensor) -> None:
        """The sum over the batch of T [batch, K, width] into `target` [K, width]."""
        target.copy_(torch.mm(self.ones, T.view(self.batch, -1)).view(self.slots, -1))
