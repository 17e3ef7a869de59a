"""Plans of large sweeps: what is told from smaller rehearsals, against a rehearsal of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.test_plan import AROUND, pace
from tuner.engine import build, planning
from tuner.engine.advice import Budget, fit
from tuner.engine.plan import Planner
from tuner.engine.rehearsal import Rehearsal
from tuner.engine.rehearsals import Sweeps, along
from tuner.spec import from_mapping

MODEL = {"hidden_layers": {"int": [0, 2]}, "hidden_units": {"log_int": [16, 64]}}
TRIALS = 4000
TOLD_FROM = 2000  # smaller ones differ by chance, and packs of larger sweeps are fuller

Make = Callable[..., Sweeps]


@pytest.fixture(scope="module")
def sweeps(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The sweeps of a spec of the digits, of which up to `whole` trials are rehearsed whole."""
    folder = tmp_path_factory.mktemp("snapshots")

    def make(stopping: object, whole: int = TOLD_FROM, **search: Any) -> Sweeps:
        about = {"name": "d", "data": {"source": str(digits)}, "model": MODEL}
        spec = from_mapping({**about, "search": search, "stopping": stopping})
        return replace(planning.sweeps(spec, build.snapshot(spec, folder)), whole=whole)

    return make


def planner(sweeps: Sweeps) -> Planner:
    return Planner(sweeps, pace(20.0), AROUND)


@pytest.mark.parametrize(
    ("stopping", "search"),
    [
        ("asha", {}),
        ("hyperband", {}),
        ("successive_halving", {}),
        ({"top_k_after": 1, "keep": 700}, {}),  # more than the smaller of the two rehearsals has
        ({"top_k_after": 1, "keep": 2500}, {}),  # more than both have
        ("asha", {"sampler": "coarse_to_fine"}),
        ("asha", {"sampler": "grid", "trials": 5000}),  # its points follow from that, and 2,160 is all there are
    ],
    ids=str,
)
def test_what_is_told_from_smaller_sweeps_is_what_the_whole_does(
    sweeps: Make, stopping: object, search: dict[str, Any]
) -> None:
    asked = search.get("trials", TRIALS)
    told = planner(sweeps(stopping, **search)).estimate(asked)
    whole = planner(sweeps(stopping, whole=TRIALS, **search)).estimate(asked)
    learns = search.get("sampler") == "coarse_to_fine"  # its boxes are others where its draws are others
    assert told.trials == whole.trials
    assert dict(told.rungs) == pytest.approx(dict(whole.rungs), rel=0.25 if learns else 0.1)
    for name in ("epochs", "search_epochs", "journal", "requests"):
        assert getattr(told, name) == pytest.approx(getattr(whole, name), rel=0.15 if learns else 0.05), name
    for name in ("search", "whole"):
        assert getattr(told, name).expected == pytest.approx(getattr(whole, name).expected, rel=0.3), name
    assert told.search.high / told.search.low > whole.search.high / whole.search.low, "and it is less sure of it"


@pytest.mark.parametrize("keep", [8, 700, 2500])
def test_as_many_go_on_as_are_kept(sweeps: Make, keep: int) -> None:
    found = planner(sweeps({"top_k_after": 1, "keep": keep})).estimate(100_000)
    assert found.rungs == ((1, 100_000), (27, keep))
    assert found.search_epochs == 100_000 + 26 * keep


def test_a_grid_ends_with_its_points_whatever_is_asked_for(sweeps: Make) -> None:
    planning = planner(sweeps("asha", sampler="grid", points=2, whole=10_000))
    found = planning.estimate(100_000)
    points = sweeps("asha", sampler="grid", points=2).size(10**6)[0]
    assert found.trials == found.rungs[0][1] == points < 1000
    assert found == planning.estimate(points), "so two plans of it cannot contradict each other"


def test_what_is_said_of_a_budget_is_what_is_planned(sweeps: Make) -> None:
    made = sweeps("asha", sampler="grid")
    planning = planner(made)
    planned = planning.estimate(5000)
    assert planned.trials < 5000, "inactive hyperparameters make no points"
    budget = Budget(planned.whole.expected * 0.9, "the sweep", lambda trials: planning.estimate(trials).whole.expected)
    found = fit(budget, 5000, planned.trials)
    assert not found.fits
    assert found.reason.startswith(f"the sweep of {planned.trials:,} trials takes about ")
    assert planning.estimate(found.largest).whole.expected <= 0.9 * budget.limit
    assert fit(replace(budget, limit=planned.whole.expected), 5000, planned.trials).fits


def test_a_line_goes_on_from_two_rehearsals_and_falls_nowhere() -> None:
    few = Rehearsal(Counter({0: 100, 1: 8}), 100, 110, 320, 300, 30.0, 40.0, 50.0, 9, 108, 200, 1000, 70)
    many = Rehearsal(Counter({0: 200, 1: 8}), 200, 210, 430, 400, 40.0, 45.0, 70.0, 6, 208, 400, 2000, 60)
    found = along(few, many, 1000, workers=2)
    assert (dict(found.reached), found.searched, found.trials) == ({0: 1000, 1: 8}, 1000, 1010)
    assert (found.search_epochs, found.epochs, found.handed) == (1200, 1230, 1008)
    assert (found.search, found.whole) == (40.0 + 160.0 / 2, 45.0 + 160.0 / 2)
    assert (found.packs, found.largest) == (6, 70)
    between = along(few, many, 150, workers=2)
    assert (between.search_epochs, between.stored) == (350, 1500)


@pytest.mark.parametrize("trials", [1, 7, TRIALS])
def test_sweeps_of_any_number_of_trials(sweeps: Make, trials: int) -> None:
    made = sweeps("asha", start=[{"learning_rate": 0.1}])
    assert made.size(trials) == (trials, None)
    assert made.ledger(trials, None).expected_trials == trials


def test_a_grid_that_is_begun_is_the_same_grid(sweeps: Make) -> None:
    made = sweeps("asha", sampler="grid")
    (_, points), (_, fewer) = made.size(TRIALS), made.size(100)
    assert points
    assert fewer
    assert fewer < points
    first = [made.ledger(trials, size).ask(2) for trials, size in ((TRIALS, points), (100, points), (100, fewer))]
    whole, begun, other = (pack.trials[0].params for pack in first if pack)
    assert whole == begun != other
