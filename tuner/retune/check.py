"""Whether a delivery of data can be trained on: what fails holds the period, before anything is spent. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.columns import counted
from models.features import Encoder
from tuner.retune.policy import Check, span

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What the champion knows: its raw columns by name and kind, its classes, and how much each column lacked."""

    columns: Mapping[str, str]
    classes: tuple[str, ...]
    missing: Mapping[str, float]

    @classmethod
    def of(cls, encoder: Encoder, classes: tuple[object, ...], missing: Mapping[str, float]) -> Known:
        """Of a classifier's encoder and classes; `missing` as far as it is known."""
        kinds = {column.name: column.kind.value for column in encoder.columns}
        return cls(kinds, tuple(str(name) for name in classes), missing)


def problems(facts: Mapping[str, Any], rule: Check, at: datetime, champion: Known | None) -> list[str]:
    """What is wrong with the data of `facts` (see `Material`) for a period that begins `at`; one sentence each."""
    return list(_problems(facts, rule, at, champion))


def _problems(facts: Mapping[str, Any], rule: Check, at: datetime, champion: Known | None) -> Iterator[str]:
    rows = sum(facts["rows"].values())
    if rows < rule.min_rows:
        yield f"there must be {counted(rule.min_rows, 'row')} (check.min_rows), and there are {rows:,}"
    if rule.max_age:
        age = at - datetime.fromisoformat(facts["newest"])
        if age > span(rule.max_age):
            days = age.total_seconds() / 86400
            yield f"the newest row may be {rule.max_age} old (check.max_age), and is {days:.1f} days old"
    if champion:
        yield from _against(facts, rule, champion)


def _against(facts: Mapping[str, Any], rule: Check, champion: Known) -> Iterator[str]:
    columns = facts["features"]
    for name, before in champion.missing.items():
        if (share := facts["missing"].get(name, 0.0)) > before + rule.max_missing:
            usual = f"against {before:.0%} in the champion's data (check.max_missing: {rule.max_missing:.0%})"
            yield f"{name} is missing in {share:.0%} of the rows, {usual}"
    absent = [name for name in champion.columns if name not in columns]
    if absent:
        yield f"the champion needs {_some(absent)}, which the data lack"
    for name, kind in champion.columns.items():
        if name in columns and columns[name] != kind:
            yield f"{name} holds {columns[name]} values, and {kind} values in the champion's data"
    new = [name for name in facts["classes"] if name not in champion.classes]
    gone = [name for name in champion.classes if name not in facts["classes"]]
    if new and rule.labels != "any":
        yield f"the champion knows no class {_some(new)} (check.labels: any, if it is meant)"
    if gone and rule.labels == "same":
        yield f"no row is of class {_some(gone)}, which the champion knows (check.labels: known, if it is meant)"


def _some(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
