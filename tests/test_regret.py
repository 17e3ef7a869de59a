"""What the benchmark `regret` counts: searches with real decisions, on curves whose optimum is known, trained once."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import courses, regret, simulated
from benchmarks.courses import Contest, Course, stopping
from benchmarks.problems import EPOCHS, problem, real
from benchmarks.simulated import Evaluated
from benchmarks.surfaces import KINDS, Surface
from benchmarks.sweep_vs_peers import digits
from benchmarks.trained import Trained
from tuner.search.stopping import make
from tuner.trial import Trial

TINY = Contest(("noisy",), ("random",), regret.RULES, shares=(0.25,), seeds=(0,), trials=8)
LOSSES = (Evaluated(3.0, 3.5), Evaluated(1.0, 1.5))
COURSE = Course("noisy", "random", "none", 1.0, 0, 8, 216, tuple(zip((5, 20), LOSSES, strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_surface_ends_at_its_optimum_and_nowhere_lower(kind: str, tmp_path: Path) -> None:
    one = problem(kind, tmp_path)
    space = one.ledger({"trials": 1}, {"none": {}}).space
    surface = Surface(kind, space, 3, EPOCHS)
    best = space.decode([surface.optimum[axis.name] for axis in space.axes])
    assert surface.final(best) == pytest.approx(0, abs=1e-9)
    for trial in (one.ledger({"trials": 9, "seed": 3}, {"none": {}}).ask(1) or pytest.fail("no pack")).trials:
        curve = [surface.loss(trial.params, trial.seed, epoch) for epoch in range(1, EPOCHS + 1)]
        assert curve == sorted(curve, reverse=True), "more training never hurts here"
        assert 0 <= surface.final(trial.params) <= curve[-1] < surface.final(trial.params) + 0.1


def test_only_one_surface_misleads() -> None:
    """The rank of the best configuration after one epoch, among 200."""
    ranks = {}
    for kind in KINDS:
        one = problem(kind, Path())
        trials = [trial for pack in [one.ledger({"trials": 200}, {"none": {}}).ask(1)] if pack for trial in pack.trials]
        surface = Surface(kind, one.ledger({"trials": 1}, {"none": {}}).space, 0, EPOCHS)
        best = min(trials, key=lambda trial: surface.loss(trial.params, trial.seed, EPOCHS))
        first = sorted(trials, key=lambda trial: surface.loss(trial.params, trial.seed, 1))
        ranks[kind] = first.index(best)
    assert ranks["faithful"] == 0
    assert ranks["misleading"] > 10


@pytest.mark.parametrize("rule", regret.RULES)
@pytest.mark.parametrize("share", [0.1, 0.25, 1.0])
def test_a_search_is_as_long_as_its_budget(rule: str, share: float) -> None:
    epochs = 64 * EPOCHS * share
    section, trials = stopping(rule, epochs)
    made = make(rule, 1, EPOCHS, 3, section.get("keep", 1))
    assert made.expected_epochs(trials) == pytest.approx(epochs, rel=0.07), "give or take half of a long trial"


def test_a_search_is_the_ledgers_and_its_epochs_are_all_there(tmp_path: Path) -> None:
    one = problem("noisy", tmp_path)
    ledger = one.ledger({"trials": 20, "seed": 1}, {"asha": {}})
    found = simulated.search(ledger, one.trainer(1))
    assert len(found) == ledger.epochs
    times = [row.time for row, _ in found]
    assert times == sorted(times)
    assert len(set(times)) > 0.9 * len(times), "two workers take turns, each an epoch at a time"
    assert min(one.loss for _, one in found) == ledger.score(ledger.ranked()[0].id)


def test_what_was_trained_is_not_trained_again_and_the_same_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = real("digits", digits(tmp_path), {}, tmp_path)
    trials = [
        Trial(f"t{n}", n, seed=n, params={"hidden_layers": 1, "hidden_units": 16, "learning_rate": 0.1 * (n + 1)})
        for n in range(2)
    ]
    whole, parts = snapshots.trainer(0), snapshots.trainer(0)
    assert isinstance(whole, Trained)
    expected = whole.evaluations(trials, 0, 3)
    parts.evaluations(trials[:1], 0, 1)
    parts.evaluations(trials, 0, 2)
    assert parts.evaluations(trials, 2, 3) == {name: found[2:] for name, found in expected.items()}
    assert all(math.isfinite(one.holdout) for found in expected.values() for one in found)
    monkeypatch.setattr("benchmarks.trained.train", lambda *_, **__: pytest.fail("it was trained again"))
    assert parts.evaluations(trials, 0, 3) == expected


def test_a_course_says_what_was_best_when() -> None:
    assert COURSE.at(19) == LOSSES[0]
    assert COURSE.at(20) == LOSSES[1]
    assert COURSE.at(4).loss == math.inf
    assert [COURSE.epochs_to(loss) for loss in (3.0, 2.9, 0.5)] == [5, 20, math.inf]
    assert regret.quartiles([1.0, math.inf, 2.0, math.inf]) == [2.0, None, None]


def test_searches_are_kept_for_the_same_sources_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = courses.kept(TINY, "noisy", "random", 0, tmp_path)
    assert [course.rule for course in found] == list(regret.RULES)
    monkeypatch.setattr(courses, "courses", lambda *_: pytest.fail("it was searched again"))
    assert courses.kept(TINY, "noisy", "random", 0, tmp_path) == found
    monkeypatch.setattr(courses, "SOURCES", ("models/*.py",))
    monkeypatch.setattr(courses, "ROOT", tmp_path)
    (tmp_path / "models").mkdir()
    before = courses.digest(TINY)
    (tmp_path / "models/new.py").write_text("x = 1")
    assert courses.digest(TINY) != before
