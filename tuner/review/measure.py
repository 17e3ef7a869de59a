"""What trials are compared by, as people read it: names, numbers, and the range that a picture shows. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles, stdev
from typing import Any

from tuner.engine.account import Account

FAR = 3.0  # times the middle half's width above it: a value beyond is drawn at the picture's edge
MARKS = 6  # numbers written at an axis
LOGARITHMIC = 8.0  # largest by smallest value from which on a picture has a logarithmic scale


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric. Scores are in the objective's terms, lower is better; values are what people read."""

    name: str
    title: str
    better: str
    digits: str  # as Plotly formats a value

    def value(self, score: float) -> float:
        """The metric's value of a score."""
        return score if self.name == "val_loss" else -score

    def text(self, score: float) -> str:
        """The value of a score in words."""
        if not math.isfinite(score):
            return "diverged"
        return f"{score:.4f}" if self.name == "val_loss" else f"{-score:.1%}"

    def difference(self, scores: float) -> str:
        """The size of a difference of two scores."""
        return f"{abs(scores):.4f} nats" if self.name == "val_loss" else f"{abs(scores) * 100:.1f} points"

    def spread(self, scores: Sequence[float]) -> str:
        """The mean of one or more scores and their standard deviation, which one alone has not."""
        mean = self.text(fmean(scores))
        return f"{mean} ± {self.deviation(scores)}" if len(scores) > 1 else mean

    def deviation(self, scores: Sequence[float]) -> str:
        """The standard deviation of scores; nothing for one alone."""
        found = stdev(scores) if len(scores) > 1 else None
        return "" if found is None else f"{found:.4f}" if self.name == "val_loss" else f"{found:.1%}"

    @property
    def ticks(self) -> str:
        """How Plotly writes the numbers at an axis: as many digits as these need, also when it is zoomed."""
        return "" if self.name == "val_loss" else ".2~%"

    @property
    def axis(self) -> str:
        """The title of an axis."""
        return f"{self.title} ({self.better} is better)"


def measure_of(account: Account) -> Measure:
    """The metric that the account's trials are compared by."""
    if account.metric == "val_loss":
        return Measure("val_loss", "validation loss", "less", ".4f")
    return Measure(account.metric, "validation accuracy", "more", ".1%")


@dataclass(frozen=True, slots=True)
class Span:
    """The part of an axis of values that a picture shows: what lies beyond `worst` is drawn at it."""

    measure: Measure
    best: float
    worst: float
    logarithmic: bool

    def place(self, score: float) -> float:
        """Where a score is drawn; one that is not finite is at the edge."""
        found = self.measure.value(score) if math.isfinite(score) else self.worst
        kept = min(found, self.worst) if self.measure.name == "val_loss" else max(found, self.worst)
        return short(kept)

    @property
    def axis(self) -> dict[str, Any]:
        """The axis as Plotly wants it: on a logarithmic one, round numbers are written."""
        common = {"title": {"text": self.measure.axis}, "type": "log" if self.logarithmic else "linear"}
        if not self.logarithmic:
            return {**common, "tickformat": self.measure.ticks}
        marks = decades(min(self.best, self.worst), max(self.best, self.worst))
        return {**common, "tickvals": marks, "ticktext": [f"{mark:g}" for mark in marks]}


def span_of(scores: Iterable[float], measure: Measure) -> Span:
    """What shows most of the finite `scores`: all but far outliers on the bad side."""
    found = sorted(score for score in scores if math.isfinite(score))
    if not found:
        best, worst = (0.0, 1.0) if measure.name == "val_loss" else (1.0, 0.0)
        return Span(measure, best, worst, logarithmic=False)
    worst = found[-1]
    if len(found) >= 4:
        low, _, high = quantiles(found, n=4)
        worst = min(worst, high + FAR * (high - low))
    first, last = measure.value(found[0]), measure.value(worst)
    logarithmic = measure.name == "val_loss" and first > 0 and last / first > LOGARITHMIC
    edge = last * (last / first) ** 0.06 if logarithmic else last + 0.06 * (last - first)
    return Span(measure, first, edge, logarithmic)


def decades(low: float, high: float) -> list[float]:
    """Round numbers of [low, high], both above 0, at about equal distances on a logarithmic scale."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [float(f"{factor}e{exponent}") for exponent in exponents for factor in factors]
        found = [mark for mark in found if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
        if len(found) <= MARKS:
            return found
    return found[:: math.ceil(len(found) / MARKS)]


def short(value: float) -> float:
    """Five digits: what a picture can show, in a small file."""
    return float(f"{value:.5g}")


def number(value: object) -> str:
    """A hyperparameter's value, or a number, as short text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        near_one = 0.9 < value < 1
        return f"{value:.5g}" if near_one else f"{value:.3g}"
    return str(value)


def counted(count: int, noun: str) -> str:
    """`count` of `noun`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Words in a row, as in a sentence."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
