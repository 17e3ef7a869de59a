"""search.expand: how far boxes may grow beyond the bounds of a spec, and what stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tuner.engine import build, sweep
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.retune.specs import retrained
from tuner.retune.states import Period, State
from tuner.search.coarse_to_fine import CoarseToFine
from tuner.search.space import Domain, LogUniform, OneMinusLogUniform, Uniform
from tuner.spec import Spec, SpecError, from_mapping

PLAIN: Mapping[str, Any] = {"name": "a", "data": {"source": "a.npz"}}


def spec(train: Mapping[str, Any] | None = None, **search: Any) -> Spec:
    search = {"sampler": "coarse_to_fine", "expand": True, **search}
    return from_mapping({**PLAIN, "train": train or {}, "search": search})


def domain(name: str, train: Mapping[str, Any]) -> Domain:
    return {axis.name: axis.domain for axis in spec(train).space().axes}[name]


@pytest.mark.parametrize(
    ("name", "written", "longer"),
    [
        ("learning_rate", {"log_uniform": [1e-4, 1]}, LogUniform(1e-6, 100)),
        ("learning_rate", {"uniform": [0.1, 0.5]}, Uniform(0.05, 0.7)),  # half of the way to 0, which is no rate
        ("weight_decay", {"uniform": [0.1, 0.5]}, Uniform(0, 0.7)),  # 0 is one
        ("momentum", {"one_minus_log_uniform": [0.9, 0.999]}, OneMinusLogUniform(0, 0.9999)),
        ("momentum", {"uniform": [0.5, 0.99]}, Uniform(0.255, 0.995)),  # half of the way to 1
    ],
)
def test_an_axis_of_real_numbers_grows_by_half_at_either_end_as_far_as_is_legal(
    name: str, written: Mapping[str, Any], longer: Domain
) -> None:
    assert domain(name, {name: written}) == longer


@pytest.mark.parametrize(("schedule", "high"), [("exponential", 1.0), ("sqrt", 1.235)])
def test_a_rate_that_is_multiplied_by_stays_at_most_1(schedule: str, high: float) -> None:
    train = {"learning_rate_decay": {"schedule": schedule, "rate": {"uniform": [0.5, 0.99]}}}
    found = domain("decay_rate", train)
    assert isinstance(found, Uniform)
    assert found.high == pytest.approx(high)


def test_whole_numbers_and_choices_stay_as_they_are() -> None:
    named = {axis.name: axis.domain for axis in spec(expand=False).space().axes}
    longer = {axis.name: axis.domain for axis in spec().space().axes}
    assert {name for name in named if named[name] != longer[name]} == {"learning_rate", "momentum", "decay_rate"}
    assert spec().warnings() == []


def test_the_search_begins_within_the_bounds_that_are_named() -> None:
    given = spec(trials=40)
    sampler, space = build.sampler(given), given.space()
    assert isinstance(sampler, CoarseToFine)
    rates = [space.decode(draw.point)["learning_rate"] for number in range(7) if (draw := sampler.ask(number))]
    assert all(1e-4 <= float(rate) <= 1 for rate in rates)
    assert sampler.rounds()[0]["box"]["learning_rate"]["from"] == pytest.approx(1e-4)


def test_where_nothing_can_grow_it_is_refused() -> None:
    fixed = {"learning_rate": 0.1, "momentum": 0.9, "learning_rate_decay": {"schedule": "constant"}}
    with pytest.raises(SpecError, match=r"search\.expand: has nothing to expand: only uniform, log_uniform and"):
        spec(fixed)


def test_a_spec_keeps_what_was_left_out_and_only_its_sampler_has_it() -> None:
    written = from_mapping({**PLAIN, "search": {"sampler": "coarse_to_fine"}}).to_yaml()
    assert "rounds: 6, outside: 0.2, expand: false" in written
    assert "rounds" not in from_mapping(PLAIN).to_yaml()


@pytest.mark.parametrize(("expand", "rate"), [(True, 5.0), (False, 1.0)])
def test_a_champion_beyond_the_bounds_is_trained_again_as_it_is(expand: bool, rate: float) -> None:
    """Of a spec that may expand, that is; else it goes to the nearest end, as with every start."""
    at = datetime(2013, 4, 1, tzinfo=UTC)
    timed = from_mapping({"name": "a", "data": {"source": "a.csv", "target": "y", "time": "t"}})
    search = {"sampler": "coarse_to_fine", "expand": expand, "from": ["earlier"]}
    given = from_mapping({**timed.model_dump(mode="json"), "search": search})
    period = Period("m", "2013-04-01", at, next(iter(State)), "", 1, at)
    again = retrained(given, period, {"learning_rate": 5.0})
    draw = build.sampler(again).ask(0)
    assert draw is not None
    assert again.search.trials == 1
    assert again.search.earlier is None
    assert again.space().decode(draw.point)["learning_rate"] == rate


def test_a_sampler_that_cannot_be_made_is_told_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    place = Place(tmp_path, Storage(tmp_path / "storage"), "")
    with pytest.raises(ValueError, match="needs Optuna"):
        sweep.create(from_mapping({**PLAIN, "search": {"sampler": "tpe"}}), place, "s")
    assert not list((tmp_path / "storage").rglob("*.json"))
