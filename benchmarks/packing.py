"""Trials trained as one tensor program against one by one: time of a trial's step, and its share of the sgemm peak.

Steps only, without evaluation: 64 inputs, 10 classes, momentum, batch norm. The floating point operations counted are
those of the true widths; rows are random, for the arithmetic does not look at them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch
from torch import nn

from benchmarks.harness import Result, goal, main, times
from models.config import Config
from models.training import Arrays, Slots, train

INPUTS, CLASSES = 64, 10
STOCK, SINGLE, FUSED, CHOSEN, PEAK = "stock", "one_by_one", "fused", "chosen", "peak"
SLACK = 1.1  # how much slower than the better way the chosen one may be


@dataclass(frozen=True, slots=True)
class Case:
    """One shape, and the numbers of trials that are trained side by side."""

    layers: int
    width: int
    batch: int
    slots: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.layers}x{self.width}/B{self.batch}"

    @property
    def operations(self) -> float:
        """Floating point operations of one trial's step: two products back, but one for the layer of the inputs."""
        sizes = (INPUTS, *[self.width] * self.layers, CLASSES)
        return sum(2.0 * self.batch * a * b * (3 if at else 2) for at, (a, b) in enumerate(pairwise(sizes)))


FULL = (
    Case(2, 64, 64, (1, 4, 16, 64, 128)),
    Case(2, 128, 128, (1, 4, 16, 64)),
    Case(2, 256, 256, (1, 4, 16, 64)),
    Case(2, 512, 256, (1, 4, 16)),
    Case(3, 512, 512, (1, 4, 16)),
)
QUICK = (Case(2, 64, 64, (1, 16)), Case(2, 256, 256, (1, 8)))
GPU = (Case(2, 64, 64, (1, 128)), Case(2, 256, 256, (4, 100)))


def run(quick: bool = False) -> Result:
    """All cases on one core, and on a GPU if there is one; `steps` by device, shape and number of trials."""
    steps = {"cpu": measure(QUICK if quick else FULL, torch.device("cpu"), seconds=0.5 if quick else 2.0)}
    if torch.cuda.is_available():
        steps["gpu"] = measure(GPU, torch.device("cuda"), seconds=3.0)
    return {"steps": steps, "goals": goals(steps)}


