"""The searches whose regret is measured: problem by sampler by stopping rule by seed, each as a course of best losses.

What was searched is kept, so that a run that is interrupted goes on where it was.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.problems import EPOCHS, Problem, problem
from benchmarks.simulated import WORKERS, Evaluated, search
from tuner.trial import Stage

ROOT = Path(__file__).parent.parent
OWN = ("courses", "problems", "simulated", "surfaces", "trained")
CORE = ("ledger", "packing", "records", "score", "selection")
SOURCES = (
    "models/*.py",
    "tuner/search/*.py",
    *(f"tuner/engine/{name}.py" for name in CORE),
    *(f"benchmarks/{name}.py" for name in OWN),
)


@dataclass(frozen=True, slots=True)
class Course:
    """One search: after how many epochs the best so far improved, to which loss, with which on the holdout.

    `share` is the part of the full budget's epochs that it was sized for.
    """

    problem: str
    sampler: str
    rule: str
    share: float
    seed: int
    trials: int
    epochs: int
    steps: tuple[tuple[int, Evaluated], ...]

    def at(self, epochs: float) -> Evaluated:
        """The best within the first `epochs` epochs; infinite before there is one."""
        reached = [found for step, found in self.steps if step <= epochs]
        return reached[-1] if reached else Evaluated(math.inf, math.inf)

    def epochs_to(self, loss: float) -> float:
        """After how many epochs it was as good as `loss`; infinity if never."""
        return next((float(step) for step, found in self.steps if found.loss <= loss), math.inf)


@dataclass(frozen=True, slots=True)
class Contest:
    """What is searched, by whom, and how often.

    Without early stopping a search has `trials` trials, all trained to the end: the full budget. Rules that stop early
    have a search for each of the `shares` of its epochs.
    """

    problems: tuple[str, ...]
    samplers: tuple[str, ...]
    rules: tuple[str, ...]
    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    trials: int

    @property
    def full(self) -> int:
        """The epochs of the full budget."""
        return self.trials * EPOCHS

    def sizes(self, rule: str) -> tuple[float, ...]:
        """The shares of the full budget that searches by `rule` have."""
        return (1.0,) if rule == "none" else self.shares


def hold(contest: Contest, folder: Path) -> list[Course]:
    """All searches, in two processes; what is kept in `folder`, from the same sources, is not searched again."""
    where = folder / digest(contest)
    where.mkdir(parents=True, exist_ok=True)
    for name in contest.problems:  # here, for each of the processes would make the snapshots
        problem(name, where)
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(kept, contest, name, sampler, seed, where)
            for seed in contest.seeds
            for name in contest.problems
            for sampler in contest.samplers
        ]
        for count, _ in enumerate(as_completed(jobs), 1):
            print(f"{count} of {len(jobs)}", file=sys.stderr, flush=True)
        return [course for job in jobs for course in job.result()]


def digest(contest: Contest) -> str:
    """Names the contest, and all code that its outcome may depend on."""
    found = hashlib.sha256(repr(contest).encode())
    for pattern in SOURCES:
        for file in sorted(ROOT.glob(pattern)):
            found.update(file.read_bytes())
    return found.hexdigest()[:16]


def kept(contest: Contest, name: str, sampler: str, seed: int, folder: Path) -> list[Course]:
    """The `courses` as they are kept in `folder`, where they are put if they are not there yet."""
    file = folder / f"{name}-{sampler}-{seed}.json"
    if not file.exists():
        made = [asdict(course) for course in courses(contest, name, sampler, seed, folder)]
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(made), encoding="utf-8")
        partial.replace(file)
    return [
        Course(**{**one, "steps": tuple((epoch, Evaluated(**found)) for epoch, found in one["steps"])})
        for one in json.loads(file.read_text(encoding="utf-8"))
    ]


def courses(contest: Contest, name: str, sampler: str, seed: int, folder: Path) -> list[Course]:
    """All searches of one sampler with one seed; trials that several of them try are trained once."""
    one = _opened(name, folder)
    trainer, made = one.trainer(seed), list[Course]()
    for rule in contest.rules:
        for share in contest.sizes(rule):
            section, trials = stopping(rule, share * contest.full)
            ledger = one.ledger({"sampler": sampler, "trials": trials, "seed": seed}, section)
            found = [evaluated for _, evaluated in search(ledger, trainer)]
            tried = sum(trial.stage is Stage.SEARCH for trial in ledger.trials.values())  # a grid has an end
            made.append(Course(name, sampler, rule, share, seed, tried, len(found), tuple(_improvements(found))))
    return made


def stopping(rule: str, epochs: float) -> tuple[dict[str, Any], int]:
    """The stopping section of a spec, and how many trials a search by `rule` tries in about `epochs` epochs.

    With top_k_after, half of the epochs are for the first look and half for those that go on.
    """
    if rule == "none":
        return {rule: {"max_epochs": EPOCHS}}, round(epochs / EPOCHS)
    if rule == "top_k_after":
        keep = max(1, round(epochs / 2 / (EPOCHS - 1)))
        return {rule: 1, "keep": keep, "max_epochs": EPOCHS}, round(epochs) - keep * (EPOCHS - 1)
    # rungs at 1, 3, 9 and 27: a trial takes 1 + 2/3 + 6/9 + 18/27 epochs
    return {rule: {"min_epochs": 1, "max_epochs": EPOCHS, "reduction": 3}}, round(epochs / 3)


def _improvements(found: Sequence[Evaluated]) -> Iterable[tuple[int, Evaluated]]:
    best = math.inf
    for epoch, one in enumerate(found, 1):
        if one.loss < best:
            best = one.loss
            yield epoch, one


@functools.cache
def _opened(name: str, folder: Path) -> Problem:
    return problem(name, folder)
