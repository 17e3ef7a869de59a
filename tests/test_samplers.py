"""The contract of every sampler, and what each promises beyond it."""

from __future__ import annotations

import itertools
import json
import math
from random import Random
from typing import get_args

import numpy as np
import pytest

from tuner.search.grid import GridSampler, points_per_axis
from tuner.search.lessons import Lesson, Lessons
from tuner.search.samplers import SAMPLERS, Sampler, make
from tuner.search.space import (
    LARGEST_GRID,
    Axis,
    Choice,
    DomainError,
    Grid,
    Int,
    LogUniform,
    OneMinusLogUniform,
    OneOf,
    Space,
    Uniform,
)
from tuner.spec import parse
from tuner.spec.search import Search
from tuner.trial import Draw, Value

SPACE = Space(
    (
        Axis("learning_rate", LogUniform(1e-4, 1)),
        Axis("momentum", OneMinusLogUniform(0.9, 0.999), (OneOf("optimizer", ("momentum",)),)),
        Axis("optimizer", Choice(("momentum", "adam"))),
        Axis("layers", Int(0, 3)),
    ),
    {"batch_size": 64},
)
EMPTY = Space((), {"batch_size": 64})


def _draws(sampler: Sampler, count: int) -> list[Draw]:
    return [draw for number in range(count) if (draw := sampler.ask(number)) is not None]


def _made(name: str, space: Space, seed: int, trials: int) -> Sampler:
    """The sampler `name`; or, of the same contract, one that starts from two configurations ("warm"), or is taught."""
    how, _, plain = name.rpartition(" ")
    start: list[dict[str, Value]] = [{"learning_rate": 0.01, "optimizer": "adam"}, {"layers": 3, "batch_size": 64}]
    lessons = _lessons(space) if how == "taught" else None
    return make(plain, space, seed, trials, start=start if how == "warm" else (), lessons=lessons)


def _lessons(space: Space) -> Lessons:
    """Twenty trials of another search, some of which diverged; the best of them is tried first."""
    draws = _draws(make("random", space, 99, 20), 20)
    told = tuple(
        Lesson(f"t{i:04d} of a", space.decode(draw.point), {1: i / 10, 3: math.nan if i % 7 == 6 else i / 20})
        for i, draw in enumerate(draws)
    )
    return Lessons(told[:1], told)


@pytest.mark.parametrize("name", [f"{how}{name}" for how in ("", "warm ", "taught ") for name in SAMPLERS])
class TestContract:
    def test_the_same_seed_gives_the_same_draws(self, name: str) -> None:
        assert _draws(_made(name, SPACE, 7, 30), 30) == _draws(_made(name, SPACE, 7, 30), 30)

    def test_another_seed_gives_other_draws(self, name: str) -> None:
        assert _draws(_made(name, SPACE, 7, 30), 30) != _draws(_made(name, SPACE, 8, 30), 30)

    def test_asking_again_in_any_order_gives_the_same_draw(self, name: str) -> None:
        sampler = _made(name, SPACE, 7, 30)
        forward = [sampler.ask(number) for number in range(20)]
        assert [sampler.ask(number) for number in reversed(range(20))] == forward[::-1]
        assert _made(name, SPACE, 7, 30).ask(13) == forward[13]

    def test_results_change_no_settled_draw(self, name: str) -> None:
        """What is settled may be drawn ahead; and it is settled for many trials at a time, or packs have one each."""
        ahead, late = _made(name, SPACE, 7, 64), _made(name, SPACE, 7, 64)
        at, chunks = 0, []
        while at < 64:
            assert ahead.ask(at) == late.ask(at)
            settled = list(itertools.takewhile(ahead.is_settled, range(at, 64)))
            drawn = [ahead.ask(number) for number in settled]
            for number in range(at):
                late.tell(number, 3, math.nan if number % 5 == 0 else -number)
            assert [late.ask(number) for number in settled] == drawn
            for number in range(at):
                ahead.tell(number, 3, math.nan if number % 5 == 0 else -number)
            for number, sampler in itertools.product(settled, (ahead, late)):
                sampler.tell(number, 1, math.nan if number % 3 == 0 else number % 7)
            at += len(settled)
            chunks.append(len(settled))
        assert len(chunks) == 1 or min(chunks[1:-1]) >= 8  # the first may be what the start has

    def test_equal_calls_give_equal_draws_though_results_come_late_and_out_of_order(self, name: str) -> None:
        def searched() -> tuple[list[Draw | None], object]:
            sampler, random, running, draws = _made(name, SPACE, 7, 64), Random(1), [], []
            for number in range(64):
                draws.append(sampler.ask(number))
                running.append((number, 1))
                while len(running) > 8:
                    trial, epochs = running.pop(random.randrange(len(running)))
                    sampler.tell(trial, epochs, math.inf if trial % 5 == 4 else (trial * 7 % 11) / epochs)
                    if trial % 3 == 0 and epochs < 9:
                        running.append((trial, epochs * 3))
            return draws, sampler.rounds()

        assert searched() == searched()

    def test_rounds_are_plain_data(self, name: str) -> None:
        sampler = _made(name, SPACE, 7, 40)
        for number in range(30):
            sampler.ask(number)
            sampler.tell(number, 1, number % 7)
        rounds = sampler.rounds()
        assert json.loads(json.dumps(rounds)) == rounds
        assert bool(rounds) == name.endswith("coarse_to_fine")

    def test_draws_lie_in_the_unit_cube_and_say_why(self, name: str) -> None:
        for draw in _draws(_made(name, SPACE, 0, 50), 50):
            assert len(draw.point) == len(SPACE.axes)
            assert all(isinstance(u, float) and 0 <= u <= 1 for u in draw.point)
            assert draw.reason
            assert {"learning_rate", "optimizer", "layers", "batch_size"} <= set(SPACE.decode(draw.point))

    def test_a_space_without_axes_has_the_empty_point(self, name: str) -> None:
        draw = _made(name, EMPTY, 0, 5).ask(0)
        assert draw is not None
        assert draw.point == ()