def measure(cases: Sequence[Case], device: torch.device, seconds: float) -> Result:
    """Milliseconds a trial and step, and shares of the peak, of each way; `seconds` is spent on each line."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker of one core
    try:
        lines = {f"{case.name} K={slots}": line(case, slots, device, seconds) for case in cases for slots in case.slots}
        return {"peak_gflops": round(max(each.pop(PEAK) for each in lines.values()) / 1e9, 1), "lines": lines}
    finally:
        torch.set_num_threads(before)


def line(case: Case, slots: int, device: torch.device, seconds: float) -> Result:
    """All ways in turn for `seconds`; the best round of each, because other work on the machine only ever adds.

    `loss` is how many times the better way's time the chosen one needed, the median over the rounds.
    """
    steps = max(2, min(16, int(4e8 / case.operations)))
    ways: dict[str, Iterator[object]] = {
        SINGLE: ours(case, slots, steps, 1, device),
        FUSED: ours(case, slots, steps, slots, device),
        CHOSEN: ours(case, slots, steps, None, device),
        STOCK: stock(case, steps, device),
        PEAK: product(device),
    }
    rounds: list[dict[str, float]] = []
    for way in ways.values():
        next(way)  # allocates
    began = time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - began < seconds:
        rounds.append({name: seconds_of(way, device) for name, way in ways.items()})
    best = {name: min(each[name] for each in rounds) for name in ways}
    peak = 2 * 512**3 / best.pop(PEAK)
    found: Result = {"peak": peak}
    for name, taken in best.items():
        step = taken / steps / (1 if name == STOCK else slots)
        found[name] = {"ms": round(step * 1e3, 4), "share": round(case.operations / step / peak, 3)}
    loss = max(median(each[CHOSEN] / each[name] for each in rounds) for name in (SINGLE, FUSED))
    return {**found, "loss": round(loss, 3)}


def ours(case: Case, slots: int, steps: int, group: int | None, device: torch.device) -> Iterator[object]:
    """Epochs of `steps` minibatches for all slots, without an evaluation."""
    rows, widths = steps * case.batch, (case.width,) * case.layers
    arrays = Arrays(*random_rows(rows, device), CLASSES, slice(0, rows), None)
    configs = [Config(seed, widths, batch_size=case.batch, learning_rate=1e-3) for seed in range(slots)]
    state = Slots.start([str(config.seed) for config in configs], configs, INPUTS, CLASSES)
    return train(state, arrays, order_seed=0, to_epoch=10**9, group=group)


def stock(case: Case, steps: int, device: torch.device) -> Iterator[object]:
    """The same steps of one trial with nn.Sequential and torch.optim."""
    sizes = (INPUTS, *[case.width] * case.layers)
    hidden = [
        layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU())
    ]
    model = nn.Sequential(*hidden, nn.Linear(case.width, CLASSES)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    X, y = random_rows(steps * case.batch, device)
    while True:
        for rows in torch.randperm(len(X), device=device).split(case.batch):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        yield None


def product(device: torch.device) -> Iterator[object]:
    """One product of two matrices of 512 x 512: what the share of the peak refers to."""
    A, B, out = torch.randn(3, 512, 512, device=device)
    while True:
        torch.mm(A, B, out=out)
        yield None


def random_rows(rows: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, INPUTS, device=device), torch.randint(CLASSES, (rows,), device=device)


def seconds_of(way: Iterator[object], device: torch.device) -> float:
    """Of this process on a CPU, so that others don't count; of the clock on a GPU."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    began = clock()
    next(way)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def goals(steps: Result) -> list[Result]:
    """What was asked of packs, and what was measured."""
    lines = steps["cpu"]["lines"]
    small = max(each[CHOSEN]["share"] for name, each in lines.items() if name.startswith("2x64/"))
    wide = {name: each[CHOSEN]["share"] for name, each in lines.items() if not name.startswith(("2x64/", "2x128/"))}
    worst, lowest = max(lines, key=lambda name: lines[name]["loss"]), min(wide, key=lambda name: wide[name])
    found = [
        goal("2x64/B64: at least 25% of the sgemm peak", f"{small:.0%}", small >= 0.25),
        goal("2x256/B256 and above: at least 50%", f"at least {wide[lowest]:.0%} ({lowest})", wide[lowest] >= 0.5),
        goal(
            "the chosen way at most 10% slower than the better of fused and one by one",
            f"{lines[worst]['loss'] - 1:+.0%} ({worst})",
            lines[worst]["loss"] <= SLACK,
        ),
    ]
    if "gpu" in steps:
        gpu = steps["gpu"]["lines"]
        gain = times(gpu["2x64/B64 K=128"][SINGLE]["ms"], gpu["2x64/B64 K=128"][CHOSEN]["ms"])
        ratio = times(100 * gpu["2x256/B256 K=100"][CHOSEN]["ms"], 4 * gpu["2x256/B256 K=4"][CHOSEN]["ms"])
        found.append(goal("GPU, 2x64, K = 128: 50 times as fast as one by one", f"{gain} times", gain >= 50))
        found.append(goal("GPU: 100 trials of 2x256 in the time of 4", f"{ratio} times the time", ratio <= SLACK))
    return found


def sentence(result: Result) -> str:
    """The result in words."""
    cpu = result["steps"]["cpu"]
    name, ways = next((name, each) for name, each in reversed(cpu["lines"].items()) if name.startswith("2x64/"))
    gain, stocks = times(ways[SINGLE]["ms"], ways[CHOSEN]["ms"]), times(ways[STOCK]["ms"], ways[CHOSEN]["ms"])
    return (
        f"A step of {name} takes {ways[CHOSEN]['ms'] * 1e3:.0f} us a trial, {ways[CHOSEN]['share']:.0%} of a peak of "
        f"{cpu['peak_gflops']:.0f} GFLOPS on one core: {gain} times as fast as one by one, {stocks} times as fast as "
        f"nn.Sequential."
    )


def table(result: Result) -> list[Result]:
    """One record a shape and number of trials."""
    return [
        {
            "device": device,
            "shape and trials": name,
            **{f"{way.replace('_', ' ')}, ms": ways[way]["ms"] for way in (STOCK, SINGLE, FUSED, CHOSEN)},
            "share of peak": f"{ways[CHOSEN]['share']:.0%}",
        }
        for device, measured in result["steps"].items()
        for name, ways in measured["lines"].items()
    ]


if __name__ == "__main__":
    main(run, sentence)
