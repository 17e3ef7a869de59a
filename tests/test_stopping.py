"""What each stopping rule adds: Hyperband's brackets, PASHA's growth, the best after a first look."""

from __future__ import annotations

import random
from collections import Counter
from math import inf, nan

import pytest

from tests.simulation import make_ledger
from tests.test_asha import random_loss, simulate
from tests.test_ledger import drive
from tuner.engine.status import expected_epochs
from tuner.search.hyperband import hyperband
from tuner.search.pasha import JUDGED, Growing, pasha
from tuner.search.stopping import RULES, StoppingRule, make
from tuner.search.synchronous import top_k_after
from tuner.trial import Promotion, Stage


def let_go(rule: StoppingRule) -> list[Promotion]:
    """Acts on all that may go on; returns them."""
    found = rule.promotable()
    for promotion in found:
        rule.promote(promotion)
    return found


@pytest.mark.parametrize("kind", RULES)
def test_highest_rungs_come_first_and_each_promotion_says_why(kind: str) -> None:
    for seed in range(100):
        rng = random.Random(seed)
        loss, rule = random_loss(rng), make(kind, 1, 20, 3)
        for trial in range(rng.randint(1, 40)):
            rule.report(trial, rule.entry(trial), loss(trial, rule.entry(trial)))
        rule.close(40 if rng.random() < 0.5 else trial + 1)
        for promotion in rule.promotable()[::2]:
            rule.promote(promotion)
            if rng.random() < 0.8:
                rule.report(promotion.trial, promotion.rung + 1, loss(promotion.trial, promotion.rung + 1))
        found = rule.promotable()
        keys = [(-p.rung, loss(p.trial, p.rung), p.trial) for p in found]
        assert keys == sorted(keys)
        assert rule.promotable(3) == found[:3]
        assert all("rank " in p.reason for p in found)


@pytest.mark.parametrize("kind", RULES)
def test_the_expected_epochs_are_about_those_that_are_trained(kind: str) -> None:
    ledger = make_ledger(200, kind)
    expected = ledger.rule.expected_epochs(200)
    assert expected_epochs(ledger) > expected
    drive(ledger, 3, seed=1)
    trained = sum(len(ledger.rows[t.id]) for t in ledger.trials.values() if t.stage is Stage.SEARCH)
    assert 0.85 * expected < trained < 1.15 * expected


class TestHyperband:
    def test_brackets_follow_from_the_number_in_hyperbands_proportions(self) -> None:
        rule, other = hyperband(1, 27, 3), hyperband(1, 27, 3)
        entries = [rule.entry(trial) for trial in range(49 * 3)]
        assert [other.entry(trial) for trial in reversed(range(49 * 3))] == entries[::-1]
        assert Counter(entries) == {0: 81, 1: 36, 2: 18, 3: 12}
        assert set(entries[:13]) == {0, 1, 2, 3}  # any few are spread over them all

    def test_brackets_are_of_about_equal_cost(self) -> None:
        rule = hyperband(1, 81, 3)
        costs = [bracket.expected_epochs(size) for bracket, size in zip(rule._brackets, rule._shares, strict=True)]
        assert max(costs) < 1.5 * min(costs)

    def test_trials_are_compared_within_their_bracket_only(self) -> None:
        rule = hyperband(1, 9, 3)
        of = {bracket: [t for t in range(60) if rule.entry(t) == bracket] for bracket in range(3)}
        for place, trial in enumerate(of[0][:3]):
            rule.report(trial, 0, float(place))
        for place, trial in enumerate(of[1][:3]):
            rule.report(trial, 1, 100.0 + place)
        best = [(p.trial, p.rung) for p in let_go(rule)]
        assert best == [(of[1][0], 1), (of[0][0], 0)]  # though bracket 1 is far behind
        assert rule.verdict(of[1][1]) == (
            "rank 2 of 3 at rung 1 (3 epochs) of bracket 1: outside the best 1 that go on"
        )
        assert rule.verdict(of[2][0]) == "not yet evaluated: rung 2 is at 9 epochs"
        with pytest.raises(ValueError, match="there is no rung 0; the rungs are 1 to 2"):
            rule.report(of[1][3], 0, 1.0)

    def test_a_bracket_too_small_to_halve_sends_its_best_to_the_end(self) -> None:
        rule = hyperband(1, 9, 3)
        for trial in range(4):
            rule.report(trial, rule.entry(trial), float(trial))
        assert rule.promotable() == []  # more may be drawn
        rule.close(4)
        brackets = [rule.entry(promotion.trial) for promotion in rule.promotable()]
        assert brackets == [1, 0]  # bracket 2 is at the end

    def test_a_trial_of_a_later_bracket_is_trained_to_its_rung_at_once(self) -> None:
        ledger = make_ledger(60, "hyperband")
        for pack in drive(ledger, 3, seed=1):
            if pack.stage is Stage.SEARCH and pack.from_epoch == 0:
                assert {ledger.rule.entry(trial.number) for trial in pack.trials} == {pack.rung}
                assert pack.to_epoch == ledger.rule.rungs[pack.rung]
                assert not pack.starts


