"""TPE: what Optuna is told, that it learns, and what there is to read where it is not installed."""

from __future__ import annotations

import itertools
import math
import sys

import optuna
import pytest

from tests import surfaces
from tuner.search.random import RandomSampler
from tuner.search.samplers import make
from tuner.search.space import Axis, Choice, OneOf, Space, Uniform
from tuner.search.tpe import TpeSampler

SPACE = Space(
    (
        Axis("momentum", Uniform(0, 1), (OneOf("optimizer", ("momentum",)),)),  # depends on what comes after it
        Axis("optimizer", Choice(("momentum", "adam"))),
        Axis("flag", Choice((1, "1", 0))),
    ),
    {"batch_size": 64},
)
_IF_A = (OneOf("c", ("a",)),)


def test_it_is_better_than_random_search_at_equal_cost() -> None:
    seeds = 12
    random = surfaces.typical(lambda seed: RandomSampler(surfaces.SPACE, seed), 48, seeds)
    learned = surfaces.typical(lambda seed: TpeSampler(surfaces.SPACE, seed, 48), 48, seeds)
    assert learned < 0.75 * random


def test_an_inactive_axis_stands_in_the_middle_and_is_not_asked_for() -> None:
    sampler = TpeSampler(SPACE, 0, 64)
    points = [sampler.ask(number).point for number in range(64)]
    active = [point for point in points if SPACE.decode(point)["optimizer"] == "momentum"]
    assert 0 < len(active) < 64
    assert {point[0] for point in points if point not in active} == {0.5}
    assert len({point[0] for point in active}) == len(active)
    assert {SPACE.decode(point)["flag"] for point in points} == {1, "1", 0}


def test_every_rung_is_told_and_who_came_further_is_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna ranks pruned trials by their last step first, then by the loss there, and those without any last."""
    studies: list[optuna.Study] = []
    create = optuna.create_study

    def watched(**arguments: object) -> optuna.Study:
        studies.append(create(**arguments))
        return studies[-1]

    monkeypatch.setattr(optuna, "create_study", watched)
    sampler = TpeSampler(SPACE, 0, 64)
    sampler.ask(0)
    for trial, losses in {0: {1: 0.5, 3: 0.4}, 1: {1: 0.9}, 2: {1: 0.1, 3: math.nan}}.items():
        for epochs, loss in losses.items():
            sampler.tell(trial, epochs, loss)
    sampler.ask(8)
    told = studies[-1].trials
    assert [told[trial].intermediate_values for trial in range(4)] == [{1: 0.5, 3: 0.4}, {1: 0.9}, {}, {}]
    assert [told[trial].state.name for trial in range(4)] == ["PRUNED"] * 3 + ["RUNNING"]


def test_it_knows_from_its_first_draw_on_what_it_was_taught() -> None:
    space = Space((Axis("x", Uniform(0, 1)), Axis("c", Choice(("a", "b"))), Axis("m", Uniform(0, 1), _IF_A)))
    sampler = TpeSampler(space, 0, 64)
    for number in range(40):
        u, place = number / 40, 0.25 + 0.5 * (number % 2)
        sampler.learn(f"old {number}", (u, place, 0.5), 1, abs(u - 0.3) + place)
    drawn = [sampler.ask(number) for number in range(16)]
    assert {draw.reason for draw in drawn} == {"TPE, from the results of 40 trials, 40 of them not its own"}
    assert sum(abs(draw.point[0] - 0.3) < 0.2 for draw in drawn) > 10
    assert sum(draw.point[1] == 0.25 for draw in drawn) > 10


def test_it_searches_where_the_highest_rung_is_good() -> None:
    """After one epoch large values look good, after three small ones."""
    space, high = Space((Axis("x", Uniform(0, 1)),)), []
    sampler = TpeSampler(space, 0, 96)
    for number in range(96):
        u = sampler.ask(number).point[0]
        sampler.tell(number, 1, 1 - u)
        if number % 2 == 0:
            sampler.tell(number, 3, u)
        high.append(u > 0.5)
    assert sum(high[-40:]) < 10


def test_draws_of_a_batch_keep_apart() -> None:
    """All of a batch know the same results; without a lie about each other they would crowd at the best."""
    space = Space((Axis("x", Uniform(0, 1)),))
    sampler = TpeSampler(space, 0, 160)
    for number in range(40):
        sampler.tell(number, 1, abs(sampler.ask(number).point[0] - 0.5))
    batch = sorted(sampler.ask(number).point[0] for number in range(40, 50))
    assert min(b - a for a, b in itertools.pairwise(batch)) > 1e-4
    assert sampler.ask(40).reason == "TPE, from the results of 40 trials"


def test_a_draw_does_not_depend_on_draws_elsewhere_in_the_process() -> None:
    """Optuna's generators are its own."""
    plain, disturbed = TpeSampler(SPACE, 3, 40), TpeSampler(SPACE, 3, 40)
    for number in range(40):
        optuna.create_study().ask().suggest_float("other", 0, 1)
        assert plain.ask(number) == disturbed.ask(number)
        for sampler in (plain, disturbed):
            sampler.tell(number, 1, number % 5)


def test_where_optuna_is_missing_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"tpe needs Optuna, .* pip install 'caviar\[tpe\]'"):
        make("tpe", SPACE, 0, 5)
