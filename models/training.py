"""The training loop: K slots of one shape, epoch after epoch, on the same minibatches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.batches import Batches
from models.inference import loss_and_accuracy
from models.network import Network, sum_rows
from models.optimizers import Optimizer, learning_rate
from models.slots import Slots

__all__ = ["Arrays", "Evaluation", "Slots", "loss_and_accuracy", "train"]


@dataclass(frozen=True, eq=False)
class Arrays:
    """X [N, inputs] float32 (may be a memory map) and labels y [N] int64 below `classes`; which rows are for what."""

    X: Tensor
    y: Tensor
    classes: int
    train: slice
    validation: slice | None


@dataclass(frozen=True)
class Evaluation:
    """One slot after `epoch` epochs (1-based); losses in nats.

    `train_loss` is the mean over the epoch's minibatches, as the weights moved. A `val_loss` of NaN says that
    the slot diverged, unless there are no validation rows.
    """

    label: str
    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float


def train(
    slots: Slots,
    arrays: Arrays,
    *,
    order_seed: int,
    to_epoch: int,
    epoch_rows: int | None = None,
    keep_best: str | None = None,
    group: int | None = None,
) -> Iterator[list[Evaluation]]:
    """Train `slots` in place up to `to_epoch`; yield one evaluation a live slot after every epoch.

    A slot whose loss is not finite is reported once, with a val_loss of NaN, and dropped. `keep_best`, val_loss or
    val_accuracy, keeps each slot's network at its best evaluation, the first of equals. `group` slots are trained
    as one tensor program, by default as many as pay; a slot's numbers are the same in any company.
    """
    if not slots.labels:
        return
    slots.to(arrays.X.device)
    if keep_best:
        slots.make_room_for_best()
    batches = Batches(arrays.train, len(arrays.X), slots.configs[0].batch_size, order_seed, epoch_rows)
    parts: list[Part] = []
    built: object = None
    while slots.labels and slots.epoch < to_epoch:
        if built is not slots.tensors:  # at first, and whenever slots were dropped
            built = slots.tensors
            parts = [Part(view, arrays) for view in slots.groups(group)]
        evaluations = [one for part in parts for one in part.epoch(batches, keep_best)]
        slots.epoch, slots.steps = slots.epoch + 1, slots.steps + batches.steps
        live = [one.label for one in evaluations if not diverged(one, arrays)]
        if len(live) < len(slots.labels):
            slots.keep(live)
        yield evaluations


def diverged(evaluation: Evaluation, arrays: Arrays) -> bool:
    """Whether the loss to look at, training or validation, is not a finite number."""
    loss = evaluation.train_loss if arrays.validation is None else evaluation.val_loss
    return not math.isfinite(loss)


class Part:
    """Slots trained as one tensor program; their tensors are updated in place."""

    def __init__(self, slots: Slots, arrays: Arrays) -> None:
        self.slots, self.arrays = slots, arrays
        tensors, first = slots.tensors, slots.configs[0]
        layers = range(len(slots.layout.widths) if first.normalised else 0)
        means, variances = ([tensors[f"{name}_{layer}"] for layer in layers] for name in ("mean", "variance"))
        self.network = Network(slots.layout, first, tensors["params"], means=means, variances=variances)
        self.optimizer = Optimizer(slots.configs, slots.layout, tensors["params"], tensors)
        one_hot = torch.eye(arrays.classes, slots.layout.classes)
        self.one_hot = one_hot.to(tensors["params"]).unsqueeze(1)  # [classes, 1, padded classes]

    @torch.inference_mode()
    def epoch(self, batches: Batches, keep_best: str | None) -> list[Evaluation]:
        """One epoch over the minibatches, then an evaluation."""
        slots, X, y = self.slots, self.arrays.X, self.arrays.y
        rates = [learning_rate(config, slots.epoch) for config in slots.configs]
        self.optimizer.set_rates(rates)
        loss = torch.zeros(batches.size, len(slots.labels), 1, dtype=torch.float64, device=X.device)
        for rows in batches.epoch(slots.epoch, X.device):
            labels = y.index_select(0, rows)
            logp = self.network.forward(X.index_select(0, rows).to(slots.tensors["params"].dtype))
            loss -= logp.gather(2, labels.view(-1, 1, 1).expand(-1, len(slots.labels), 1))
            self.network.backward(self.one_hot.index_select(0, labels))
            slots.steps += 1
            self.optimizer.step(self.network.grads, slots.steps)
        slots.epoch += 1
        return self.evaluate((sum_rows(loss)[:, 0] / (batches.steps * batches.size)).tolist(), rates, keep_best)

    def evaluate(
        self, train_losses: Sequence[float], rates: Sequence[float], keep_best: str | None
    ) -> list[Evaluation]:
        """Losses on the validation rows; where `keep_best` is the best so far, the network is kept."""
        slots, rows = self.slots, self.arrays.validation
        val_losses = accuracies = [math.nan] * len(slots.labels)
        if rows is not None:
            inference = slots.inference(self.arrays.X[self.arrays.train])
            losses, right = loss_and_accuracy(inference, self.arrays.X[rows], self.arrays.y[rows])
            losses[~torch.tensor(train_losses, device=losses.device).isfinite() | ~losses.isfinite()] = math.nan
            val_losses, accuracies = losses.tolist(), right.tolist()
            if keep_best:
                scores = losses if keep_best == "val_loss" else torch.where(losses.isnan(), losses, -right)
                better = scores < slots.tensors["best_score"]
                slots.tensors["best_score"][better] = scores[better]
                slots.tensors["best"][better] = inference.params[better]
        columns = zip(slots.labels, train_losses, val_losses, accuracies, rates, strict=True)
        return [Evaluation(label, slots.epoch, *numbers) for label, *numbers in columns]
