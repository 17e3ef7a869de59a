"""The formulas in NumPy float64, for one network: what the tensor program in `models` must agree with.

Columns are examples, as in the course: X is [features, m], Z = W A + b is [units, m]. Weights are a dict with
W1, gamma1, beta1 (batch norm) or W1, b1 a hidden layer and WL, bL of the output layer. No code is shared
with `models`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]


@dataclass(frozen=True)
class Oracle:
    """A network with `hidden` hidden layers."""

    hidden: int
    batch_norm: bool = True
    epsilon: float = 1e-8
    activation: str = "relu"

    def gradients(self, weights: Weights, X: Array, y: NDArray[np.int64]) -> tuple[float, Weights]:
        """Mean cross-entropy over the examples, and its gradients."""
        m, last = X.shape[1], self.hidden + 1
        As, norms, Zs = [X], [], []
        for layer in range(1, last):
            Z = weights[f"W{layer}"] @ As[-1]
            if self.batch_norm:
                Z, norm = batch_norm(Z, weights[f"gamma{layer}"], weights[f"beta{layer}"], self.epsilon)
                norms.append(norm)
            else:
                Z = Z + weights[f"b{layer}"][:, None]
            Zs.append(Z)
            As.append(self.activate(Z))
        A = softmax(weights[f"W{last}"] @ As[-1] + weights[f"b{last}"][:, None])
        Y = np.zeros_like(A)
        Y[y, np.arange(m)] = 1
        loss = -np.sum(Y * np.log(A)) / m

        dZ = A - Y
        grads: Weights = {}
        for layer in range(last, 0, -1):
            if layer < last:
                dZ = (weights[f"W{layer + 1}"].T @ dZ) * self.slope(Zs[layer - 1])
            if layer < last and self.batch_norm:
                dgamma, dbeta, dZ = batch_norm_gradients(dZ, norms[layer - 1], weights[f"gamma{layer}"])
                grads |= {f"gamma{layer}": dgamma / m, f"beta{layer}": dbeta / m}
            else:
                grads[f"b{layer}"] = dZ.sum(axis=1) / m
            grads[f"W{layer}"] = dZ @ As[layer - 1].T / m
        return float(loss), grads

    def predict(self, weights: Weights, X: Array, moments: list[tuple[Array, Array]]) -> Array:
        """Probabilities [classes, m] with the given mean and variance of each hidden layer's Z."""
        A = X
        for layer in range(1, self.hidden + 1):
            Z = weights[f"W{layer}"] @ A
            if self.batch_norm:
                mean, variance = moments[layer - 1]
                Z = (Z - mean[:, None]) / np.sqrt(variance + self.epsilon)[:, None]
                Z = weights[f"gamma{layer}"][:, None] * Z + weights[f"beta{layer}"][:, None]
            else:
                Z = Z + weights[f"b{layer}"][:, None]
            A = self.activate(Z)
        last = self.hidden + 1
        return softmax(weights[f"W{last}"] @ A + weights[f"b{last}"][:, None])

    def batch_moments(self, weights: Weights, X: Array) -> list[tuple[Array, Array]]:
        """Mean and population variance of each hidden layer's Z over X; over all of X these are the exact ones."""
        A, moments = X, []
        for layer in range(1, self.hidden + 1):
            Z = weights[f"W{layer}"] @ A
            moments.append((Z.mean(axis=1), ((Z - Z.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)))
            Y, _ = batch_norm(Z, weights[f"gamma{layer}"], weights[f"beta{layer}"], self.epsilon)
            A = self.activate(Y)
        return moments

    def activate(self, Z: Array) -> Array:
        return np.tanh(Z) if self.activation == "tanh" else np.maximum(Z, 0)

    def slope(self, Z: Array) -> Array:
        return 1 - np.tanh(Z) ** 2 if self.activation == "tanh" else (Z > 0).astype(float)


def softmax(Z: Array) -> Array:
    e = np.exp(Z - Z.max(axis=0))
    result: Array = e / e.sum(axis=0)
    return result


def batch_norm(Z: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, tuple[Array, Array]]:
    """gamma * Znorm + beta, and (Znorm, standard deviation) for the way back (Ioffe and Szegedy, 2015)."""
    mu = Z.mean(axis=1, keepdims=True)
    variance = ((Z - mu) ** 2).mean(axis=1, keepdims=True)
    deviation = np.sqrt(variance + epsilon)
    normed = (Z - mu) / deviation
    return gamma[:, None] * normed + beta[:, None], (normed, deviation)


def batch_norm_gradients(dY: Array, norm: tuple[Array, Array], gamma: Array) -> tuple[Array, Array, Array]:
    """dgamma, dbeta, dZ by the chain rule through the mean and the variance."""
    normed, deviation = norm
    dnormed = dY * gamma[:, None]
    inner = dnormed - dnormed.mean(axis=1, keepdims=True) - normed * (dnormed * normed).mean(axis=1, keepdims=True)
    return (dY * normed).sum(axis=1), dY.sum(axis=1), inner / deviation


def average(old: Array, new: Array, decay: float) -> Array:
    """One step of an exponentially weighted average."""
    return decay * old + (1 - decay) * new


def update(rule: str, p: Array, g: Array, state: dict[str, Array], *, t: int, h: dict[str, float]) -> Array:
    """The weights after step `t` (from 1) with hyperparameters `h`; `state` (v, s) is updated."""
    zero = np.zeros_like(p)
    if rule == "sgd":
        return p - h["lr"] * g
    if rule == "momentum":
        state["v"] = average(state.get("v", zero), g, h["momentum"])
        return p - h["lr"] * state["v"]
    state["s"] = average(state.get("s", zero), g**2, h["beta2"])
    if rule == "rmsprop":
        return p - h["lr"] * g / (np.sqrt(state["s"]) + h["epsilon"])
    state["v"] = average(state.get("v", zero), g, h["beta1"])
    v, s = state["v"] / (1 - h["beta1"] ** t), state["s"] / (1 - h["beta2"] ** t)
    return p - h["lr"] * v / (np.sqrt(s) + h["epsilon"])


def decayed(schedule: str, start: float, rate: float, every: int, epoch: int) -> float:
    """The learning rate of epoch number `epoch` (from 0)."""
    if schedule == "inverse_time":
        return start / (1 + rate * epoch)
    if schedule == "exponential":
        return start * rate**epoch
    if schedule == "sqrt":
        return start / float(np.sqrt(1 + rate * epoch))
    if schedule == "staircase":
        for e in range(1, epoch + 1):
            start *= rate if e % every == 0 else 1
    return start
