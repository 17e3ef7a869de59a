"""Warm start: the given configurations first, a share of the draws near them, and boxes that grow at their edges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation import SPACE as SIMULATED
from tests.test_history import state, work
from tuner.engine import build
from tuner.engine.history import History
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.search.focus import Focus, grown
from tuner.search.samplers import SAMPLERS, make
from tuner.search.space import Axis, Choice, Grid, Int, LogInt, LogUniform, OneOf, Space, Uniform
from tuner.search.starts import misfits, start_of
from tuner.search.warm import WarmStart
from tuner.spec import from_mapping
from tuner.trial import Draw, Value

SPACE = Space(
    (
        Axis("learning_rate", LogUniform(1e-4, 1)),
        Axis("momentum", Uniform(0, 1), (OneOf("optimizer", ("momentum",)),)),
        Axis("optimizer", Choice(("momentum", "adam", "sgd"))),
        Axis("layers", Int(0, 3)),
    ),
    {"batch_size": 64},
)
CHAMPION: dict[str, Value] = {"learning_rate": 0.01, "optimizer": "adam", "layers": 2, "batch_size": 64}
SECOND: dict[str, Value] = {"learning_rate": 0.1, "optimizer": "momentum", "momentum": 0.9, "layers": 0}
THIRD: dict[str, Value] = {"learning_rate": 1.0, "optimizer": "sgd", "layers": 3}
NARROW = Focus(width=0.1)


def warm(
    *starts: Mapping[str, Value],
    focus: Focus = NARROW,
    sampler: str = "random",
    space: Space = SPACE,
    trials: int = 400,
    points: int | None = None,
) -> WarmStart:
    made = make(sampler, space, 7, trials, points, start=starts or (CHAMPION,), focus=focus)
    assert isinstance(made, WarmStart)
    return made


def draws(sampler: WarmStart, count: int) -> list[Draw]:
    return [draw for number in range(count) if (draw := sampler.ask(number)) is not None]


def boxed(drawn: Sequence[Draw], start: int = 1) -> np.ndarray[Any, Any]:
    """The points [N, D] of the draws in the box around `start`."""
    return np.array([draw.point for draw in drawn if draw.reason.endswith(f"in the box around start {start}")])


def test_the_given_configurations_come_first_in_their_order() -> None:
    drawn = draws(warm(CHAMPION, SECOND, THIRD), 3)
    assert [SPACE.decode(draw.point) for draw in drawn] == [
        {"learning_rate": 0.01, "optimizer": "adam", "layers": 2, "batch_size": 64},
        {**SECOND, "batch_size": 64},
        {**THIRD, "batch_size": 64},
    ]
    assert [draw.reason for draw in drawn] == ["start 1", "start 2", "start 3"]
    assert drawn[0].point[1] == 0.5  # momentum, of which the champion says nothing


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1), starts=st.integers(1, 4), count=st.integers(1, 60))
def test_every_beginning_has_its_share_and_the_inner_sequence_no_gap(share: float, starts: int, count: int) -> None:
    drawn = draws(warm(*[CHAMPION] * starts, focus=Focus(share)), starts + count)[starts:]
    near = [draw for draw in drawn if "in the box" in draw.reason]
    assert abs(len(near) - share * count) < 1 + 1e-6
    others = [draw for draw in drawn if draw not in near]
    alone = make("random", SPACE, 7, 400)
    assert others == [alone.ask(number) for number in range(len(others))]


def test_a_draw_depends_on_seed_and_number_alone() -> None:
    late = warm(CHAMPION, SECOND).ask(201)
    assert late is not None
    assert late.reason == "draw 201 in the box around start 2"
    sampler = warm(CHAMPION, SECOND)
    draws(sampler, 50)
    assert sampler.ask(201) == late


def test_boxes_keep_near_their_start_and_fill_evenly() -> None:
    points = boxed(draws(warm(SECOND, space=SPACE), 4000))
    centre = start_of(SPACE, SECOND).point
    assert len(points) > 1900
    rate = points[:, 0]
    assert np.abs(rate - centre[0]).max() <= 0.1 + 1e-12
    assert (
        np.abs(np.histogram(rate, bins=5, range=(centre[0] - 0.1, centre[0] + 0.1))[0] / len(rate) - 0.2).max() < 0.03
    )


def test_a_box_keeps_its_width_at_the_ends_of_an_axis() -> None:
    assert (SECOND["momentum"], SECOND["layers"]) == (0.9, 0)
    focus = Focus(width=0.2, widths={"layers": 0.3})
    points = boxed(draws(warm(SECOND, focus=focus), 4000))
    for axis, low, high in ((points[:, 1], 0.6, 1.0), (points[:, 3], 0.0, 0.6)):
        assert axis.min() == pytest.approx(low, abs=0.01)
        assert axis.max() == pytest.approx(high, abs=0.01)
        assert low - 1e-12 <= axis.min() <= axis.max() <= high + 1e-12


def test_a_choice_keeps_its_value_mostly_and_an_untold_axis_is_drawn_whole() -> None:
    points = boxed(draws(warm(CHAMPION, focus=Focus(width=0.3)), 4000))
    optimizers = [SPACE.axes[2].domain.from_unit(u) for u in points[:, 2]]
    shares = {name: optimizers.count(name) / len(optimizers) for name in ("momentum", "adam", "sgd")}
    assert shares == pytest.approx({"momentum": 0.1, "adam": 0.8, "sgd": 0.1}, abs=0.03)  # 0.3 anew, of three values
    assert np.abs(np.histogram(points[:, 1], bins=5, range=(0, 1))[0] / len(points) - 0.2).max() < 0.03


def test_the_first_start_gets_every_other_box_and_the_rest_take_turns() -> None:
    drawn = draws(warm(CHAMPION, SECOND, THIRD, focus=Focus(share=1)), 3 + 400)[3:]
    assert [draw.reason[-1] for draw in drawn[:8]] == list("12131213")
    assert [len(boxed(drawn, start)) for start in (1, 2, 3)] == [200, 100, 100]


class TestGrid:
    SPACE = Space((Axis("a", Grid((1, 2, 3))), Axis("b", Choice(("x", "y")))))
    START: Mapping[str, Value] = {"a": 2, "b": "y"}  # it is read only

    def test_once_it_has_ended_the_other_trials_are_drawn_in_boxes(self) -> None:
        drawn = draws(warm(self.START, sampler="grid", space=self.SPACE), 40)
        grid = [draw for draw in drawn if draw.reason.startswith("grid point")]
        assert len(drawn) == 40
        assert len({draw.point for draw in grid}) == len(grid) == 6
        assert all("in the box" in draw.reason for draw in drawn[14:])
        assert drawn[0].reason == "start 1"
        assert len({draw.reason for draw in drawn}) == 40

    def test_without_a_share_the_sampler_ends_with_it(self) -> None:
        sampler = warm(self.START, sampler="grid", space=self.SPACE, focus=Focus(share=0))
        assert len(draws(sampler, 40)) == 7
        assert sampler.ask(39) is None

    def test_its_points_per_axis_are_for_the_trials_that_it_gets(self) -> None:
        space = Space((Axis("a", Uniform(0, 1)), Axis("b", Uniform(0, 1))))
        sampler = warm({"a": 0.5, "b": 0.5}, sampler="grid", space=space, trials=19)
        assert sampler.asked(19) == 9
        grid = [draw.point for draw in draws(sampler, 19) if draw.reason.startswith("grid")]
        assert sorted(grid) == [(a, b) for a in (0, 0.5, 1) for b in (0, 0.5, 1)]  # 3 x 3, where 19 hold 4 x 4


class Learner:
    """An adaptive sampler that remembers what it was asked and told."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.told: list[tuple[int, int, float]] = []
        self.learned: list[tuple[str, tuple[float, ...], int, float]] = []

    def ask(self, number: int) -> Draw:
        self.asked.append(number)
        return Draw((0.5,) * len(SPACE.axes), f"learned {number}")

    def tell(self, number: int, epochs: int, loss: float) -> None:
        self.told.append((number, epochs, loss))

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        self.learned.append((name, tuple(point), epochs, loss))

    def is_settled(self, number: int) -> bool:
        return number < len(self.asked)

    def rounds(self) -> list[dict[str, Any]]:
        return [{"trials": self.asked, "best": [*self.asked[:1], *(name for name, *_ in self.learned[-2:])]}]