def test_random_draws_depend_on_seed_and_number_alone() -> None:
    late = make("random", SPACE, 3, 10).ask(999)
    sampler = make("random", SPACE, 3, 5000)
    _draws(sampler, 100)
    assert sampler.ask(999) == late


def test_random_draws_fill_the_cube_evenly() -> None:
    points = np.array([draw.point for draw in _draws(make("random", SPACE, 0, 4000), 4000)])
    for axis in points.T:
        assert np.abs(np.histogram(axis, bins=10, range=(0, 1))[0] / len(points) - 0.1).max() < 0.03
    assert np.abs(np.corrcoef(points.T) - np.eye(len(SPACE.axes))).max() < 0.05


def test_sobol_puts_one_of_16_points_in_each_sixteenth_of_every_axis() -> None:
    for seed in range(5):
        points = np.array([draw.point for draw in _draws(make("sobol", SPACE, seed, 64), 64)])
        for start, axis in itertools.product(range(0, 64, 16), points.T):
            assert sorted((axis[start : start + 16] * 16).astype(int)) == list(range(16))


def test_sobol_puts_four_of_64_points_in_each_of_16_boxes_of_two_axes() -> None:
    points = np.array([draw.point for draw in _draws(make("sobol", SPACE, 0, 64), 64)])
    counts = np.histogram2d(points[:, 0], points[:, 1], bins=4, range=[[0, 1], [0, 1]])[0]
    assert (counts == 4).all()


def test_a_grid_holds_every_distinct_combination_once_and_ends() -> None:
    sampler = make("grid", SPACE, 0, 1000, points=3)
    draws = _draws(sampler, 1000)
    got = [tuple(SPACE.decode(draw.point).items()) for draw in draws]
    rates, layers = (1e-4, 1e-2, 1.0), (0, 2, 3)
    optimizers: list[dict[str, Value]] = [{"optimizer": "momentum", "momentum": m} for m in (0.9, 0.99, 0.999)]
    optimizers.append({"optimizer": "adam"})
    expected: list[dict[str, Value]] = [
        {"learning_rate": rate, **optimizer, "layers": depth, "batch_size": 64}
        for rate, depth in itertools.product(rates, layers)
        for optimizer in optimizers
    ]
    assert len(got) == len(set(got)) == 36
    assert {frozenset(params) for params in got} == {frozenset(params.items()) for params in expected}
    assert sampler.ask(36) is None
    assert sampler.ask(37) is None


@pytest.mark.parametrize(
    "model",
    [
        "{hidden_units: {per_layer: {grid: [8, 9, 10]}}}",
        "{hidden_units: 8, bn_decay: {grid: [0.8, 0.9]}}",  # hidden_layers decide on batch_norm, that on bn_decay
        "{hidden_units: 8, batch_norm: {choice: [true, false]}, bn_decay: {grid: [0.8, 0.9]}}",
    ],
)
def test_a_grid_knows_its_size(model: str) -> None:
    train = "{optimizer: {choice: [sgd, momentum, adam]}, learning_rate_decay: {schedule: {choice: [constant, sqrt]}}}"
    for space in (SPACE, EMPTY, parse(f"name: a\ndata: {{source: a.npz}}\nmodel: {model}\ntrain: {train}").space()):
        sampler = GridSampler(space, 0, 1, points=3)
        assert sampler.size() == len(_draws(sampler, space.combinations(3)))


def test_the_first_part_of_a_grid_is_a_fair_sample_of_it() -> None:
    space = Space((Axis("a", Uniform(0, 1)), Axis("b", Uniform(0, 1))))
    first = np.array([draw.point for draw in _draws(make("grid", space, 0, 900, points=30), 300)])
    for axis in first.T:
        assert np.histogram(axis, bins=3, range=(0, 1))[0].min() > 70


def test_a_grid_without_points_fits_the_trials() -> None:
    space = Space((Axis("a", Uniform(0, 1)), Axis("b", Uniform(0, 1)), Axis("c", Choice(("x", "y")))))
    assert [points_per_axis(space, trials) for trials in (1, 8, 17, 18, 31, 32)] == [2, 2, 2, 3, 3, 4]
    assert len(_draws(make("grid", space, 0, 18), 99)) == 18


def test_a_grid_takes_explicit_points_whatever_the_number_per_axis() -> None:
    space = Space((Axis("a", Grid((1, 2, 5))), Axis("b", Uniform(0, 1))))
    values = {tuple(space.decode(draw.point).values()) for draw in _draws(make("grid", space, 0, 99, points=2), 99)}
    assert values == set(itertools.product((1, 2, 5), (0.0, 1.0)))


def test_a_grid_of_too_many_combinations_is_refused() -> None:
    space = Space(tuple(Axis(f"a{i}", Uniform(0, 1)) for i in range(7)))
    with pytest.raises(DomainError, match=r"10 points per axis has 10,000,000 combinations.*fewer points"):
        make("grid", space, 0, 64, points=10)
    assert space.combinations(7) <= LARGEST_GRID
    assert make("grid", space, 0, 64, points=7).ask(0) is not None


def test_an_unknown_sampler_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="'annealing': use one of random, grid, sobol, coarse_to_fine, tpe"):
        make("annealing", SPACE, 0, 5)


def test_the_spec_offers_exactly_the_samplers_there_are() -> None:
    assert get_args(Search.model_fields["sampler"].annotation) == SAMPLERS
