"""Coarse to fine: boxes around the good region that shrink, grow and leave a share outside; nobody waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import surfaces
from tuner.search.boxes import Interval, Shares, Zoom, next_part
from tuner.search.coarse_to_fine import CoarseToFine
from tuner.search.random import RandomSampler
from tuner.search.results import Results
from tuner.search.space import Axis, Choice, LogUniform, OneOf, Space, Uniform

AXIS = Axis("a", Uniform(0, 1))
SQUARE = Space((AXIS, Axis("b", Uniform(0, 1))))
HALF = Interval(0.25, 0.75, "given")


def searched(
    loss: Callable[[dict[str, Any]], float], space: Space = SQUARE, trials: int = 80, zoom: Zoom | None = None
) -> CoarseToFine:
    """A search each of whose trials is back before the next one is drawn."""
    sampler = CoarseToFine(space, 0, trials, zoom)
    for number in range(trials):
        sampler.tell(number, 1, loss(space.decode(sampler.ask(number).point)))
    return sampler


def test_it_is_better_than_random_search_at_equal_cost() -> None:
    seeds = 40
    random = surfaces.typical(lambda seed: RandomSampler(surfaces.SPACE, seed), 64, seeds)
    zoomed = surfaces.typical(lambda seed: CoarseToFine(surfaces.SPACE, seed, 64), 64, seeds)
    assert zoomed < 0.75 * random


def test_boxes_close_in_on_the_optimum_of_axes_that_matter() -> None:
    rounds = searched(lambda params: (params["a"] - 0.3) ** 2).rounds()
    widths = [one["box"]["a"]["high"] - one["box"]["a"]["low"] for one in rounds]
    assert len(rounds) == 6
    assert widths[0] == 1
    assert widths[-1] < 0.1
    assert rounds[-1]["box"]["a"]["low"] < 0.3 < rounds[-1]["box"]["a"]["high"]


def test_axes_zoom_on_their_own_scale() -> None:
    space = Space((Axis("rate", LogUniform(1e-6, 1)),))
    box = searched(lambda params: abs(math.log10(params["rate"]) + 4), space).rounds()[-1]["box"]["rate"]
    assert 3e-5 < box["from"] < 1e-4 < box["to"] < 3e-4


def test_a_share_is_always_drawn_outside_of_the_box() -> None:
    sampler = searched(lambda params: params["a"] + params["b"], zoom=Zoom(rounds=4, outside=0.25))
    for one in sampler.rounds()[1:]:
        inside = [
            all(one["box"][name]["low"] <= u <= one["box"][name]["high"] for name, u in zip("ab", point, strict=True))
            for point in (sampler.ask(number).point for number in one["trials"])
        ]
        assert inside.count(False) == 5  # of 20
        reasons = [sampler.ask(number).reason for number in one["trials"]]
        assert ["outside" not in reason for reason in reasons] == inside
    assert {sampler.ask(number).reason for number in range(20)} == {"round 1, anywhere: nothing is known yet"}
    assert sampler.ask(21).reason == "round 2, in the box around 4 of the best after 1 epoch"


def test_of_several_good_regions_it_takes_the_one_of_the_best() -> None:
    """Both ends are good, and nothing between them: a box over both would be all of the axis."""
    box = searched(lambda params: min(params["a"], 1.01 - params["a"])).rounds()[-1]["box"]["a"]
    assert box["high"] - box["low"] < 0.1


class TestNextPart:
    def test_it_is_as_wide_as_draws_with_these_extremes_suggest(self) -> None:
        part = next_part(AXIS, HALF, [0.5, 0.4, 0.6])
        assert isinstance(part, Interval)
        assert (part.low, part.high) == pytest.approx((0.3, 0.7))
        assert part.reason == "3 good ones lie in 0.4 to 0.6"

    def test_it_grows_where_the_best_lies_at_the_edge(self) -> None:
        part = next_part(AXIS, HALF, [0.26, 0.4, 0.5])
        assert isinstance(part, Interval)
        assert part.low == 0.0  # half of the width further
        assert "it grows at its low edge" in part.reason
        low = next_part(AXIS, HALF, [0.31, 0.27, 0.5])  # the best is the first one, and not at the edge
        assert "grows" not in low.reason

    def test_it_never_goes_beyond_the_axis_whose_end_is_no_edge(self) -> None:
        part = next_part(AXIS, Interval(0, 0.5, ""), [0.01, 0.02, 0.3])
        assert isinstance(part, Interval)
        assert part.low == 0.0
        assert "grows" not in part.reason

    def test_good_ones_that_agree_shrink_it_to_a_quarter_at_most(self) -> None:
        part = next_part(AXIS, HALF, [0.5, 0.5, 0.5])
        assert isinstance(part, Interval)
        assert part.high - part.low == pytest.approx(0.125)

    @settings(max_examples=200, deadline=None)
    @given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(0, 1), max_size=9))
    def test_it_holds_the_good_ones_and_stays_on_the_axis(self, a: float, b: float, good: list[float]) -> None:
        last = Interval(min(a, b), max(a, b), "given")
        part = next_part(AXIS, last, good)
        assert isinstance(part, Interval)
        assert 0 <= part.low <= part.high <= 1
        assert len(good) < 2 or all(part.low - 1e-12 <= u <= part.high + 1e-12 for u in good)

    def test_a_choice_is_drawn_by_how_many_good_ones_have_each_value(self) -> None:
        axis = Axis("c", Choice(("x", "y", "z")))
        part = next_part(axis, Shares((1 / 3,) * 3, ""), [0.5, 0.5, 0.1])
        assert isinstance(part, Shares)
        assert part.shares == (2 / 6, 3 / 6, 1 / 6)
        assert part.reason == "'y' most: 2 of the 3 good ones have it"
        places = [part.place((i + 0.5) / 600) for i in range(600)]
        assert [sum(round(place * 6) == cell for place in places) for cell in (1, 3, 5)] == [200, 300, 100]

    def test_an_axis_that_hardly_any_good_one_has_stays_as_it_was(self) -> None:
        for good in ([], [0.3]):
            part = next_part(AXIS, HALF, good)
            assert isinstance(part, Interval)
            assert (part.low, part.high) == (0.25, 0.75)
            assert "as before" in part.reason


def test_an_axis_that_is_inactive_says_nothing_of_where_it_is_good() -> None:
    space = Space((Axis("m", Uniform(0, 1), (OneOf("o", ("x",)),)), Axis("o", Choice(("x", "y")))))
    sampler = searched(lambda params: 0.0 if params["o"] == "y" else 1.0, space)
    box = sampler.rounds()[-1]["box"]
    assert (box["m"]["low"], box["m"]["high"]) == (0, 1)
    assert dict(map(tuple, box["o"]["shares"]))["y"] > 0.7


class TestExpansion:
    ZOOM = Zoom(bounds={"a": (0.25, 0.75)})

    def test_it_begins_within_the_bounds_and_leaves_them_for_what_lies_at_their_edge_alone(self) -> None:
        sampler = searched(lambda params: abs(params["a"] - 0.9) + 0.1 * params["b"], zoom=self.ZOOM)
        assert all(0.25 <= sampler.ask(number).point[0] <= 0.75 for number in sampler.rounds()[0]["trials"])
        assert sampler.rounds()[-1]["box"]["a"]["high"] > 0.8
        inner = searched(lambda params: abs(params["a"] - 0.5), zoom=self.ZOOM)
        assert all(0.25 <= inner.ask(number).point[0] <= 0.75 for number in range(80))


class TestRounds:
    """64 trials in 4 rounds: 16 each."""

    def sampler(self) -> CoarseToFine:
        return CoarseToFine(SQUARE, 0, 64, Zoom(rounds=4))

    def test_the_next_begins_once_half_of_the_last_is_back(self) -> None:
        sampler = self.sampler()
        for number in range(16):
            sampler.ask(number)
        for number in range(8):
            sampler.tell(number, 1, number)
        assert not sampler.is_settled(16)
        assert sampler.ask(16).reason.startswith("round 2")
        assert [sampler.is_settled(number) for number in (31, 32)] == [True, False]

    def test_until_then_it_goes_on_by_a_quarter_and_nobody_waits(self) -> None:
        sampler = self.sampler()
        for number in range(7):
            sampler.ask(number)
            sampler.tell(number, 1, number)
        assert sampler.ask(16).reason.startswith("round 1")
        assert [sampler.is_settled(number) for number in (19, 20)] == [True, False]
        sampler.tell(16, 1, 0.0)
        assert sampler.ask(20).reason.startswith("round 2")
        assert [len(one["trials"]) for one in sampler.rounds()] == [20, 1]

    def test_where_all_diverge_it_goes_on_everywhere(self) -> None:
        sampler = searched(lambda _: math.nan)
        assert [one["best"] for one in sampler.rounds()] == [[]] * 6
        assert sampler.ask(79).reason == "round 6, anywhere: nothing good is known yet"


class TestResults:
    def test_the_highest_rung_with_enough_trials_decides(self) -> None:
        results = Results()
        for trial in range(9):
            results.tell(trial, 1, 9 - trial)
        assert results.best(3) == (1, [8, 7, 6])
        for trial in (2, 3, 4):
            results.tell(trial, 3, trial)
        assert results.best(3) == (3, [2, 3, 4])
        assert results.best(4) == (1, [8, 7, 6, 5])
        assert results.best(99) == (1, [8, 7, 6, 5, 4, 3, 2, 1, 0])

    def test_who_diverged_later_was_never_good(self) -> None:
        results = Results()
        for trial in range(4):
            results.tell(trial, 1, trial)
        results.tell(0, 3, math.nan)
        assert results.best(3) == (1, [1, 2, 3])
        assert Results().best(3) == (0, [])


class TestLearned:
    """Results of others: 64 trials in 4 rounds of 16, after a line of lessons, the best of which lies at (0.3, 0.5)."""

    def sampler(self, lessons: int) -> CoarseToFine:
        sampler = CoarseToFine(SQUARE, 0, 64, Zoom(rounds=4))
        for number in range(lessons):
            u = number / lessons
            sampler.learn(f"old {number}", (u, 0.5), 1, abs(u - 0.3))
        return sampler

    def test_the_first_round_has_a_box_around_the_best_of_as_many_lessons_as_it_has_trials(self) -> None:
        sampler = self.sampler(16)
        assert sampler.ask(0).reason == "round 1, in the box around 4 of the best after 1 epoch, 4 of them not its own"
        (first,) = sampler.rounds()
        assert 0 < first["box"]["a"]["low"] < 0.3 < first["box"]["a"]["high"] < 0.6
        assert set(first["best"]) == {"old 4", "old 5", "old 6", "old 3"}

    def test_fewer_lessons_make_no_box_but_count_in_the_next_round(self) -> None:
        sampler = self.sampler(15)
        for number in range(16):
            assert sampler.ask(number).reason == "round 1, anywhere: nothing is known yet"
            sampler.tell(number, 1, 1.0)
        assert sampler.ask(16).reason.endswith("4 of them not its own")

    def test_only_its_own_trials_count_for_the_end_of_a_round(self) -> None:
        sampler = self.sampler(16)
        for number in range(16):
            sampler.ask(number)
        assert sampler.ask(16).reason.startswith("round 1")

    def test_one_that_diverged_is_never_good(self) -> None:
        sampler = self.sampler(16)
        sampler.learn("old 5", (0.3125, 0.5), 3, math.nan)
        sampler.ask(0)
        assert "old 5" not in sampler.rounds()[0]["best"]