class TestPasha:
    def test_equal_rankings_keep_the_ladder_short_and_the_best_goes_to_the_end(self) -> None:
        rule = pasha(1, 81, 3)
        reports = simulate(rule, 40, lambda trial, rung: trial - 0.1 * rung, random.Random(0))
        reached = Counter(e[1] for e in reports if isinstance(e, tuple))
        assert reached[0] == 40
        assert reached[1] >= 13
        assert [reached[k] for k in (2, 3, 4)] == [1, 1, 1]
        (last,) = [e for e in reports if isinstance(e, Promotion) and e.rung == 1]
        assert (last.trial, "longer training does not change the ranking" in last.reason) == (0, True)

    def test_a_ranking_that_turns_opens_the_next_rung_and_says_so(self) -> None:
        rule = pasha(1, 27, 2)
        for trial in range(8):
            rule.report(trial, 0, float(trial))
        let_go(rule)
        rule.report(0, 1, 0.5)
        rule.report(1, 1, 0.6)
        assert rule.promotable() == []  # the same order: the top stays
        rule.report(2, 1, 0.1)
        (promotion,) = rule.promotable()
        assert (promotion.trial, promotion.rung) == (2, 1)
        assert promotion.reason == (
            "rank 1 of 3 at rung 1 (2 epochs): within the best 1 (1/2); there are further rungs since trial 2 changed "
            "its place between 1 and 2 epochs by more than noise (0)"
        )

    def test_what_curves_that_cross_and_cross_back_differ_by_is_noise(self) -> None:
        """Trials 0 and 1 change their places by less than that; without curves, the same losses open a rung."""
        curves = {0: [1.0, 0.5, 0.84], 1: [1.1, 0.4, 0.95], 2: [1.15, 1.0, 0.87], 3: [3.0, 2.0, 1.0]}
        tops = []
        for known in (True, False):
            rule = pasha(1, 9, 3)
            for trial in range(12):
                rule.report(trial, 0, curves[trial][0] if trial in curves else 9.0)
            let_go(rule)
            for trial, curve in curves.items():
                rule.report(trial, 1, curve[-1], curve if known else ())
            rule.close(12)
            tops.append([p.reason.partition(": ")[2] for p in rule.promotable()])
        assert tops[0] == ["within the best 1 to the end, as longer training does not change the ranking any more"]
        assert "trial 2 changed its place" in tops[1][0]

    def test_diverged_trials_have_no_place(self) -> None:
        rule = pasha(1, 9, 2)
        for trial in range(6):
            rule.report(trial, 0, float(trial))
        let_go(rule)
        for trial, loss in ((0, nan), (1, 0.2), (2, inf)):
            rule.report(trial, 1, loss)
        assert rule.promotable() == []

    def test_it_is_decided_fast_however_many_there_are(self) -> None:
        cuts = Growing(3)
        assert cuts.top == 1
        rule = pasha(1, 9, 3)
        for trial in range(9000):
            rule.report(trial, 0, float(trial))
        for promotion in let_go(rule):
            rule.report(promotion.trial, 1, float(promotion.trial), [9.0, 8.0, float(promotion.trial)])
        rule.report(9000, 0, -1.0)
        (best,) = let_go(rule)
        rule.report(best.trial, 1, 5e6)  # the ranking turns when more than JUDGED had not turned it
        assert JUDGED < 3000
        assert rule.promotable() == []

    def test_an_extension_lets_the_best_go_on(self) -> None:
        rule = pasha(9, 9, 3)
        for trial in range(3):
            rule.report(trial, 0, float(trial))
        rule.close(3)
        assert rule.promotable() == []
        rule.extend(27)
        rule.close(3)
        assert [p.trial for p in let_go(rule)] == [0]


class TestTopK:
    def test_all_are_trained_a_little_and_the_best_to_the_end(self) -> None:
        rule = top_k_after(2, 27, 3)
        assert rule.rungs == (2, 27)
        for trial, loss in enumerate([5.0, 1.0, nan, 2.0, 3.0]):
            rule.report(trial, 0, loss)
        assert rule.promotable() == []  # more may be drawn
        rule.close(5)
        assert [p.trial for p in rule.promotable()] == [1, 3, 4]
        assert rule.promotable()[0].reason == "rank 1 of 5 at rung 0 (2 epochs): within the best 3 of all trials"
        assert rule.verdict(0) == "rank 4 of 5 at rung 0 (2 epochs): outside the best 3 that go on"

    def test_extended_the_finished_go_on_and_the_others_are_compared_anew(self) -> None:
        rule = top_k_after(1, 9, 2)
        for trial, loss in enumerate([3.0, 1.0, 2.0]):
            rule.report(trial, 0, loss)
        rule.close(3)
        for promotion in let_go(rule):
            rule.report(promotion.trial, 1, 0.5)
        rule.extend(27)
        assert [(p.trial, p.rung) for p in let_go(rule)] == [(1, 1), (2, 1)]
        rule.report(3, 0, 1.5)
        rule.close(4)
        assert [(p.trial, p.rung) for p in rule.promotable()] == [(3, 0)]

    @pytest.mark.parametrize("budget", [(0, 9, 8), (9, 9, 8), (1, 9, 0)])
    def test_bad_budgets_are_refused(self, budget: tuple[int, int, int]) -> None:
        with pytest.raises(ValueError, match="must be"):
            top_k_after(*budget)
