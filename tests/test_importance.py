"""Which hyperparameters mattered: the important one is found, noise is told as such, and a grid is compared fairly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from time import process_time
from typing import Any

import numpy as np
import pytest

from tests.simulation import make_ledger, train
from tests.test_describe import shown
from tuner.engine.evidence import evidence
from tuner.engine.importance import FEWEST, MOST, Importance, measure
from tuner.engine.ledger import Ledger
from tuner.engine.packing import CostModel
from tuner.engine.records import Terms
from tuner.engine.result import figures
from tuner.engine.verdict import summary
from tuner.search import samplers, stopping
from tuner.search.space import Axis, Choice, LogUniform, OneOf, Space, Uniform
from tuner.trial import Row, Value

SPACE = Space(
    (
        Axis("learning_rate", LogUniform(1e-4, 1.0)),
        Axis("optimizer", Choice(("sgd", "momentum"))),
        Axis("momentum", Uniform(0.5, 0.99), (OneOf("optimizer", ("momentum",)),)),
        *(Axis(f"idle_{k}", Uniform(0.0, 1.0)) for k in range(5)),
    )
)
COUNTS = {"train": [1, 1], "validation": [1, 1], "holdout": [9, 1]}
Loss = Callable[[Mapping[str, Value], np.random.Generator], float]


def searched(loss: Loss, trials: int = 64, space: Space = SPACE, sampler: str = "random", metric: str = "x") -> Ledger:
    """A search whose trials have `loss` after the first epoch, of up to three."""
    terms = Terms(seed=1, trials=trials, confirm=0, baseline=False)
    cost = CostModel(inputs=4, classes=2, rows=1000, shape_of=lambda _: metric)
    draws = samplers.make(sampler, space, 1, trials)
    ledger = Ledger(terms, space, draws, stopping.make("asha", 1, 3, 3), cost)
    random = np.random.default_rng(0)
    while pack := ledger.ask(1):
        rows = [
            Row(trial.id, epoch, 0.0, loss(trial.params, random), 0.5, 0.1)
            for trial in pack.trials
            for epoch in range(pack.from_epoch + 1, pack.to_epoch + 1)
        ]
        ledger.tell(pack.id, rows)
    return ledger


def known(ledger: Ledger) -> dict[str, Any]:
    found = evidence(ledger)
    assert found is not None
    return json.loads(json.dumps(found, allow_nan=False))  # type: ignore[no-any-return]


def bowl(params: Mapping[str, Value], random: np.random.Generator) -> float:
    """The learning rate matters most, the optimizer less; some diverge, and the scale is absurd."""
    rate = math.log10(float(params["learning_rate"]))
    if rate > -0.3:
        return math.nan
    return math.exp(5 * abs(rate + 2) + 3 * (params["optimizer"] == "sgd") + 0.5 * random.random())


def noise(_: Mapping[str, Value], random: np.random.Generator) -> float:
    return float(random.random())


def test_the_important_ones_are_found_in_their_order() -> None:
    found = known(searched(bowl, 100))
    assert found["believed"]
    assert [row["name"] for row in found["axes"]][:2] == ["learning_rate", "optimizer"]
    assert [row["name"] for row in found["axes"] if row["mattered"]] == ["learning_rate", "optimizer"]
    assert sum(row["share"] for row in found["axes"]) == pytest.approx(1)
    assert 0.6 < found["explained"] <= 1
    assert (found["epochs"], found["trials"]) == (1, 100)  # those that diverged among them


@pytest.mark.parametrize("trials", [FEWEST, 64, 200])
def test_noise_is_told_as_such(trials: int) -> None:
    found = known(searched(noise, trials))
    assert not found["believed"]
    assert not any(row["mattered"] for row in found["axes"])
    (told,) = found["words"]
    assert told.startswith(f"not to be told from {trials} trials after 1 epoch: a forest foretells ")
    assert told.endswith("; so may chance")


def test_chance_is_hardly_ever_believed() -> None:
    random = np.random.default_rng(0)
    for trials in (FEWEST, 40):
        explained = [
            found.explained
            for seed in range(6)
            if (found := measure(random.random((trials, 8)), random.random(trials), seed))
        ]
        assert sum(share > 0.1 + 2 / trials for share in explained) <= 1


def test_too_few_trials_say_nothing() -> None:
    found = known(searched(bowl, 8))
    assert found["explained"] is None
    assert found["words"] == ["not to be told from 8 trials after 1 epoch: it takes 20 that differ"]
    assert evidence(searched(bowl, 8, Space((), {"learning_rate": 0.1, "optimizer": "sgd"}))) is None


def test_what_decides_whether_an_axis_is_active_is_credited_itself() -> None:
    """Trials with sgd have no momentum: that there is none must not be read as its value."""
    found = known(searched(lambda params, _: float(params["optimizer"] == "sgd"), 100))
    assert [row["name"] for row in found["axes"] if row["mattered"]] == ["optimizer"]
    assert found["axes"][0]["drop"] > 1.5  # all that there is is lost


def test_an_axis_counts_where_it_is_active() -> None:
    found = known(searched(lambda params, _: float(params.get("momentum", 0.7)), 150))
    assert found["axes"][0]["name"] == "momentum"


def test_equal_trials_give_equal_figures_and_other_scales_the_same() -> None:
    random = np.random.default_rng(3)
    points = random.random((60, 4))
    losses = points[:, 2] + 0.1 * random.random(60)
    first = measure(points, losses, 7)
    assert first == measure(points, losses, 7)
    assert first == measure(points, np.exp(50 * losses), 7)
    assert isinstance(first, Importance)
    assert int(np.argmax(first.drops)) == 2
    assert measure(points, np.ones(60), 7) is None


def test_a_thousand_trials_take_less_than_two_seconds() -> None:
    random = np.random.default_rng(0)
    points = random.random((3 * MOST, 12))
    losses = points[:, 0] + 0.3 * random.random(3 * MOST)
    measure(points[:30], losses[:30], 0)  # imports
    begin = process_time()
    assert measure(points, losses, 0)
    assert process_time() - begin < 2


class TestGrid:
    def test_random_tries_more_values_of_what_matters(self) -> None:
        found = known(searched(bowl, 200))
        rate = next(row for row in found["axes"] if row["name"] == "learning_rate")
        assert (rate["tried"], rate["grid"]) == (200, 2)
        # two values of each: 2 rates, 32 of the idle ones, and sgd, or momentum with 2 values
        assert found["grid"] == {"points": 2, "trials": 2 * 32 * 3}
        assert found["words"][1] == (
            "values tried: 200 of learning_rate, 2 of optimizer; a grid of 192 trials has 2, 2"
        )

    def test_inactive_combinations_are_no_trials_of_the_grid(self) -> None:
        """Three values of each are 18 combinations, of which sgd leaves 3 and momentum 9."""
        found = known(searched(bowl, 12, Space(SPACE.axes[:3])))
        assert found["grid"] == {"points": 3, "trials": 12}

    def test_a_grid_beyond_all_bounds_is_named_so(self) -> None:
        wide = Space((*SPACE.axes, *(Axis(f"more_{k}", Uniform(0.0, 1.0)) for k in range(20))))
        found = known(searched(bowl, 150, wide))
        assert found["grid"] == {"points": 2, "trials": None}
        assert "a grid of over a million trials has 2" in found["words"][1]

    def test_a_grid_has_no_such_line(self) -> None:
        found = known(searched(bowl, 50, Space(SPACE.axes[:2]), sampler="grid"))
        assert found["believed"]
        assert len(found["words"]) == 1


def test_it_is_stored_with_the_sweep_and_shown() -> None:
    ledger = make_ledger(40, confirm=0)
    while pack := ledger.ask(1):
        ledger.tell(pack.id, *train(pack))
    found = figures(ledger, COUNTS)
    assert found["importance"]["axes"][0]["name"] == "learning_rate"
    for text in (shown(ledger), summary("digits-1", found)):
        assert "% of the effect on the loss after 1 epoch; from the values that were tried a forest foretells" in text
        assert "values tried: 40 of learning_rate; a grid of 40 trials has 20" in text
    assert "mattered" not in summary("digits-1", {**found, "importance": None})
