"""Domains: inverse pairs, shares and refusals. Spaces: what is active, and decode against encode."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.search.space import (
    DOMAINS,
    AtLeast,
    Axis,
    Choice,
    Domain,
    DomainError,
    Grid,
    Int,
    LogInt,
    LogUniform,
    OneMinusLogUniform,
    OneOf,
    Space,
    Uniform,
    domain_of,
    written,
)
from tuner.trial import Value

UNIT = st.floats(0, 1)


def _ordered(numbers: st.SearchStrategy[float], gap: float) -> st.SearchStrategy[tuple[float, float]]:
    pairs = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))
    return pairs.filter(lambda pair: pair[1] - pair[0] > gap * max(abs(pair[0]), abs(pair[1])))


REALS = _ordered(st.floats(-1e6, 1e6), 1e-6).map(lambda ends: Uniform(*ends))
LOGS = _ordered(st.floats(1e-9, 1e6), 1e-6).map(lambda ends: LogUniform(*ends))
ONE_MINUS = _ordered(st.floats(1e-9, 1), 1e-6).map(lambda ends: OneMinusLogUniform(1 - ends[1], 1 - ends[0]))
INTS = st.tuples(st.integers(-(10**6), 10**6), st.integers(1, 10**6)).map(lambda pair: Int(pair[0], sum(pair)))
LOG_INTS = st.tuples(st.integers(1, 10**6), st.integers(1, 10**9)).map(lambda pair: LogInt(pair[0], sum(pair)))
NUMBERS = st.one_of(REALS, LOGS, ONE_MINUS, INTS, LOG_INTS)
LISTS = st.one_of(
    st.lists(st.floats(-10, 10), min_size=1, max_size=9, unique=True).map(lambda points: Grid(tuple(points))),
    st.lists(st.text(max_size=5), min_size=1, max_size=9, unique=True).map(lambda values: Choice(tuple(values))),
)
ANY = st.one_of(NUMBERS, LISTS)


@given(ANY, UNIT)
def test_every_value_returns_from_its_own_point(domain: Domain, u: float) -> None:
    value = domain.from_unit(u)
    point = domain.to_unit(value)
    assert 0 <= point <= 1
    again = domain.from_unit(point)
    assert again == value if isinstance(value, int | str) else again == pytest.approx(value, rel=1e-11, abs=1e-10)


@given(ANY, UNIT)
def test_a_point_stays_near_its_value(domain: Domain, u: float) -> None:
    match domain:
        case Uniform() | LogUniform() | OneMinusLogUniform():
            far = 1e-4  # values are kept to 12 digits, which is all that a narrow interval has of them
        case Int():
            far = 0.5 / (domain.high - domain.low + 1)
        case LogInt():  # the first cell is the widest
            cell, line = (domain.low + 0.5) / (domain.low - 0.5), (domain.high + 0.5) / (domain.low - 0.5)
            far = 0.5 * math.log(cell) / math.log(line)
        case _:
            far = 0.5 / len(domain.grid(1))
    assert abs(domain.to_unit(domain.from_unit(u)) - u) <= far + 1e-9


@given(NUMBERS, UNIT, UNIT)
def test_larger_points_never_give_smaller_values(domain: Domain, u: float, v: float) -> None:
    low, high = sorted((u, v))
    assert domain.from_unit(low) <= domain.from_unit(high)  # type: ignore[operator]


@given(NUMBERS)
def test_the_ends_of_the_unit_interval_are_the_ends_of_the_domain(domain: Domain) -> None:
    assert [domain.from_unit(0), domain.from_unit(1)] == domain.arguments()
    assert [domain.from_unit(-0.1), domain.from_unit(1.1)] == domain.arguments()


@pytest.mark.parametrize("value", [0.001, 0.01, 0.1, 0.003, 1e-4, 1.0])
def test_plain_numbers_come_back_exactly(value: float) -> None:
    for domain in (LogUniform(1e-4, 1), Uniform(0, 1)):
        assert domain.from_unit(domain.to_unit(value)) == value


@pytest.mark.parametrize("value", [0.9, 0.95, 0.99, 0.995, 0.998, 0.999])
def test_plain_momenta_come_back_exactly(value: float) -> None:
    domain = OneMinusLogUniform(0.9, 0.999)
    assert domain.from_unit(domain.to_unit(value)) == value


def test_every_whole_number_of_a_domain_comes_back() -> None:
    for domain in (Int(-3, 40), LogInt(1, 300), LogInt(7, 9)):
        for value in range(domain.low, domain.high + 1):
            assert domain.from_unit(domain.to_unit(value)) == value


def test_log_uniform_puts_a_quarter_in_each_of_four_decades() -> None:
    domain = LogUniform(1e-4, 1)
    draws = [domain.from_unit(u) for u in np.random.default_rng(0).random(100_000)]
    shares = np.histogram(np.log10(draws), bins=[-4, -3, -2, -1, 0])[0] / len(draws)
    assert np.abs(shares - 0.25).max() < 0.01


def test_one_minus_log_uniform_puts_half_above_099() -> None:
    domain = OneMinusLogUniform(0.9, 0.999)
    draws = np.array([domain.from_unit(u) for u in np.random.default_rng(0).random(100_000)])
    assert abs((draws > 0.99).mean() - 0.5) < 0.01
    assert draws.min() >= 0.9
    assert draws.max() <= 0.999


def test_one_minus_log_uniform_keeps_its_digits_near_0_and_near_1() -> None:
    high = 1 - 1e-12
    assert 1 - OneMinusLogUniform(0.9, high).from_unit(0.5) == pytest.approx(
        math.sqrt(0.1 * (1 - high)), rel=1e-6, abs=0
    )
    near_zero = OneMinusLogUniform(1e-12, 1e-9)
    assert near_zero.from_unit(0.5) == pytest.approx((1e-12 + 1e-9) / 2, rel=1e-9, abs=0)


def test_ints_are_drawn_equally_often_both_ends_included() -> None:
    draws = [Int(0, 3).from_unit(u) for u in np.random.default_rng(0).random(100_000)]
    assert np.abs(np.bincount(draws) / len(draws) - 0.25).max() < 0.01


def test_log_ints_are_drawn_in_proportion_to_the_width_of_their_cell() -> None:
    draws = [LogInt(1, 8).from_unit(u) for u in np.random.default_rng(0).random(100_000)]
    shares = np.bincount(draws, minlength=9)[1:] / len(draws)
    cells = [math.log((v + 0.5) / (v - 0.5)) / math.log(8.5 / 0.5) for v in range(1, 9)]
    assert np.abs(shares - cells).max() < 0.01


@pytest.mark.parametrize(
    ("domain", "points", "expected"),
    [
        (Uniform(0, 1), 5, [0, 0.25, 0.5, 0.75, 1]),
        (LogUniform(1e-4, 1), 5, [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (LogUniform(1e-4, 1), 1, [1e-2]),
        (OneMinusLogUniform(0.9, 0.999), 3, [0.9, 0.99, 0.999]),
        (Int(0, 3), 2, [0, 3]),
        (Int(0, 3), 99, [0, 1, 2, 3]),
        (LogInt(32, 512), 5, [32, 64, 128, 256, 512]),
        (LogInt(1, 4), 9, [1, 2, 3, 4]),
        (Choice(("a", "b", "c")), 2, ["a", "b", "c"]),
        (Grid((0.3, 0.1, 0.2)), 2, [0.1, 0.2, 0.3]),
    ],
)
def test_grids_are_equidistant_distinct_and_reach_both_ends(domain: Domain, points: int, expected: list[Value]) -> None:
    assert domain.grid(points) == expected


@given(NUMBERS, st.integers(2, 30))
def test_grids_hold_at_most_n_distinct_values_of_the_domain(domain: Domain, n: int) -> None:
    values = domain.grid(n)
    assert len(set(values)) == len(values) <= n
    assert [values[0], values[-1]] == domain.arguments()
    for value in values:
        domain.to_unit(value)


@given(ANY)
def test_what_is_written_in_a_spec_reads_back(domain: Domain) -> None:
    ((kind, argument),) = written(domain).items()
    assert DOMAINS[kind] is type(domain)
    assert domain_of(kind, argument) == domain


BAD: list[tuple[str, object, str]] = [
    ("uniform", [1, 0], r"uniform \[1, 0\]: low must be below high: swap them"),
    ("uniform", [1, 1], r"low must be below high: a single value is written plainly"),
    ("uniform", [0, math.inf], r"must be finite .*got inf"),
    ("uniform", [math.nan, 1], r"must be finite .*got nan"),
    ("uniform", [1, 1 + 1e-12], r"too close"),
    ("uniform", ["0", 1], r"must be numbers, got '0'"),
    ("uniform", [True, 2], r"must be numbers, got True"),
    ("uniform", [0, 1, 2], r"exactly two numbers: write uniform: \[low, high\]"),
    ("uniform", 3, r"needs a list, got 3"),
    ("uniform", "01", r"needs a list, got '01'"),
    ("log_uniform", [0, 1], r"log_uniform \[0.0, 1.0\]: low must be above 0, because the logarithm of 0"),
    ("log_uniform", [-1, 1], r"low must be above 0"),
    ("one_minus_log_uniform", [0.9, 1], r"high must be below 1.*try 0.999"),
    ("one_minus_log_uniform", [0.9, 2], r"high must be below 1"),
    ("int", [0, 1.5], r"high must be a whole number.*got 1.5"),
    ("int", [3, 0], r"low must be below high"),
    ("log_int", [0, 8], r"low must be at least 1"),
    ("choice", [], r"choice \[\]: needs at least one value"),
    ("choice", ["a", "b", "a"], r"'a' is named twice"),
    ("choice", [[1], 2], r"must be numbers, names, true or false, got \[1\]"),
    ("choice", [math.nan], r"must be finite"),
    ("grid", [], r"grid \[\]: needs at least one value"),
    ("grid", ["relu"], r"points must be numbers \(names go into a choice\), got 'relu'"),
    ("loguniform", [0, 1], r"unknown domain 'loguniform': use one of uniform, log_uniform"),
]


@pytest.mark.parametrize(("kind", "argument", "message"), BAD, ids=lambda value: str(value)[:30])
def test_bad_domains_name_the_rule_and_the_value(kind: str, argument: object, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        domain_of(kind, argument)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Uniform(0, 1), 1.1),
        (LogUniform(1e-4, 1), 0.0),
        (Uniform(0, 1), "a"),
        (Int(0, 3), 4),
        (Int(0, 3), 1.5),
        (LogInt(1, 8), 2.5),
        (Choice(("a",)), "b"),
        (Grid((1.0,)), 2.0),
    ],
)
def test_a_value_outside_has_no_point(domain: Domain, value: Value) -> None:
    with pytest.raises(DomainError, match=str(value)):
        domain.to_unit(value)


def test_a_grid_without_points_is_refused() -> None:
    for domain in (Uniform(0, 1), Int(0, 3), Choice(("a",)), Grid((1.0,))):
        with pytest.raises(DomainError, match="at least one point, got 0"):
            domain.grid(0)


NETWORK = Space(
    axes=(
        Axis("learning_rate", LogUniform(1e-4, 1)),
        Axis("momentum", OneMinusLogUniform(0.9, 0.999), (OneOf("optimizer", ("momentum",)),)),
        Axis("optimizer", Choice(("momentum", "adam", "sgd"))),
        Axis("units_2", Int(1, 9), (AtLeast("layers", 2),)),
        Axis("layers", Int(0, 3)),
        Axis("norm", Choice((True, False)), (AtLeast("layers", 1),)),
        Axis("norm_decay", Uniform(0, 1), (OneOf("norm", (True,)),)),
    ),
    fixed={"beta1": 0.9, "weight_decay": 0.0},
    conditions={"beta1": (OneOf("optimizer", ("adam",)),)},
)


def _expected(params: dict[str, Value]) -> set[str]:
    names = {"learning_rate", "optimizer", "layers", "weight_decay"}
    layers = int(params["layers"])
    names |= {"momentum"} if params["optimizer"] == "momentum" else set()
    names |= {"beta1"} if params["optimizer"] == "adam" else set()
    names |= {"units_2"} if layers >= 2 else set()
    names |= {"norm"} if layers >= 1 else set()
    return names | ({"norm_decay"} if layers >= 1 and params["norm"] is True else set())


@given(st.lists(UNIT, min_size=7, max_size=7))
def test_only_active_hyperparameters_are_decoded_and_they_encode_back(point: list[float]) -> None:
    params = NETWORK.decode(point)
    assert set(params) == _expected(params)
    encoded = NETWORK.encode(params)
    again = NETWORK.decode(encoded)
    assert again == pytest.approx(params) if set(again) == set(params) else False
    for axis, u in zip(NETWORK.axes, encoded, strict=True):
        assert axis.name in params or u == 0.5


def test_the_order_of_decoded_names_is_stable() -> None:
    orders = {tuple(NETWORK.decode([u] * 7)) for u in (0.1, 0.12, 0.14)}
    assert len(orders) == 1
    assert next(iter(orders))[:2] == ("learning_rate", "momentum")


def test_a_point_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(DomainError, match="has 7 coordinates, got 2"):
        NETWORK.decode([0.5, 0.5])


def test_pruning_drops_what_can_never_be_active_and_what_hangs_on_it() -> None:
    shallow = Space(
        axes=tuple(axis for axis in NETWORK.axes if axis.name not in ("layers", "optimizer")),
        fixed={**NETWORK.fixed, "layers": 0, "optimizer": "sgd"},
        conditions=NETWORK.conditions,
    ).pruned()
    assert [axis.name for axis in shallow.axes] == ["learning_rate"]
    assert set(shallow.fixed) == {"weight_decay", "layers", "optimizer"}
    assert NETWORK.pruned() == NETWORK


def test_combinations_counts_the_grid() -> None:
    for points in (2, 3):
        sizes = [len(axis.domain.grid(points)) for axis in NETWORK.axes]
        assert NETWORK.combinations(points) == len(list(itertools.product(*map(range, sizes))))


@pytest.mark.parametrize(
    ("axes", "fixed", "message"),
    [
        ((Axis("a", Int(0, 1)), Axis("a", Int(0, 1))), {}, "a is given twice"),
        ((Axis("a", Int(0, 1)),), {"a": 1}, "a is given twice: search it or fix it"),
        ((Axis("a", Int(0, 1), (AtLeast("b", 1),)),), {}, "a depends on 'b', which is neither"),
        (
            (Axis("a", Int(0, 1), (AtLeast("b", 1),)), Axis("b", Int(0, 1), (AtLeast("a", 1),))),
            {},
            "in a circle: a -> b -> a",
        ),
    ],
)
def test_spaces_that_make_no_sense_are_refused(axes: tuple[Axis, ...], fixed: dict[str, Value], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        Space(axes, fixed)
