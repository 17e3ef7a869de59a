"""The parts of a panda that run nothing: schedules, requests as text, settings, and which states are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.engine.panda import around, states
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.schedule import Schedule
from tuner.engine.panda.settings import assignments, checked

PARAMS = {"learning_rate": 0.1, "optimizer": "momentum", "momentum": 0.9, "batch_size": 64, "decay": "exponential"}
PARAMS |= {"decay_rate": 0.9, "weight_decay": 0.0}
START = Schedule(7, PARAMS)
edits = st.lists(st.tuples(st.integers(0, 20), st.floats(0.01, 1)), max_size=6)


def made(changes: list[tuple[int, float]]) -> Schedule:
    schedule = START
    for epoch, rate in sorted(changes):
        schedule = schedule.changed(epoch, {"learning_rate": rate})
    return schedule


@given(edits, st.integers(0, 20))
def test_a_state_is_named_by_what_came_before_it_and_nothing_else(changes: list[tuple[int, float]], epoch: int) -> None:
    schedule = made(changes)
    assert schedule.cut(epoch).key(epoch) == schedule.key(epoch)
    later = schedule.cut(epoch).changed(epoch, {"momentum": 0.5})
    assert later.key(epoch) == schedule.key(epoch)
    assert later.key(epoch + 1) != schedule.cut(epoch).key(epoch + 1)
    assert Schedule.from_json(schedule.to_json()) == schedule


def test_what_an_epoch_is_trained_with() -> None:
    schedule = START.changed(3, {"momentum": 0.5}).changed(5, {"learning_rate": 0.2}).changed(5, {"momentum": 0.6})
    assert schedule.at(2) == PARAMS
    assert schedule.at(3) == schedule.at(4) == {**PARAMS, "momentum": 0.5}
    assert schedule.at(9) == {**PARAMS, "momentum": 0.6, "learning_rate": 0.2, "decay_start": 5}
    assert (schedule.next_change(0), schedule.next_change(3), schedule.next_change(5)) == (3, 5, None)
    assert schedule.cut(5).at(9) == schedule.at(4)
    with pytest.raises(ValueError, match="would rewrite the past"):
        schedule.changed(4, {"momentum": 0.7})


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("set learning_rate=0.003", Request(Verb.SET, {"learning_rate": 0.003})),
        ("set learning_rate=1e-3, batch_size=32", Request(Verb.SET, {"learning_rate": 1e-3, "batch_size": 32})),
        ("rewind 12", Request(Verb.REWIND, {}, 12)),
        (" rewind 12 momentum=0.5", Request(Verb.REWIND, {"momentum": 0.5}, 12)),
        ("stop", Request(Verb.STOP)),
    ],
)
def test_requests_are_read_and_written(text: str, request_: Request) -> None:
    assert Request.parse(text) == request_
    assert Request.parse(str(request_)) == request_


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("halt", "must be one of set, rewind, stop"),
        ("stop now", "NAME=VALUE"),
        ("stop momentum=0.5", "must be written like `stop`"),
        ("set", "must be written like `set learning_rate=0.003`"),
        ("rewind", "needs the epoch"),
        ("rewind -1", "needs the epoch"),
        ("set momentum", "NAME=VALUE"),
        ("set momentum=", "NAME=VALUE"),
        ("set momentum=[1,2]", "NAME=VALUE"),
        ("set momentum=0.5 momentum=0.6", "given twice"),
    ],
)
def test_what_is_no_request_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Request.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rat=1", "did you mean 'learning_rate'"),
        ("hidden_units=8", "part of the network that the weights belong to. These can: learning_rate"),
        ("optimizer=adam", "its memory is of another kind"),
        ("decay=constant", "the schedule it began with goes on"),
        ("beta1=0.5", "active only where optimizer is adam, and here it is momentum"),
        ("momentum=1", "must be a number of at least 0 and below 1, got 1"),
        ("learning_rate=fast", "must be a number above 0, got 'fast'"),
        ("batch_size=64.5", "must be a whole number"),
        ("batch_size=512", "at most 500, the rows of an epoch, got 512"),
        ("decay_rate=2", "because exponential multiplies by it"),
    ],
)
def test_a_setting_that_cannot_be_names_the_rule(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked(assignments([text]), PARAMS, 500)


@given(st.sets(st.integers(1, 3000)), st.integers(0, 5))
def test_the_states_that_are_kept_are_few_and_near(epochs: set[int], gap: int) -> None:
    newest = max(epochs, default=0) + gap
    kept = states.kept(epochs, newest, {min(epochs, default=1)})
    assert kept <= epochs
    assert states.kept(kept, newest, {min(epochs, default=1)}) == kept
    assert not epochs or {max(epochs), min(epochs)} <= kept
    for epoch in epochs:
        nearest = max((one for one in kept if one <= epoch), default=0)
        gone = [one for one in epochs if nearest < one <= epoch]
        assert not gone or epoch - nearest <= (newest - nearest) / states.SHARE


def test_a_thousand_states_come_down_to_a_few_dozen() -> None:
    kept: set[int] = set()
    for epoch in range(1, 1001):
        kept = states.kept(kept | {epoch}, epoch, set())
    assert len(kept) < 80
    assert kept >= set(range(985, 1001))


def test_what_is_tried_around_a_configuration() -> None:
    tried = around.draws(PARAMS, ["learning_rate", "momentum"], trials=32, width=4.0, rows=500, seed=0)
    assert tried[0] == {}
    rates = [float(one["learning_rate"]) for one in tried[1:]]
    gaps = [1 - float(one["momentum"]) for one in tried[1:]]
    assert 0.025 <= min(rates) < 0.04
    assert 0.3 < max(rates) <= 0.4
    assert 0.025 <= min(gaps) < 0.04
    assert 0.3 < max(gaps) <= 0.4
    with pytest.raises(ValueError, match="weight_decay is 0"):
        around.draws(PARAMS, ["weight_decay"], trials=4, width=4.0, rows=500, seed=0)
    with pytest.raises(ValueError, match="hidden_units cannot be varied"):
        around.draws(PARAMS, ["hidden_units"], trials=4, width=4.0, rows=500, seed=0)
