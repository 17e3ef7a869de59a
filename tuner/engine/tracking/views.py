"""A sweep as MLflow's page of runs should open on it: its trials, best first, with what was searched. Pure.

A saved view is a tag of the experiment, in the words that MLflow 3.17 itself writes for "Save as new view"; its menu
"Views" lists it, and an address names it by its key. MLflow without such views keeps the tag and shows nothing of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tuner.trial import Value

PREFIX = "mlflow.sharedViewState."
OWN = "caviar-"  # what our keys begin with: views that people have saved are theirs
KEPT = 20  # of an experiment's sweeps, the newest: each visit to its page loads all views, and MLflow's menu ends at 40
BEST = {"val_loss": ("best_val_loss", True), "val_accuracy": ("val_accuracy", False)}
SHOWN = ("best_val_loss", "val_loss", "val_accuracy")


class Spread:
    """What differs between the trials of a search."""

    def __init__(self) -> None:
        self._first: dict[str, Value] = {}
        self._order: list[str] = []
        self._differ: set[str] = set()
        self._carried: Counter[str] = Counter()
        self._trials = 0

    def add(self, params: Mapping[str, Value]) -> None:
        """One more trial with these hyperparameters."""
        self._trials += 1
        self._carried.update(list(params))
        before = -1
        for name in params:  # one that earlier trials lacked has its place among those that they had
            if name not in self._first:
                self._order.insert(before + 1, name)
            before = self._order.index(name)
        for name, value in params.items():
            if self._first.setdefault(name, value) != value:
                self._differ.add(name)

    @property
    def searched(self) -> list[str]:
        """Those that have differed so far, in the trials' order: the most important first."""
        return [name for name in self._order if name in self._differ]

    @property
    def everywhere(self) -> list[str]:
        """Those of them that every trial has: MLflow draws no trial in which a coordinate is missing."""
        return [name for name in self.searched if self._carried[name] == self._trials]


def key_of(sweep: str) -> str:
    """What an address calls the view of a sweep: `?viewStateShareKey=KEY`."""
    return f"{OWN}{sweep}"


def of_sweep(sweep: str, begun: float, metric: str, spread: Spread) -> str:
    """The saved view as MLflow keeps it; `begun` in seconds since 1970, `metric` what the search compares by."""
    state = {**_trials(sweep, metric, spread.searched), **_charts(BEST[metric][0], spread.everywhere)}
    since = round(begun * 1000)
    return json.dumps({"name": sweep, "createdAt": since, "updatedAt": since, "state": json.dumps(state)})


def outdated(tags: Mapping[str, str]) -> list[str]:
    """The keys, among an experiment's tags, of our views beyond the newest ones."""
    ours = [key for key in tags if key.startswith(f"{PREFIX}{OWN}")]
    return sorted(ours, key=lambda key: float(json.loads(tags[key])["createdAt"]))[:-KEPT]


def _trials(sweep: str, metric: str, searched: list[str]) -> dict[str, Any]:
    """Which runs, in which order, with which columns."""
    order, ascending = BEST[metric]
    columns = [f"metrics.`{name}`" for name in dict.fromkeys((order, *SHOWN))]
    columns += [f"params.`{name}`" for name in searched] + ["tags.`caviar.state`", "tags.`caviar.reason`"]
    return {
        "searchFilter": f"tags.`caviar.sweep` = '{sweep}' and tags.`caviar.stage` = 'search'",
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": ascending,
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL",
    }


def _charts(best: str, everywhere: list[str]) -> dict[str, Any]:
    """Learning curves over the whole width, and below them the parallel coordinates."""
    common = {"metricSectionId": "trials", "deleted": False, "isGenerated": False}
    curves = {
        "uuid": "curves",
        "type": "LINE",
        "metricKey": "val_loss",
        "selectedMetricKeys": ["val_loss"],
        "scaleType": "log",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "yAxisKey": "metric",
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "lineSmoothness": 0,
    }
    parallel = {
        "uuid": "coordinates",
        "type": "PARALLEL",
        "showAllRuns": True,
        "selectedParams": everywhere,
        "selectedMetrics": [best],
    }
    section = {"uuid": "trials", "name": "Trials", "display": True, "isReordered": False, "deleted": False}
    return {
        "compareRunSections": [{**section, "isGenerated": False, "columns": 1, "cardHeight": 380}],
        "compareRunCharts": [{**common, **curves}, *([{**common, **parallel}] if everywhere else [])],
    }