def test_an_adaptive_sampler_hears_of_its_own_draws_by_its_own_numbers_and_learns_from_the_others() -> None:
    inner = Learner()
    sampler = WarmStart(inner, SPACE, 7, [CHAMPION, SECOND], Focus())
    points = []
    for number in range(8):
        is_own = not sampler.is_settled(number)
        draw = sampler.ask(number)
        assert draw is not None
        points.append(draw.point)
        sampler.tell(number, 3, float(number))
        assert is_own == draw.reason.startswith("learned")
        assert (inner.told[-1:] == [(len(inner.asked) - 1, 3, number)]) == draw.reason.startswith("learned")
    assert inner.asked == [0, 1, 2]
    assert [number for number, *_ in inner.told] == [0, 1, 2]
    others = (0, 1, 3, 5, 7)
    assert [lesson[1:] for lesson in inner.learned] == [(points[number], 3, float(number)) for number in others]
    sampler.learn("t0003 of flights-1", points[0], 1, 0.5)
    assert inner.learned[-1] == ("t0003 of flights-1", points[0], 1, 0.5)
    assert sampler.rounds() == [{"trials": [2, 4, 6], "best": [2, 7, "t0003 of flights-1"]}]


class TestStart:
    def test_what_no_longer_fits_is_placed_and_named(self) -> None:
        given: dict[str, Value] = {"learning_rate": 3.0, "optimizer": "rmsprop", "batch_size": 128, "beta1": 0.9}
        (draw,) = draws(warm(given), 1)
        assert SPACE.decode(draw.point) == {"learning_rate": 1.0, "optimizer": "adam", "layers": 2, "batch_size": 64}
        assert draw.reason == (
            "start 1; learning_rate 3.0 is not on its axis: 1.0 instead; optimizer 'rmsprop' is not on its axis: "
            "'adam' instead; left out, so in the middle: layers; not searched, so ignored: batch_size, beta1"
        )
        assert start_of(SPACE, given).known == (True, False, False, False)

    @pytest.mark.parametrize(
        ("value", "domain", "instead"),
        [
            (1e-9, LogUniform(1e-4, 1), 1e-4),
            (7, LogUniform(1e-4, 1), 1),
            (99, Int(0, 3), 3),
            (1, LogInt(32, 256), 32),
            (40, Grid((16, 32, 64)), 32),
            ("many", Int(0, 2), 1),
            (True, Uniform(0, 1), 0.5),
            (512, Choice((64, 128, 256)), 128),
        ],
    )
    def test_numbers_go_to_the_nearest_end_and_the_rest_to_the_middle(
        self, value: Value, domain: Any, instead: Value
    ) -> None:
        space = Space((Axis("a", domain),))
        assert space.decode(start_of(space, {"a": value}).point) == {"a": instead}

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
    def test_every_configuration_of_the_space_comes_back_as_it_is(self, point: list[float]) -> None:
        params = SPACE.decode(point)
        start = start_of(SPACE, params)
        assert SPACE.decode(start.point) == params
        assert start.notes == ()
        assert misfits(SPACE, params) == []


