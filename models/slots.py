"""The state of K trials of one shape: what training advances, and what is stored between rungs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from models.config import CLASS_BUCKET, Config, padded
from models.inference import Inference, Moments, fold, population_moments
from models.layout import Layout, initial
from models.optimizers import RULES

GROUP_BYTES = 4 * 2**20  # more slots than fill this leave the cache, and cost more together than apart


class Slots:
    """K fused slots of one shape after `epoch` epochs and `steps` minibatches.

    `tensors` are K first: `params` and the optimizer's state [K, length of the layout], `mean_i` and
    `variance_i` [K, width] (the running averages of batch norm), and where the best are kept `best` [K, length
    without batch norm] and `best_score` float64 [K] (infinite where no evaluation was kept).
    """

    def __init__(
        self,
        labels: Sequence[str],
        configs: Sequence[Config],
        *,
        epoch: int,
        steps: int,
        layout: Layout,
        classes: int,
        tensors: Mapping[str, Tensor],
    ) -> None:
        self.labels, self.configs, self.tensors = list(labels), list(configs), dict(tensors)
        self.epoch, self.steps, self.layout, self.classes = epoch, steps, layout, classes

    @classmethod
    def start(
        cls,
        labels: Sequence[str],
        configs: Sequence[Config],
        inputs: int,
        classes: int,
        dtype: torch.dtype = torch.float32,
    ) -> Slots:
        """Slots before their first epoch, each initialised from its own seed."""
        layout = _layout(labels, configs, inputs, classes)
        shapes = _shapes(configs[0], layout)
        tensors = {name: torch.zeros(len(configs), *shape, dtype=dtype) for name, shape in shapes.items()}
        for params, config in zip(tensors["params"], configs, strict=True):
            params.copy_(initial(layout, config.seed, config.widths, classes, config.initial_weights))
        return cls(labels, configs, epoch=0, steps=0, layout=layout, classes=classes, tensors=tensors)

    def select(self, labels: Sequence[str]) -> Slots:
        """A copy of the slots named, in that order."""
        places = [self.labels.index(label) for label in labels]
        index = torch.tensor(places, dtype=torch.int64, device=self.tensors["params"].device)
        configs = [self.configs[place] for place in places]
        return self._with(labels, configs, {name: tensor[index] for name, tensor in self.tensors.items()})

    @classmethod
    def join(cls, parts: Sequence[Slots]) -> Slots:
        """All slots of `parts`, which share shape, epoch and steps; a copy."""
        first = parts[0]
        for part in parts:
            for name, mine, other in (
                ("shape", first.configs[0].shape(), part.configs[0].shape()),
                ("layout", (first.layout, first.classes), (part.layout, part.classes)),
                ("epoch and steps", (first.epoch, first.steps), (part.epoch, part.steps)),
            ):
                if mine != other:
                    raise ValueError(f"slots to be joined must share their {name}: {mine} is not {other}")
        tensors = {name: torch.cat([part.tensors[name] for part in parts]) for name in first.tensors}
        labels = [label for part in parts for label in part.labels]
        return first._with(labels, [config for part in parts for config in part.configs], tensors)

    def save_tensors(self) -> dict[str, Tensor]:
        """All but labels, configurations and epoch, for `restore`: contiguous, K first, on the CPU.

        They may share memory with the slots: write them before training goes on.
        """
        steps = torch.full((len(self.labels),), self.steps, dtype=torch.int64)
        return {"steps": steps, **{name: tensor.cpu().contiguous() for name, tensor in self.tensors.items()}}

    @classmethod
    def restore(
        cls,
        labels: Sequence[str],
        configs: Sequence[Config],
        epoch: int,
        tensors: Mapping[str, Tensor],
        *,
        inputs: int,
        classes: int,
    ) -> Slots:
        """The slots that `save_tensors` described; training goes on bit for bit. ValueError if they do not fit."""
        layout = _layout(labels, configs, inputs, classes)
        shapes = _shapes(configs[0], layout, best="best" in tensors) | {"steps": ()}
        expected = {name: (len(labels), *shape) for name, shape in shapes.items()}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if found != expected:
            raise ValueError(f"the stored tensors are not those of these slots: found {found}, expected {expected}")
        steps = set(tensors["steps"].tolist())
        if len(steps) != 1:
            raise ValueError(f"the stored slots stand at different steps: {sorted(steps)}")
        kept = {name: tensor.clone() for name, tensor in tensors.items() if name != "steps"}
        return cls(labels, configs, epoch=epoch, steps=steps.pop(), layout=layout, classes=classes, tensors=kept)

    def make_room_for_best(self) -> None:
        """From now on the best evaluation's network of each slot can be kept."""
        if "best" not in self.tensors:
            params = self.tensors["params"]
            self.tensors["best"] = params.new_zeros(len(params), self.layout.plain.length)
            self.tensors["best_score"] = params.new_full((len(params),), torch.inf, dtype=torch.float64)

    def keep(self, labels: Sequence[str]) -> None:
        """Drop all slots but these, in place."""
        kept = self.select(labels)
        self.labels, self.configs, self.tensors = kept.labels, kept.configs, kept.tensors

    def groups(self, size: int | None = None) -> Iterator[Slots]:
        """The slots in groups of `size` that share their memory with this; by default as the hardware likes them."""
        size = size or self._group_size()
        for at in range(0, len(self.labels), size):
            tensors = {name: tensor[at : at + size] for name, tensor in self.tensors.items()}
            yield self._with(self.labels[at : at + size], self.configs[at : at + size], tensors)

    def _group_size(self) -> int:
        """On a GPU all; on a CPU as many as have room in the cache with weights, optimizer state and activations.

        An odd number: where the rows of a matrix lie a power of two apart, they displace each other in the cache.
        """
        params, config, layout = self.tensors["params"], self.configs[0], self.layout
        if params.device.type != "cpu":
            return len(self.labels)
        state = (2 + len(RULES[config.optimizer].state)) * layout.length
        activations = 3 * config.batch_size * (sum(layout.widths) + layout.classes)
        return max(GROUP_BYTES // (params.element_size() * (state + activations)) - 1, 0) | 1

    def to(self, device: torch.device) -> None:
        """Move to `device`, in place."""
        self.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}

    def inference(self, X: Tensor) -> Inference:
        """The network at test time with the weights of now. X [N, inputs] are the training rows (second pass)."""
        first, params = self.configs[0], self.tensors["params"]
        if not first.normalised:
            moments: list[Moments] = []
        elif first.bn_statistics == "second_pass":
            moments = population_moments(self.layout, params, X, first.activation, first.bn_epsilon)
        else:
            moments = self._averages()
        folded = fold(self.layout, params, moments, first.bn_epsilon)
        return Inference(self.layout.plain, folded, first.activation, self.classes)

    @property
    def best(self) -> dict[str, Inference]:
        """By label, without padding, the network at its best evaluation; only slots for which one was kept."""
        result: dict[str, Inference] = {}
        if "best" not in self.tensors:
            return result
        kept = self.tensors["best_score"].isfinite().tolist()
        for place, (label, config) in enumerate(zip(self.labels, self.configs, strict=True)):
            if kept[place]:
                stack = Inference(self.layout.plain, self.tensors["best"], config.activation, self.classes)
                result[label] = stack.single(place, config.widths)
        return result

    def _averages(self) -> list[Moments]:
        """Exponentially weighted mean and biased variance, corrected for their start at zero by 1 - decay^steps.

        The running variance is of torch's unbiased estimates: (batch - 1) / batch makes it the course's.
        """
        first = self.configs[0]
        correction = 1 - first.bn_decay**self.steps
        biased = (first.batch_size - 1) / first.batch_size
        return [
            (
                self.tensors[f"mean_{layer}"].double() / correction,
                self.tensors[f"variance_{layer}"].double() / correction * biased,
            )
            for layer in range(len(self.layout.widths))
        ]

    def _with(self, labels: Sequence[str], configs: Sequence[Config], tensors: Mapping[str, Tensor]) -> Slots:
        return Slots(
            labels,
            configs,
            epoch=self.epoch,
            steps=self.steps,
            layout=self.layout,
            classes=self.classes,
            tensors=tensors,
        )


def _layout(labels: Sequence[str], configs: Sequence[Config], inputs: int, classes: int) -> Layout:
    """How the weights of these slots lie; ValueError if they cannot be trained together."""
    shapes = {config.shape() for config in configs}
    if len(shapes) != 1 or len(set(labels)) != len(labels) or len(labels) != len(configs):
        raise ValueError(f"slots need one configuration a label and one shape, not {len(labels)} of {shapes}")
    first = configs[0]
    return Layout(inputs, tuple(map(padded, first.widths)), padded(classes, CLASS_BUCKET), first.normalised)


def _shapes(config: Config, layout: Layout, best: bool = False) -> dict[str, tuple[int, ...]]:
    """The shapes of one slot's tensors by name."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("params", *RULES[config.optimizer].state), (layout.length,))
    for layer, width in enumerate(layout.widths if config.normalised else ()):
        shapes |= {f"mean_{layer}": (width,), f"variance_{layer}": (width,)}
    return shapes | ({"best": (layout.plain.length,), "best_score": ()} if best else {})
