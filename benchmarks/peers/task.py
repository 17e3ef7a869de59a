"""What a peer is asked on its command line, and what it leaves as its answer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

ANSWER = "answer.json"  # in the working folder: Ray's workers print on the driver's stdout


@dataclass(frozen=True, slots=True)
class Task:
    """`rows` is the folder of the arrays; a trial is trained for at most `epochs` epochs."""

    rows: Path
    trials: int
    epochs: int
    batch_sizes: list[int]
    seed: int

    @classmethod
    def parse(cls, parser: argparse.ArgumentParser) -> tuple[Task, argparse.Namespace]:
        """The task, and what else `parser` knows."""
        parser.add_argument("--rows", type=Path, required=True)
        parser.add_argument("--trials", type=int, required=True)
        parser.add_argument("--epochs", type=int, required=True)
        parser.add_argument("--batch-sizes", type=int, nargs="+", required=True)
        parser.add_argument("--seed", type=int, required=True)
        given = parser.parse_args()
        return cls(given.rows, given.trials, given.epochs, given.batch_sizes, given.seed), given


@dataclass(frozen=True, slots=True)
class Answer:
    """`best` is the lowest validation loss of any evaluation; `curve` holds (seconds since 1970, loss) of each
    evaluation that was better than all before it."""

    trials: int
    epochs: int
    best: float
    curve: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, trials: int, evaluations: Iterable[tuple[float, float]]) -> Answer:
        """From the (time, loss) of all evaluations; NaN is never best."""
        curve: list[tuple[float, float]] = []
        found = sorted(evaluations)
        for time, loss in found:
            if loss < (curve[-1][1] if curve else float("inf")):
                curve.append((time, loss))
        return cls(trials, len(found), curve[-1][1] if curve else float("inf"), curve)

    def write(self) -> None:
        Path(ANSWER).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Answer:
        return cls(**json.loads((folder / ANSWER).read_text(encoding="utf-8")))