class TestGrown:
    BASE = Focus(width=0.1, widths={"momentum": 0.2})

    def widths(self, winner: Mapping[str, Value], last: Focus = BASE, centre: Mapping[str, Value] = SECOND) -> Any:
        return grown(SPACE, last, self.BASE, centre, winner)

    def near(self, **moved: Value) -> dict[str, Value]:
        return {**SECOND, **moved}

    def test_a_winner_well_inside_brings_the_widths_back_to_what_they_were(self) -> None:
        assert self.widths(SECOND) == {"momentum": 0.2}
        assert self.widths(SECOND, last=Focus(width=0.4, widths={"learning_rate": 0.5})) == {"momentum": 0.2}

    def test_the_outer_tenth_doubles_a_width_up_to_the_whole_axis(self) -> None:
        u = start_of(SPACE, SECOND).point[0]
        rates = {offset: SPACE.decode((u + offset, 0, 0, 0))["learning_rate"] for offset in (0.089, 0.091, -0.091, 0.2)}
        assert "learning_rate" not in self.widths(self.near(learning_rate=rates[0.089]))
        for offset in (0.091, -0.091, 0.2):  # the last is beyond the box
            assert self.widths(self.near(learning_rate=rates[offset]))["learning_rate"] == 0.2
        wide = Focus(width=0.3)
        rate = SPACE.decode((0.05, 0, 0, 0))["learning_rate"]
        assert self.widths(self.near(learning_rate=rate), last=wide)["learning_rate"] == 0.5

    def test_an_end_of_the_axis_is_no_edge(self) -> None:
        assert self.widths(self.near(momentum=1.0)) == {"momentum": 0.2}  # the box is [0.6, 1]
        assert self.widths(self.near(momentum=0.605)) == {"momentum": 0.4}
        assert self.widths(self.near(momentum=0.0), last=Focus(width=0.5)) == {"momentum": 0.2}

    def test_another_value_of_a_choice_is_an_edge(self) -> None:
        assert self.widths(self.near(optimizer="sgd")) == {"momentum": 0.2, "optimizer": 0.2}

    def test_what_one_of_the_two_does_not_tell_does_not_grow(self) -> None:
        assert self.widths(CHAMPION, centre={"learning_rate": 0.01}) == {"momentum": 0.2}

    def test_widths_of_axes_that_are_gone_are_left_out(self) -> None:
        assert grown(SIMULATED, Focus(), Focus(widths={"nothing": 0.3}), {}, {}) == {}


