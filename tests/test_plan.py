"""A plan's estimate: pure parts by tables, timings on real rows, and the command as users run it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from models.config import Config
from models.training import Arrays, Slots
from tests.conftest import Home
from tests.simulation import SPACE, make_ledger
from tests.sweeps import classifier
from tuner.engine import timing
from tuner.engine.advice import Advice, Budget, Fit, Outlook, advise, caution, fit, largest, least_search
from tuner.engine.pace import TOGETHER, Pace, Sizes, Timing, model_bytes, state_bytes
from tuner.engine.packing import CostModel
from tuner.engine.plan import Estimate, Planner, Surroundings
from tuner.engine.planning import Survey
from tuner.engine.probes import probes
from tuner.engine.rehearsal import Rehearsal, rehearse
from tuner.engine.rehearsals import Sweeps
from tuner.search import samplers, stopping
from tuner.search.space import Axis, Choice, Int, LogInt, LogUniform, Space
from tuner.spec import from_mapping
from tuner.trial import Pack, Stage, Trial, Value

torch.set_num_threads(1)

SIZES = Sizes(inputs=20, classes=3, train=6400, validation=1000, stored=4096)
SMALL: Mapping[str, Value] = {"hidden_layers": 1, "hidden_units": 8, "batch_size": 64}
AROUND = Surroundings(
    workers=2,
    start=10.0,
    pack=0.1,
    trial=0.0,
    end=3.0,
    request=0.0,
    patience=60.0,
    worker_bytes=200 << 20,
    other_bytes=800 << 20,
)


def shape(layers: int, units: int, batch: int = 64, optimizer: str = "adam") -> dict[str, Value]:
    return {"hidden_layers": layers, "hidden_units": units, "batch_size": batch, "optimizer": optimizer}


def law(params: Mapping[str, Value], slots: int) -> float:
    """A machine on which a step costs so much a layer, and so much a multiplication of every slot."""
    config = Config.of(params, 0)
    widths = [SIZES.inputs, *(-(-width // 32) * 32 for width in config.widths), 16]
    products = sum(a * b for a, b in pairwise(widths))
    return 1e-4 * len(config.widths) + 1e-10 * config.batch_size * products * slots


TIMED = [shape(layers, units, batch) for layers in (1, 3) for units in (16, 256) for batch in (32, 128)]


def pace(scale: float = 1.0) -> Pace:
    timings = [
        Timing(params, slots, (scale * law(params, slots),) * 3, evaluation=0.01 * slots, begin=0.0)
        for params in TIMED
        for slots in (1, TOGETHER)
    ]
    return Pace(SIZES, timings)


@pytest.mark.parametrize("params", [*TIMED, shape(2, 100), shape(3, 700, 512)], ids=str)
@pytest.mark.parametrize("slots", [1, 3, TOGETHER, 40])
def test_pace_finds_the_law_of_a_machine(params: Mapping[str, Value], slots: int) -> None:
    steps = SIZES.train // int(params["batch_size"])
    evaluation = 0.01 * slots
    assert pace().seconds(params, 5, slots) == pytest.approx(5 * (steps * law(params, slots) + evaluation), rel=1e-3)


def test_a_refit_has_more_rows_and_no_evaluation() -> None:
    found = pace().seconds(SMALL, 2, stage=Stage.REFIT)
    assert found == pytest.approx(2 * (7400 // 64) * law({**SMALL, "optimizer": "adam"}, 1), rel=1e-3)


def test_virtual_epochs_have_their_own_steps() -> None:
    assert Sizes(1, 2, 6400, 1000, 0, epoch_rows=320).steps(64, Stage.SEARCH) == 5
    assert SIZES.steps(64, Stage.SEARCH) == 100


def test_a_pack_is_timed_shape_by_shape() -> None:
    trials = tuple(Trial(str(n), n, n, shape(1, units)) for n, units in enumerate((8, 250, 16)))
    timings = pace().pack(Pack(1, Stage.SEARCH, 1, 1, 3, trials, "because"))
    assert [(name, epochs) for name, epochs, _ in timings] == [("0", 4), ("1", 2)], "8 and 16 are padded alike"
    assert timings[0][2] == pace().seconds(shape(1, 8), 2, slots=2)


def test_differences_between_rounds_widen_the_range() -> None:
    steady = Timing(SMALL, 1, (1.0, 1.0, 1.0), 0.0, 0.0)
    shaky = Timing(SMALL, 1, (0.6, 1.0, 1.5), 0.0, 0.0)
    assert (Pace(SIZES, [steady]).low, Pace(SIZES, [steady]).high) == (0.9, 1.1)
    assert (Pace(SIZES, [shaky]).low, Pace(SIZES, [shaky]).high) == (0.6, 1.5)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam"])
@pytest.mark.parametrize("more", [{}, {"batch_norm": False}, {"hidden_layers": 0}], ids=str)
def test_bytes_are_those_of_the_state_that_is_written(optimizer: str, more: dict[str, Value]) -> None:
    params = {**shape(2, 40, optimizer=optimizer), **more}
    written = Slots.start(["a"], [Config.of(params, 1)], SIZES.inputs, SIZES.classes).save_tensors()
    size = sum(tensor.nbytes for name, tensor in written.items() if name != "steps")
    assert state_bytes(params, SIZES) == size


def test_bytes_of_the_model_are_those_of_its_file(tmp_path: Path) -> None:
    made = classifier()
    made.save(tmp_path)
    sizes = Sizes(made.encoder.width, 2, 1, 1, 0)
    header = (tmp_path / "model.safetensors").stat().st_size - model_bytes(shape(1, 4), sizes)
    assert 0 < header < 500


def rehearsed(rule: str, trials: int, workers: int = 2, chance: int = 0, sampler: str = "random") -> Rehearsal:
    ledger = make_ledger(trials, rule, sampler=sampler)
    return rehearse(ledger, pace(20.0).pack, lambda _: 100, workers=workers, pack_seconds=0.1, chance=chance)


@pytest.mark.parametrize("rule", stopping.RULES)
@pytest.mark.parametrize("trials", [1, 27, 81])
def test_a_rehearsal_trains_as_many_epochs_as_its_rule_expects(rule: str, trials: int) -> None:
    found = rehearsed(rule, trials)
    expected = stopping.make(rule, 1, 9, 3).expected_epochs(trials)
    assert found.searched == trials
    assert 0.75 * expected <= found.search_epochs <= 1.3 * expected + 9


def test_a_rehearsal_counts_trials_at_rungs() -> None:
    found = rehearsed("successive_halving", 27)
    assert dict(found.reached) == {0: 27, 1: 9, 2: 3}
    assert found.search_epochs == 27 + 9 * 2 + 3 * 6
    assert found.stored == 100 * (27 + 9 + 3), "a state for each trial of each pack"
    assert found.trials == 27 + 8 + 2 * 2 + 2, "and those of baseline, confirmation and refits"
    assert found.search < found.whole


def test_equal_rehearsals_are_equal_and_chance_changes_them() -> None:
    assert rehearsed("asha", 40) == rehearsed("asha", 40)
    assert rehearsed("asha", 40).whole != rehearsed("asha", 40, chance=1).whole


def test_more_workers_take_less_time_and_one_takes_all_of_it() -> None:
    seconds = [rehearsed("asha", 81, workers).whole for workers in (1, 2, 8)]
    assert seconds == sorted(seconds, reverse=True)
    assert 1.5 * seconds[1] < seconds[0] < 2 * seconds[1]


@pytest.mark.parametrize("sampler", ["coarse_to_fine", "tpe", "sobol"])
def test_samplers_that_learn_are_rehearsed_too(sampler: str) -> None:
    assert rehearsed("asha", 30, sampler=sampler).searched == 30


def sweeps(rule: str = "asha", whole: int = 2000) -> Sweeps:
    return Sweeps(lambda trials: (trials, None), lambda trials, _: make_ledger(trials, rule), whole)


def estimated(trials: int, around: Surroundings = AROUND) -> Estimate:
    return Planner(sweeps(), pace(), around).estimate(trials)


def test_an_estimate_adds_up() -> None:
    found = estimated(40)
    assert found.trials == found.rungs[0][1] == 40
    assert [epochs for epochs, _ in found.rungs] == [1, 3, 9]
    assert found.search.low < found.search.expected < found.search.high
    assert 10 < found.search.expected < found.whole.expected - 3
    assert found.disk == found.states + found.journal + found.snapshot + found.model + found.report
    assert found.snapshot == 4096
    assert found.memory == (800 << 20) + 2 * found.worker_memory + 4096
    assert found.requests > 3 * 40


@pytest.mark.parametrize(("request_seconds", "waited"), [(0.0, 0.0), (1e-6, 0.0), (10.0, 60.0)])
def test_a_server_is_waited_for_but_not_for_ever(request_seconds: float, waited: float) -> None:
    found = estimated(20, replace(AROUND, request=request_seconds))
    assert found.whole.expected == pytest.approx(estimated(20).whole.expected + waited)


def test_workers_elsewhere_are_no_memory_of_this_machine() -> None:
    assert estimated(4, replace(AROUND, other_bytes=None)).memory is None


@pytest.mark.parametrize(("limit", "below", "found"), [(50, 100, 50), (0.5, 100, 0), (1, 2, 1), (98.5, 100, 98)])
def test_the_largest_that_fits(limit: float, below: int, found: int) -> None:
    assert largest(lambda trials: trials <= limit, below) == found


def test_the_largest_of_many_that_fits_is_near_enough_after_few_looks() -> None:
    looks: list[int] = []
    found = largest(lambda trials: not looks.append(trials) and trials <= 4321, 1_000_000)  # type: ignore[func-returns-value]
    assert 0.99 * 4321 <= found <= 4321
    assert len(looks) <= 15


@pytest.mark.parametrize(
    ("limit", "fits", "most", "said"),
    [
        (200.0, True, 64, "takes about 1.23 min, of 3.33 min"),
        (42.0, False, 27, "more than the 42 s that there are: --set search.trials=27 is the largest that fits with a"),
        (12.0, False, 0, "one trial alone takes about 11 s: give it more time, or fewer epochs"),
    ],
)
def test_what_does_not_fit_is_told_with_what_does(limit: float, fits: bool, most: int, said: str) -> None:
    found = fit(Budget(limit, "the search", lambda trials: 10.0 + trials), 64)
    assert (found.fits, found.largest) == (fits, most)
    assert found.reason.startswith("the search of 64 trials takes about 1.23 min")
    assert said in found.reason


OUTLOOK = Outlook(trials=64, seconds=900.0, beside=18.0, workers=2, one=60.0, alone=62.0, max_epochs=27, least=9)


def advised(limit: float | None = None, fitting: Fit | None = None, searched: bool = True, **other: Any) -> Advice:
    return advise(replace(OUTLOOK, **other), limit, fitting, searched)


@pytest.mark.parametrize(
    ("one", "trials", "seconds", "limit", "kind"),
    [
        (60.0, 64, 900.0, 3600.0, "caviar"),
        (60.0, 4, 60.0, 3600.0, "caviar"),  # few were asked for, but there is room for more
        (3000.0, 64, 90_000.0, 3600.0, "panda"),
        (40_000.0, 64, 1_000_000.0, None, "panda"),  # nobody waits for ten days
        (40_000.0, 64, 500_000.0, None, "caviar"),
        (0.1, 640, 32.0, 18.0, "panda"),  # all of it is no training
        (4000.0, 64, 90_000.0, 3600.0, "neither"),
    ],
)
def test_panda_where_a_search_finds_no_room(
    one: float, trials: int, seconds: float, limit: float | None, kind: str
) -> None:
    found = advised(limit, one=one, alone=one + 2, trials=trials, seconds=seconds)
    assert found.kind == kind
    assert "to 27 epochs" in found.reason
    assert ("a day" in found.reason) == (limit is None)


def test_a_budget_that_the_start_fills_is_no_matter_of_slow_models() -> None:
    found = advised(29.0, Fit(False, 0, ""), one=0.12, alone=2.0, beside=27.0, trials=640, seconds=59.0)
    assert found.kind == "panda"
    assert found.reason.startswith(
        "a sweep starts and ends in 27 s, so in the budget of 29 s there is room for about 0"
    )
    assert "one model takes 0.12 s to 27 epochs, and 2 s with its start" in found.reason
    slow = advised(3600.0, Fit(False, 0, ""), one=3000.0, alone=3002.0, seconds=90_000.0)
    assert slow.reason.startswith("one model takes 50 min to 27 epochs, so in the budget of 1 h")


@pytest.mark.parametrize(("limit", "kind"), [(None, "panda"), (70.0, "panda"), (61.0, "neither")])
def test_where_nothing_is_searched_it_is_a_panda(limit: float | None, kind: str) -> None:
    found = advised(limit, searched=False)
    assert found.kind == kind
    assert ("nothing is searched" in found.reason) == (kind == "panda")


@pytest.mark.parametrize(("largest_fit", "kind", "room"), [(8, "panda", 8), (9, "caviar", 9)])
def test_advice_knows_of_the_largest_that_fits(largest_fit: int, kind: str, room: int) -> None:
    found = advised(600.0, Fit(False, largest_fit, ""))
    assert found.kind == kind
    assert f"room for about {room} trials" in found.reason


def test_what_fits_has_room() -> None:
    found = advised(890.0, Fit(True, 64, ""))  # a budget for the search, which ends before the sweep
    assert "In the budget of 14.8 min there is room for about 64 trials" in found.reason


@pytest.mark.parametrize(("rungs", "reduction", "least"), [(4, 3, 9), (2, 3, 3), (2, 4, 4), (1, 2, 3)])
def test_the_least_search_leaves_somebody_out(rungs: int, reduction: int, least: int) -> None:
    assert least_search(rungs, reduction) == least


WIDE = Space(
    (
        Axis("learning_rate", LogUniform(1e-4, 1.0)),
        Axis("hidden_units", LogInt(16, 512)),
        Axis("batch_size", Choice((64, 128, 256))),
        Axis("hidden_layers", Int(1, 3)),
    ),
    {"optimizer": "adam"},
)


@pytest.mark.parametrize("sampler", ["random", "tpe", "coarse_to_fine", "grid"])
def test_probes_are_the_ends_of_the_space_and_draws_between(sampler: str) -> None:
    cost = CostModel(20, 3, 10_000, lambda trial: trial.params["batch_size"])
    found = probes(WIDE, samplers.make(sampler, WIDE, 0, 40), cost, 40)
    sizes = [(params["hidden_layers"], params["hidden_units"], params["batch_size"]) for params in found]
    assert (sizes[0], sizes[-1]) == ((1, 16, 256), (3, 512, 64))
    assert 4 <= len(found) <= 8
    seconds = [cost.seconds(Trial(str(n), n, 0, params), 1) for n, params in enumerate(found)]
    assert seconds == sorted(seconds)


def test_one_shape_is_probed_once() -> None:
    cost = CostModel(20, 3, 10_000, lambda trial: trial.params["batch_size"])
    space = Space((Axis("learning_rate", LogUniform(1e-4, 1.0)),), dict(SMALL))
    assert len(probes(space, samplers.make("random", space, 0, 9), cost, 9)) == 1
    assert len(probes(SPACE, samplers.make("random", SPACE, 0, 9), cost, 9)) == 2


@pytest.mark.parametrize("more", [{}, {"bn_statistics": "second_pass"}, {"learning_rate": 1e9}], ids=str)
def test_timing_is_of_real_steps(more: dict[str, Value]) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((900, 20)).astype(np.float32), rng.integers(0, 3, 900)
    arrays = Arrays(torch.from_numpy(X), torch.from_numpy(y), 3, slice(0, 600), slice(600, 900))
    small, large = {**shape(1, 16), **more}, {**shape(3, 300), **more}
    found = timing.measure(arrays, [small, large])
    assert [one.slots for one in found] == [1, TOGETHER] * 2
    assert all(seconds > 0 for one in found for seconds in (*one.steps, one.evaluation, one.begin))
    assert min(found[2].steps) > min(found[0].steps), "a network 60 times as large takes longer"
    assert min(found[3].steps) > 2 * min(found[2].steps)


def test_only_where_learning_meets_promotion_at_once_more_may_go_on_than_rehearsed() -> None:
    told = caution(learns=True, stopping="asha")
    assert told
    assert "1.4 to 3 times" in told
    assert caution(learns=False, stopping="asha") is None
    assert caution(learns=True, stopping="successive_halving") is None


@pytest.fixture(scope="module")
def spec(home: Home, digits: Path) -> Path:
    path = home.folder / "digits.yaml"
    asked: dict[str, Any] = {
        "name": "digits",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": {"int": [0, 2]}, "hidden_units": {"log_int": [16, 64]}},
        "search": {"trials": 18},
        "stopping": {"asha": {"max_epochs": 9}},
    }
    path.write_text(yaml.safe_dump(asked))
    return path


@pytest.mark.ray
def test_plan_tells_what_a_sweep_takes_and_makes_none(home: Home, spec: Path) -> None:
    done = home.caviar("plan", str(spec), "--json")
    plan = json.loads(done.stdout)
    assert plan["rungs"][0] == {"epochs": 1, "trials": 18}
    assert (plan["workers"], plan["contested"], plan["budget"]) == (2, False, None)
    assert 1 < plan["whole"]["low"] < plan["whole"]["expected"] < plan["whole"]["high"] < 120
    assert plan["worker_memory"] > 50 << 20
    assert plan["kind"] == "caviar"
    said = " ".join(done.stderr.split())
    for word in ("18 trials", "2 workers", "in the search", "states", "requests", "caviar: 2 workers try 18 trials"):
        assert word in said
    assert home.answer("list")["sweeps"] == []
    assert not list((home.folder / ".caviar/storage").glob("plan-*"))


@pytest.mark.ray
def test_over_budget_ends_with_4_and_the_largest_that_fits(home: Home, spec: Path) -> None:
    done = home.caviar("plan", str(spec), "--json", "--set", "search.trials=1000000", "--hours", "0.05", code=4)
    plan = json.loads(done.stdout)
    assert plan["trials"] == 1_000_000
    assert not plan["budget"]["fits"]
    assert 0 < plan["budget"]["largest"] < 1_000_000
    last = done.stderr.splitlines()[-1]
    assert last == plan["budget"]["reason"]
    assert f"--set search.trials={plan['budget']['largest']}" in last


@pytest.mark.parametrize(("hours", "what", "limit"), [(2.0, "the sweep", 7200.0), (None, "the search", 1800.0)])
def test_hours_are_for_all_and_the_budget_of_the_spec_for_the_search(
    hours: float | None, what: str, limit: float
) -> None:
    from tuner.cli.plan import _budget

    planner = Planner(sweeps(), pace(), AROUND)
    spec = from_mapping({"name": "d", "data": {"source": "x.csv", "target": "y"}, "budget": {"hours": 0.5}})
    found = _budget(spec, hours, planner)
    assert found
    assert (found.what, found.limit) == (what, limit)
    estimate = planner.estimate(20)
    assert found.seconds_of(20) == (estimate.whole if hours else estimate.search).expected


@pytest.mark.parametrize(("more", "kind"), [({}, "caviar"), ({"learning_rate": 0.05}, "panda")], ids=str)
def test_the_command_knows_whether_anything_is_searched(more: dict[str, Any], kind: str) -> None:
    from tuner.cli.plan import _advice

    train = {
        "optimizer": "momentum",
        "momentum": 0.9,
        "batch_size": 64,
        "learning_rate_decay": {"schedule": "constant"},
    }
    model = {"hidden_layers": 1, "hidden_units": 32}
    plain = {"name": "d", "data": {"source": "x.csv", "target": "y"}, "model": model, "train": {**train, **more}}
    found = Survey(pace(), AROUND, SMALL, {"data": 1.0}, None, contested=False)
    assert _advice(from_mapping(plain), found, estimated(20), None, None).kind == kind
