"""Regret against epochs: what each sampler finds with each stopping rule, and in how many epochs of training.

Full-budget random search, 64 trials of 27 epochs each, is what all are measured by. The rules that stop early get a tenth
and three tenths of its epochs, and as many trials as these last for. Regret is the best validation loss so far minus the
lowest that any search ever saw on the problem (on the made-up surfaces: minus the best there is). The sampler and the
rules decide as in a sweep with two workers, but the workers are simulated: only the training is real.
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.problems import EPOCHS, problem
from benchmarks.simulated import WORKERS, search
from tuner.engine import build
from tuner.search.samplers import SAMPLERS

TRIALS = 64
FULL = TRIALS * EPOCHS
SHARES = (0.1, 0.3)  # of the full budget's epochs
RULES = ("none", "asha", "successive_halving", "top_k_after")


@dataclass(frozen=True, slots=True)
class Course:
    """One search: each time the best so far improved, after how many epochs, to which loss, with which on the holdout."""

    problem: str
    sampler: str
    rule: str
    share: float  # of the full budget
    seed: int
    steps: tuple[tuple[int, float, float], ...]
    epochs: int

    def at(self, epochs: float) -> tuple[float, float]:
        """The best loss within the first `epochs` epochs and its holdout loss; infinite before there is one."""
        reached = [(loss, held) for step, loss, held in self.steps if step <= epochs]
        return reached[-1] if reached else (math.inf, math.inf)

    def epochs_to(self, loss: float) -> float:
        """After how many epochs it was as good as `loss`; infinity if never."""
        return next((float(step) for step, found, _ in self.steps if found <= loss), math.inf)


def stopping(rule: str, epochs: float) -> tuple[dict[str, Any], int]:
    """The stopping section of a spec, and how many trials it tries in about `epochs` epochs.

    For top_k_after half of the epochs are for the first look, the other half for the best.
    """
    if rule == "none":
        return {"none": {"max_epochs": EPOCHS}}, round(epochs / EPOCHS)
    if rule == "top_k_after":
        keep = max(1, round(epochs / 2 / (EPOCHS - 1)))
        return {"top_k_after": 1, "keep": keep, "max_epochs": EPOCHS}, round(epochs) - keep * (EPOCHS - 1)
    section = {rule: {"min_epochs": 1, "max_epochs": EPOCHS, "reduction": 3}}
    return section, round(epochs / 3)  # 1 + 2/3 + 6/9 + 18/27 epochs a trial


@functools.cache
def _opened(name: str, folder: Path):
    return problem(name, folder)


def courses(name: str, sampler: str, seed: int, folder: Path, rules: Sequence[str] = RULES) -> list[Course]:
    """All searches of one sampler with one seed; trials that several of them try are trained once."""
    made = []
    one = _opened(name, folder)
    trainer = one.trainer(seed)
    for rule in rules:
        for share in (1.0,) if rule == "none" else SHARES:
            section, trials = stopping(rule, share * FULL)
            ledger = one.ledger(one.spec({"sampler": sampler, "trials": trials, "seed": seed}, section))
            evaluations = search(ledger, trainer)
            steps, best = [], math.inf
            for epoch, (_, found) in enumerate(evaluations, 1):
                if found.loss < best:
                    best = found.loss
                    steps.append((epoch, found.loss, found.holdout))
            made.append(Course(name, sampler, rule, share, seed, tuple(steps), len(evaluations)))
    return made


def run_all(names, samplers, seeds, rules=RULES):
    with tempfile.TemporaryDirectory(prefix="caviar-regret-") as folder:
        where = Path(folder)
        for name in names:
            problem(name, where)
        with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
            jobs = [pool.submit(courses, n, s, seed, where, rules) for n in names for seed in seeds for s in samplers]
            return [c for job in jobs for c in job.result()]
