"""The ledger as a whole search would drive it, with workers that come back in any order."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from tests.simulation import make_ledger, train
from tuner.engine import stages
from tuner.engine.ledger import Ledger
from tuner.engine.result import figures, leaderboard
from tuner.engine.verdict import summary, verdict
from tuner.search.stopping import RULES
from tuner.trial import Pack, Row, Stage, State, Trial


def drive(ledger: Ledger, workers: int, seed: int, fail: set[int] = frozenset()) -> list[Pack]:
    """Runs a sweep to its end with packs that come back in random order; packs numbered in `fail` fail."""
    random, packs = Random(seed), []
    for _ in range(10_000):
        while len(ledger.open) < workers and (pack := ledger.ask(workers)):
            packs.append(pack)
        if ledger.finished:
            return packs
        pack = ledger.open[random.choice(sorted(ledger.open))]
        if pack.id in fail:
            ledger.fail(pack.id, "out of memory")
        else:
            ledger.tell(pack.id, *train(pack))
    raise AssertionError("the sweep does not end")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_trial_is_trained_once_per_rung_and_reaches_an_end(rule: str, workers: int) -> None:
    ledger = make_ledger(60, rule)
    packs = drive(ledger, workers, seed=1)
    trained = Counter((trial.id, pack.rung) for pack in packs for trial in pack.trials)
    assert set(trained.values()) == {1}
    search = [trial for trial in ledger.trials.values() if trial.stage is Stage.SEARCH]
    assert len(search) == 60
    assert all(state.final for state, _, _ in ledger.states.values())
    assert all(reason for _, _, reason in ledger.states.values())
    for trial in search:
        epochs = [row.epoch for row in ledger.rows[trial.id]]
        assert epochs == list(range(1, len(epochs) + 1))


def test_a_promoted_trial_starts_from_the_pack_that_holds_its_weights() -> None:
    ledger = make_ledger(60)
    holds: dict[str, int] = {}
    for pack in drive(ledger, 3, seed=2):
        if pack.rung:
            assert pack.starts == {trial.id: holds[trial.id] for trial in pack.trials}
        holds.update((trial.id, pack.id) for trial in pack.trials)


def test_where_the_winner_cannot_be_refitted_the_next_best_is() -> None:
    ledger = make_ledger(40)
    packs = drive(ledger, 2, seed=4)
    first = next(pack for pack in packs if pack.stage is Stage.REFIT)
    again = make_ledger(40)
    packs = drive(again, 2, seed=4, fail={first.id})
    refits = [pack.trials[0].source for pack in packs if pack.stage is Stage.REFIT]
    assert refits[0] == first.trials[0].source
    winner = stages.winner(again)
    assert winner is not None
    assert winner.id == refits[-1] != refits[0]
    counts = {"train": [1, 1], "validation": [1, 1], "holdout": [1, 1]}
    found = figures(again, counts)
    assert found["reason"] is None
    assert found["holdout"]["winner"]
    assert found["failures"] == [{"trials": 1, "reason": "out of memory"}]


def test_a_sweep_without_any_refit_says_why_it_has_no_model() -> None:
    ledger = make_ledger(9, confirm=1)
    packs = drive(ledger, 1, seed=4)
    last = {pack.id for pack in packs if pack.stage is Stage.REFIT}
    again = make_ledger(9, confirm=1)
    drive(again, 1, seed=4, fail=last)
    counts = {"train": [1, 1], "validation": [1, 1], "holdout": [1, 1]}
    assert figures(again, counts)["reason"] == "the winner is not refitted: out of memory"


def test_the_halves_of_a_failed_pack_come_before_anything_else() -> None:
    ledger = make_ledger(40)
    pack = ledger.ask(1)
    assert pack is not None
    assert len(pack.trials) >= 4
    ledger.fail(pack.id, "out of memory")
    half = ledger.ask(1)
    assert half is not None
    ledger.fail(half.id, "out of memory")
    quarter = ledger.ask(1)
    assert quarter is not None
    assert quarter.trials == pack.trials[: len(pack.trials) // 2 // 2]


@pytest.mark.parametrize(("rows", "batch", "epochs"), [(5, 5, 1000), (280, 8, 29), (1079, 32, 31), (100_000, 128, 9)])
def test_the_baseline_is_trained_to_its_optimum_whatever_the_data(rows: int, batch: int, epochs: int) -> None:
    ledger = make_ledger(9)
    ledger.cost.rows = rows
    [pack] = stages.baseline(ledger)
    assert {trial.params["batch_size"] for trial in pack.trials} == {batch}
    assert pack.to_epoch == epochs


def test_a_softmax_regression_of_the_search_is_a_baseline_too() -> None:
    ledger = make_ledger(20)
    packs = drive(ledger, 1, seed=0)
    ledger.trials = {  # as if the search had drawn no hidden layers
        name: replace(trial, params={**trial.params, "hidden_layers": 0}) for name, trial in ledger.trials.items()
    }
    ledger._of_stage[Stage.SEARCH] = [trial for trial in ledger.trials.values() if trial.stage is Stage.SEARCH]
    for pack in packs:
        if pack.stage is Stage.BASELINE:
            ledger.rows |= {trial.id: [Row(trial.id, 1, 9.0, 9.0, 0.5, 0.1)] for trial in pack.trials}
    assert stages.best_baseline(ledger) == ledger.ranked()[0]
    said = figures(ledger, {"train": [1, 1], "validation": [1, 1], "holdout": [9, 1]})["verdict"]
    assert said.endswith("It has no hidden layer: it is softmax regression itself.")
    for pack in packs:
        if pack.stage is Stage.BASELINE:
            ledger.rows |= {trial.id: [Row(trial.id, 1, 0.0, 0.0, 0.5, 0.1)] for trial in pack.trials}
    measured = {"loss": 1.0, "accuracy": 0.5}
    holdout = {"winner": measured, "softmax_regression": measured, "class_prior": None}
    said = verdict(ledger, {"holdout": holdout, "confirmed": None})
    assert said.endswith("It has no hidden layer: both are softmax regressions, trained differently.")


def test_a_refit_lasts_as_long_as_is_best_on_average() -> None:
    """Of three seeds, one is best at once by luck; together they are best at epoch 3."""
    ledger = make_ledger(1)
    trials = [Trial(f"s{seed}", seed, seed, {}) for seed in range(3)]
    curves = [[0.3, 0.9, 0.5, 0.8], [0.9, 0.8, 0.4, 0.7], [0.9, 0.5, 0.5, 0.6]]
    for trial, curve in zip(trials, curves, strict=True):
        ledger.rows[trial.id] = [Row(trial.id, at + 1, 0.5, loss, 0.5, 0.1) for at, loss in enumerate(curve)]
    assert stages._best_epoch(ledger, trials) == 3
    ledger.terms = replace(ledger.terms, metric="val_accuracy")  # all alike: the loss decides
    assert stages._best_epoch(ledger, trials) == 3
    ledger.terms = replace(ledger.terms, select="last")
    assert stages._best_epoch(ledger, trials) == 4


def test_a_refit_that_is_worse_than_what_was_confirmed_is_told() -> None:
    ledger = make_ledger(9)
    packs = drive(ledger, 1, seed=0)
    counts = {"train": [1, 1], "validation": [1, 1], "holdout": [9, 1]}
    assert "Beware" not in figures(ledger, counts)["verdict"]
    refit = next(pack.trials[0] for pack in packs if pack.stage is Stage.REFIT)
    ledger.holdout[refit.id] = (1.2, 0.5)
    assert "Beware: before it was refitted, its loss there was 1.0000 ± 0.0000" in figures(ledger, counts)["verdict"]


def test_the_verdict_speaks_the_objective_and_names_a_missing_baseline() -> None:
    ledger = make_ledger(9)
    packs = drive(ledger, 1, seed=0)
    counts = {"train": [1, 1], "validation": [1, 1], "holdout": [9, 1]}
    assert "nats worse than the class prior" in figures(ledger, counts)["verdict"]
    ledger.terms = replace(ledger.terms, metric="val_accuracy")
    assert "accuracy of 50.0% is 40.0 points worse than the class prior (90.0%)" in figures(ledger, counts)["verdict"]
    base = next(pack for pack in packs if pack.stage is Stage.BASELINE)
    again = make_ledger(9)
    drive(again, 1, seed=0, fail=set(range(base.id, base.id + 15)))
    assert "Plain softmax regression is missing: out of memory." in figures(again, counts)["verdict"]


def test_synchronous_halving_gives_one_winner_however_many_workers() -> None:
    ledgers = [make_ledger(60, "successive_halving") for _ in range(5)]
    for seed, (ledger, workers) in enumerate(zip(ledgers, (1, 2, 3, 8, 2), strict=True)):
        drive(ledger, workers, seed)
    assert len({tuple(leaderboard(ledger)[0].items()) for ledger in ledgers}) == 1
    assert len({stages.winner(ledger).id for ledger in ledgers}) == 1


def test_the_stages_follow_each_other() -> None:
    ledger = make_ledger(40)
    packs = drive(ledger, 2, seed=5)
    order = [pack.stage for pack in packs if pack.stage is not Stage.BASELINE]
    assert order == sorted(order, key=[Stage.SEARCH, Stage.CONFIRM, Stage.REFIT].index)
    confirmed = [pack for pack in packs if pack.stage is Stage.CONFIRM]
    assert [pack.trials[0].source for pack in confirmed] == [trial.id for trial in ledger.ranked()[:2]]
    seeds = [trial.seed for trial in ledger.trials.values()]
    assert len(set(seeds)) == len(seeds)
    assert sorted(trial.source for pack in packs if pack.stage is Stage.REFIT for trial in pack.trials) == sorted(
        [stages.winner(ledger).id, stages.best_baseline(ledger).id]
    )


def test_a_failed_pack_is_halved_until_only_the_culprit_fails() -> None:
    ledger = make_ledger(40)
    first = ledger.ask(2)
    assert len(first.trials) > 1
    culprit = first.trials[3].id
    ledger.fail(first.id, "out of memory")
    while pack := ledger.ask(1):
        if culprit in {trial.id for trial in pack.trials}:
            ledger.fail(pack.id, "out of memory")
        else:
            ledger.tell(pack.id, *train(pack))
    failed = [trial for trial, (state, _, _) in ledger.states.items() if state is State.FAILED]
    assert failed == [culprit]
    assert "out of memory" in ledger.states[culprit][2]
    assert ledger.finished


def test_halting_ends_the_search_but_confirms_what_there_is() -> None:
    ledger = make_ledger(400)
    for _ in range(3):
        pack = ledger.ask(1)
        ledger.tell(pack.id, *train(pack))
    ledger.halt("the time budget is spent")
    packs = drive(ledger, 1, seed=0)
    assert Stage.SEARCH not in {pack.stage for pack in packs}
    assert stages.confirmed(ledger, stages.winner(ledger))["seeds"] == 2
    reasons = [reason for state, _, reason in ledger.states.values() if state is State.STOPPED]
    assert reasons
    assert all("time budget" in reason for reason in reasons)


def test_a_sweep_in_which_all_diverge_ends_without_a_winner() -> None:
    ledger = make_ledger(10)
    while pack := ledger.ask(1):
        rows, timings, _ = train(pack)
        broken = [type(row)(row.trial, row.epoch, math.nan, math.nan, 0.0, 0.1) for row in rows if row.epoch == 1]
        ledger.tell(pack.id, broken if pack.stage is not Stage.BASELINE else rows, timings, {})
    counts = {"train": [3, 2, 1], "validation": [1, 1, 1], "holdout": [1, 1, 0]}
    found = figures(ledger, counts)
    assert found["best"] is None
    assert found["states"] == {"diverged": 10}
    assert "No winner" in summary("s", found)


def test_the_class_prior_is_the_entropy_of_what_was_seen() -> None:
    ledger = make_ledger(10)
    drive(ledger, 1, seed=0)
    counts = {"train": [50, 30, 20], "validation": [0, 0, 0], "holdout": [5, 3, 2]}
    prior = figures(ledger, counts)["holdout"]["class_prior"]
    assert prior["loss"] == pytest.approx(-sum(p * math.log(p) for p in (0.5, 0.3, 0.2)))
    assert prior["accuracy"] == 0.5


def test_a_diverged_trial_has_no_score_whatever_the_metric() -> None:
    ledger = make_ledger(10)
    ledger.terms = replace(ledger.terms, metric="val_accuracy")
    pack = ledger.ask(1)
    rows = [Row(trial.id, 1, math.nan, math.nan, 0.9, 0.1) for trial in pack.trials]
    ledger.tell(pack.id, rows)
    assert {ledger.score(trial.id) for trial in pack.trials} == {math.inf}
    assert {state for state, _, _ in ledger.states.values()} == {State.DIVERGED}


class TestLearning:
    """Samplers that learn from results draw in rounds."""

    @pytest.mark.parametrize("sampler", ["coarse_to_fine", "tpe"])
    @pytest.mark.parametrize("workers", [1, 3])
    def test_their_trials_share_packs_and_no_worker_waits(self, sampler: str, workers: int) -> None:
        ledger, random, packs = make_ledger(60, "asha", sampler=sampler), Random(1), []
        while len(ledger.trials) < 60:
            while len(ledger.open) < workers and (pack := ledger.ask(workers)):
                packs.append(pack)
            assert len(ledger.open) == workers
            pack = ledger.open[random.choice(sorted(ledger.open))]
            ledger.tell(pack.id, *train(pack))
        new = [len(pack.trials) for pack in packs if pack.stage is Stage.SEARCH and pack.rung == 0]
        assert sum(new) / len(new) > (4 if workers == 1 else 2)
        origins = [trial.origin for pack in packs for trial in pack.trials if pack.stage is Stage.SEARCH]
        learned = [origin for origin in origins if "around" in origin or "from the results" in origin]
        assert len(learned) > len(origins) / 3  # drawn late enough to know something

    def test_a_round_is_drawn_once_nobody_waits_for_promotion(self) -> None:
        """Short trials, too, of which a few make no pack: else boxes would be drawn around the best first epochs."""
        ledger = make_ledger(60, "asha", sampler="coarse_to_fine")
        while len(ledger.trials) < 60:
            rounds, waiting = len(ledger.rounds), ledger.rule.promotable()
            pack = ledger.ask(1)
            assert len(ledger.rounds) == rounds or not waiting
            ledger.tell(pack.id, *train(pack))
        assert [one["epochs"] for one in ledger.rounds][-1] > 1

    @pytest.mark.parametrize("sampler", ["coarse_to_fine", "tpe"])
    def test_in_step_the_order_of_results_and_the_workers_change_nothing(self, sampler: str) -> None:
        found = []
        for workers, seed in ((1, 1), (2, 2), (5, 3)):
            ledger = make_ledger(40, "successive_halving", sampler=sampler)
            drive(ledger, workers, seed)
            search = [trial for trial in ledger.trials.values() if trial.stage is Stage.SEARCH]
            found.append(sorted((trial.number, tuple(trial.params.items())) for trial in search))
        assert len(found[0]) == 40
        assert found[0] == found[1] == found[2]

    @pytest.mark.parametrize("sampler", ["coarse_to_fine", "tpe"])
    def test_what_fails_keeps_no_round_from_ending(self, sampler: str) -> None:
        for rule in ("asha", "successive_halving"):
            ledger = make_ledger(40, rule, sampler=sampler)
            drive(ledger, 3, seed=1, fail={1, 2, 3, 4, 5, 6, 7})
            assert sum(trial.stage is Stage.SEARCH for trial in ledger.trials.values()) == 40

    def test_an_extended_search_goes_on_in_further_rounds(self) -> None:
        ledger = make_ledger(40, sampler="coarse_to_fine")
        drive(ledger, 2, seed=1)
        before = len(ledger.rounds)
        assert ledger.extend(60)
        drive(ledger, 2, seed=2)
        assert len(ledger.rounds) > before
        assert sum(len(one["trials"]) for one in ledger.rounds) == 60