def test_boxes_find_a_better_point_than_the_whole_space_near_a_good_start() -> None:
    """What the warm start is for: half of the draws look where the last winner was."""
    best = np.array(start_of(SPACE, SECOND).point)
    best[0] += 0.05  # the optimum has moved a little
    near = [np.linalg.norm(np.array(draw.point) - best) for draw in draws(warm(SECOND), 64)]
    cold = make("random", SPACE, 7, 64)
    far = [np.linalg.norm(np.array(draw.point) - best) for number in range(256) if (draw := cold.ask(number))]
    assert min(near[1:]) < min(far)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_spec_reaches_the_sampler(sampler: str) -> None:
    search = {"sampler": sampler, "trials": 30, "seed": 3, "start": [{"learning_rate": 0.02}, {"batch_size": 64}]}
    focus = {"share": 0.25, "width": 0.05, "widths": {"batch_size": 0.5}}
    spec = from_mapping({"name": "a", "data": {"source": "a.npz"}, "search": {**search, "focus": focus}})
    made = build.sampler(spec)
    assert isinstance(made, WarmStart)
    drawn = draws(made, 30)
    assert [draw.reason.partition(";")[0] for draw in drawn[:2]] == ["start 1", "start 2"]
    assert spec.space().decode(drawn[0].point)["learning_rate"] == 0.02
    assert sum("in the box" in draw.reason for draw in drawn) == 7  # a quarter of 28
    for point in boxed(drawn):
        assert abs(point[0] - drawn[0].point[0]) <= 0.05 + 1e-12
    assert not math.isclose(drawn[2].point[0], 0.5)
    plain = build.sampler(from_mapping({"name": "a", "data": {"source": "a.npz"}}))
    assert not isinstance(plain, WarmStart)


def test_a_journal_of_a_warm_sweep_replays_to_the_same_state(tmp_path: Path) -> None:
    search = {"trials": 20, "start": [{"learning_rate": 0.02}, {"learning_rate": 5, "batch_size": 64}]}
    spec = from_mapping({"name": "a", "data": {"source": "a.npz"}, "search": search})
    facts = {"inputs": 20, "classes": ["a", "b"], "rows": {"train": 200_000}}
    storage = Storage(tmp_path)
    live = History(storage, Journal(storage), build.ledger(spec, facts), clock=lambda: 0.0)
    live.replay()
    live.begin()
    for _ in range(8):
        number = live.ask(1)
        assert number is not None
        work(storage, live, number)
        live.done(live.open[number].id)
    again = History(storage, Journal(storage), build.ledger(spec, facts), clock=lambda: 0.0)
    again.replay()
    assert state(again) == state(live)
    origins = {name: trial.origin for name, trial in again.ledger.trials.items()}
    assert origins["t0001"].startswith("start 2; learning_rate 5.0 is not on its axis")
    assert any("in the box around start 1" in origin for origin in origins.values())
