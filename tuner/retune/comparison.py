"""The contenders on the rows that all of them can be asked about, and how sure their means there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuner.retune.bootstrap import Bootstrap, Floats, Interval
from tuner.retune.judgement import Contenders, Finding, Rule, Verdict

FEWEST_BLOCKS = 5  # of fewer, too many resamples are alike to say anything
TITLES = {"champion": "The champion", "retrained": "The retrained champion", "challenger": "The challenger"}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Losses of rows whose class the champion knows, their resamples; `left_out` counts the others."""

    contenders: Contenders
    rule: Rule
    bootstrap: Bootstrap
    left_out: int

    @classmethod
    def of(cls, given: Contenders, rule: Rule, seed: int) -> Comparison:
        kept = _known(given)
        bootstrap = Bootstrap(len(kept.y), kept.blocks, resamples=rule.resamples, seed=seed)
        return cls(kept, rule, bootstrap, len(given.y) - len(kept.y))

    def loss(self, name: str) -> Floats | None:
        return self.contenders.losses.get(name)

    def difference(self, old: str, new: str) -> Floats | None:
        """Loss of `old` - loss of `new` [N]; None where one is missing or not finite."""
        before, after = self.loss(old), self.loss(new)
        if before is None or after is None or _broken(before) or _broken(after):
            return None
        return np.subtract(before, after, dtype=np.float64)

    def interval(self, values: Floats) -> Interval:
        """Of the mean of finite `values` [N], N > 0; each end fails with half of 1 - confidence."""
        return self.bootstrap.interval(values, (1 - self.rule.confidence) / 2)

    def measured(self, values: Floats | None) -> Interval | None:
        """The same; None where there is nothing finite to average."""
        return None if values is None or not len(values) or _broken(values) else self.interval(values)

    def accuracy(self, name: str) -> Interval | None:
        hits = self.contenders.hits.get(name)
        return self.measured(None if hits is None else np.asarray(hits, np.float64))

    def obstacle(self, name: str) -> Finding | None:
        """What keeps the contender from being compared at all."""
        missing = self.contenders.missing_classes
        if lacks := [label for label in missing.get(name, ()) if label not in missing.get("champion", ())]:
            than = "that the champion knows" if self.loss("champion") is not None else "of the data"
            return Finding(Verdict.REJECTED, f"{TITLES[name]} cannot predict {_listed(lacks)}, {than}.")
        for one, verdict in ((name, Verdict.REJECTED), ("champion", Verdict.INCONCLUSIVE)):
            loss = self.loss(one)
            if loss is not None and (broken := _broken(loss)):
                return Finding(
                    verdict, f"{TITLES[one]}'s loss is no finite number in {broken:,} of {len(loss):,} rows."
                )
        if self.bootstrap.blocks < FEWEST_BLOCKS:
            unit = "rows" if self.contenders.blocks is None else "blocks of rows"
            told = f"The holdout has {self.bootstrap.blocks} {unit} to compare on, too few to be sure of anything:"
            return Finding(
                Verdict.INCONCLUSIVE, f"{told} make it longer, or blocks shorter, for at least {FEWEST_BLOCKS}."
            )
        return None


def _known(given: Contenders) -> Contenders:
    """Without the rows of classes that the champion cannot predict: its loss there is infinite."""
    unknown = [label in given.missing_classes.get("champion", ()) for label in given.classes]
    kept = ~np.array(unknown, bool)[given.y]
    if kept.all() or given.losses.get("champion") is None:
        return given
    return replace(
        given,
        y=given.y[kept],
        losses={name: None if loss is None else loss[kept] for name, loss in given.losses.items()},
        hits={name: None if hits is None else hits[kept] for name, hits in given.hits.items()},
        blocks=None if given.blocks is None else given.blocks[kept],
        slices={column: _chosen(labels, kept) for column, labels in given.slices.items()},
    )


def _chosen(labels: Sequence[str], kept: Floats) -> Sequence[str]:
    return [label for label, keep in zip(labels, kept, strict=True) if keep]


def _broken(values: Floats) -> int:
    return int((~np.isfinite(values)).sum())


def _listed(labels: Sequence[str]) -> str:
    return f"{'class' if len(labels) == 1 else 'classes'} {', '.join(labels)}"
