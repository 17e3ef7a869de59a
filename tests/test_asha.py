"""The stopping rules against a brute-force reference, and what must hold in every history."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf, isfinite, nan
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.search.asha import asha
from tuner.search.ranking import CHUNK, Ranking
from tuner.search.rungs import ladder
from tuner.search.stopping import RULES, StoppingRule, make
from tuner.search.synchronous import no_stopping, successive_halving
from tuner.trial import Promotion

Event = tuple[int, int, float] | Promotion  # a report (trial, rung, loss), or a promotion
Loss = Callable[[int, int], float]


def reference_asha(events: list[Event], epochs: tuple[int, ...], eta: int, trials: int | None) -> list[tuple[int, int]]:
    """Who is promotable after `events`, as (trial, rung): sorts everything anew, from the definition alone."""
    members: list[dict[int, float]] = [{} for _ in epochs]
    gone: list[set[int]] = [set() for _ in epochs]
    for event in events:
        if isinstance(event, Promotion):
            gone[event.rung].add(event.trial)
        else:
            trial, rung, loss = event
            members[rung][trial] = loss if isfinite(loss) else inf
    answer = []
    for rung in reversed(range(len(epochs) - 1)):
        order = sorted(members[rung], key=lambda t, r=rung: (members[r][t], t))
        best = order[: len(order) // eta]
        answer += [(t, rung) for t in best if t not in gone[rung] and members[rung][t] < inf]
    entrants = [trials] + [len(g) for g in gone[:-1]]
    idle = all(n == len(m) for n, m in zip(entrants, members, strict=True))
    if not answer and idle and not any(loss < inf for loss in members[-1].values()):
        for rung in reversed(range(len(epochs) - 1)):
            left = [t for t in members[rung] if t not in gone[rung] and members[rung][t] < inf]
            if left:
                return [(min(left, key=lambda t: (members[rung][t], t)), rung)]
    return answer


def random_loss(rng: random.Random) -> Loss:
    """Losses with many ties and some divergence, fixed per (trial, rung)."""
    seed, coarse, bad = rng.random(), rng.random() < 0.5, rng.choice([0, 0.1, 0.5, 0.95])

    def loss(trial: int, rung: int) -> float:
        draw = random.Random(f"{seed}/{trial}/{rung}")
        if draw.random() < bad:
            return draw.choice([nan, inf, -inf])
        return draw.randrange(4) / 2 if coarse else draw.random()

    return loss


def simulate(rule: StoppingRule, trials: int, loss: Loss, rng: random.Random) -> list[Event]:
    """Runs a whole search with workers that finish in random order; returns its history."""
    events: list[Event] = []
    under_way: list[tuple[int, int]] = []
    drawn, workers = 0, rng.randint(1, 8)
    close_at = rng.randint(0, trials)
    while True:
        if drawn >= close_at:
            rule.close(trials)
        while len(under_way) < workers:
            promotions = rule.promotable()
            if promotions:
                promotion = rng.choice(promotions)  # a driver may take any of them
                rule.promote(promotion)
                events.append(promotion)
                under_way.append((promotion.trial, promotion.rung + 1))
            elif drawn < trials:
                under_way.append((drawn, rule.entry(drawn)))
                drawn += 1
            else:
                break
        if not under_way:
            return events
        trial, rung = under_way.pop(rng.randrange(len(under_way)))
        rule.report(trial, rung, loss(trial, rung))
        events.append((trial, rung, loss(trial, rung)))


def apply(rule: StoppingRule, event: Event) -> None:
    if isinstance(event, Promotion):
        rule.promote(event)
    else:
        rule.report(*event)


def test_asha_agrees_with_brute_force_on_1000_random_histories() -> None:
    for seed in range(1000):
        rng = random.Random(seed)
        eta, trials, most = rng.choice([2, 3, 4]), rng.randint(1, 40), rng.choice([1, 9, 20])
        events = simulate(asha(1, most, eta), trials, random_loss(rng), rng)
        rule, closed_at = asha(1, most, eta), rng.randint(0, len(events))
        for i, event in enumerate([*events, None]):
            known = trials if i >= closed_at else None
            if known:
                rule.close(known)
            answer = [(p.trial, p.rung) for p in rule.promotable()]
            assert answer == reference_asha(events[:i], rule.rungs, eta, known), f"seed {seed}, after event {i}"
            if event is not None:
                apply(rule, event)


@pytest.mark.parametrize("kind", RULES)
def test_somebody_reaches_the_last_rung_unless_all_diverge(kind: str) -> None:
    for seed in range(300):
        rng = random.Random(seed)
        trials, loss = rng.randint(1, 30), random_loss(rng)
        rule = make(kind, 1, 20, 3)
        events = simulate(rule, trials, loss, rng)
        if any(isinstance(e, tuple) and e[1] == len(rule.rungs) - 1 and isfinite(e[2]) for e in events):
            continue
        for trial in range(trials):  # nobody got there: then every single one must have diverged
            assert "diverged" in rule.verdict(trial), f"seed {seed}: {rule.verdict(trial)}"


def test_successive_halving_does_not_depend_on_the_order_of_results() -> None:
    for seed in range(200):
        trials, loss = random.Random(seed).randint(1, 40), random_loss(random.Random(seed))
        histories = [
            simulate(successive_halving(1, 9, 3), trials, loss, random.Random(f"{seed}/{order}")) for order in range(4)
        ]
        promotions = [{(e.trial, e.rung) for e in h if isinstance(e, Promotion)} for h in histories]
        assert promotions.count(promotions[0]) == 4


def test_successive_halving_waits_for_a_full_rung_and_promotes_its_best() -> None:
    rule = successive_halving(1, 4, 2)
    for trial, loss in enumerate([3.0, 1.0, 2.0, nan]):
        rule.report(trial, 0, loss)
    assert rule.promotable() == []  # more might be drawn
    rule.close(5)
    assert rule.promotable() == []  # the fifth is still running
    rule.report(4, 0, 0.5)
    first, second = rule.promotable()
    assert (first.trial, second.trial) == (4, 1)
    rule.promote(first)
    rule.report(4, 1, 0.4)
    assert [p.trial for p in rule.promotable()] == [1]  # not 4, although it is alone at rung 1
    rule.promote(second)
    rule.report(1, 1, 0.3)
    assert [(p.trial, p.rung) for p in rule.promotable()] == [(1, 1)]


@pytest.mark.parametrize("kind", RULES)
def test_replay_of_any_prefix_gives_the_same_decisions(kind: str) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        events = simulate(make(kind, 1, 9, 3), 20, random_loss(rng), rng)
        live = make(kind, 1, 9, 3)
        live.close(20)
        for i, event in enumerate(events):
            apply(live, event)
            replayed = make(kind, 1, 9, 3)
            replayed.close(20)
            for earlier in events[: i + 1]:
                apply(replayed, earlier)
            assert replayed.promotable() == live.promotable()
            assert [replayed.verdict(t) for t in range(20)] == [live.verdict(t) for t in range(20)]


losses = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, 1.0]))


@settings(deadline=None)
@given(values=st.lists(losses, max_size=40), eta=st.integers(2, 5), cut=st.none() | st.integers(0, 5))
def test_what_holds_at_every_rung(values: list[float], eta: int, cut: int | None) -> None:
    rule = asha(1, eta, eta)
    for trial, loss in enumerate(values):
        rule.report(trial, 0, loss)
    everyone = rule.promotable()
    assert rule.promotable(cut) == everyone[:cut]
    assert len(everyone) <= len(values) // eta
    keys = [(values[p.trial], p.trial) for p in everyone]
    assert keys == sorted(keys)  # best first, ties by number
    assert all(isfinite(loss) and p.reason for (loss, _), p in zip(keys, everyone, strict=True))
    others = [(v, t) for t, v in enumerate(values) if isfinite(v) and (v, t) not in keys]
    assert not keys or all(other > keys[-1] for other in others)
    for promotion in everyone:
        rule.promote(promotion)
    assert rule.promotable() == []
    assert all(rule.verdict(t) for t in range(len(values) + 1))


def test_a_promotion_not_acted_on_is_withdrawn_when_better_trials_come() -> None:
    rule = asha(1, 3, 3)
    for trial, loss in enumerate([0.5, 0.6, 0.7]):
        rule.report(trial, 0, loss)
    assert [p.trial for p in rule.promotable()] == [0]
    rule.report(3, 0, 0.1)
    assert [p.trial for p in rule.promotable()] == [3]


def test_equal_losses_go_by_trial_number_and_not_by_arrival() -> None:
    rule = asha(1, 3, 3)
    for trial in (2, 1, 0):
        rule.report(trial, 0, 1.0)
    assert [p.trial for p in rule.promotable()] == [0]


def test_verdicts_name_rank_size_and_cut() -> None:
    rule = asha(1, 9, 3)
    for trial, loss in enumerate([0.3, 0.1, 0.2, nan, 0.5, 0.4]):
        rule.report(trial, 0, loss)
    assert rule.verdict(1) == "rank 1 of 6 at rung 0 (1 epoch): within the best 2 that go on"
    assert rule.verdict(0) == "rank 3 of 6 at rung 0 (1 epoch): outside the best 2 that go on"
    assert rule.verdict(3) == "diverged on the way to rung 0 (1 epoch): its loss was not finite"
    assert rule.verdict(9) == "not yet evaluated: rung 0 is at 1 epoch"
    promotion = rule.promotable()[0]
    assert promotion.reason == "rank 1 of 6 at rung 0 (1 epoch): within the best 2 (1/3)"
    rule.promote(promotion)
    assert rule.verdict(1) == "rank 1 of 6 at rung 0 (1 epoch): promoted to rung 1 (3 epochs)"
    rule.report(1, 1, 0.05)
    assert rule.verdict(1) == "rank 1 of 1 at rung 1 (3 epochs): no trial of this rung may go on yet"


def test_no_stopping_trains_everybody_to_the_end() -> None:
    rule = no_stopping(27)
    assert rule.rungs == (27,)
    rule.close(2)
    rule.report(0, 0, 0.5)
    rule.report(1, 0, nan)
    assert rule.promotable() == []
    assert rule.verdict(0) == "rank 1 of 2 at rung 0 (27 epochs): fully trained"


@pytest.mark.parametrize(
    ("budget", "epochs"),
    [((1, 27, 3), (1, 3, 9, 27)), ((1, 1000, 10), (1, 10, 100, 1000)), ((2, 9, 2), (2, 4, 8, 9)), ((5, 5, 3), (5,))],
)
def test_rungs_are_multiplied_integers(budget: tuple[int, int, int], epochs: tuple[int, ...]) -> None:
    assert ladder(*budget) == epochs


@pytest.mark.parametrize("budget", [(0, 9, 3), (10, 9, 3), (1, 9, 1)])
def test_bad_budgets_are_refused(budget: tuple[int, int, int]) -> None:
    for kind in RULES.keys() - {"top_k_after", "none"}:
        with pytest.raises(ValueError, match="must be"):
            make(kind, *budget)


def test_an_unknown_rule_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match=", ".join(RULES)):
        make("median", 1, 9, 3)


def test_calls_that_cannot_be_are_refused() -> None:
    rule = asha(1, 9, 3)
    rule.report(0, 0, 0.5)
    rule.report(1, 0, nan)
    with pytest.raises(ValueError, match="already reported"):
        rule.report(0, 0, 0.4)
    with pytest.raises(ValueError, match="never promoted"):
        rule.report(0, 1, 0.4)
    with pytest.raises(ValueError, match="finite"):
        rule.promote(Promotion(1, 0, "it diverged"))
    with pytest.raises(ValueError, match="finite"):
        rule.promote(Promotion(7, 0, "nobody knows it"))
    with pytest.raises(ValueError, match="nothing is promoted from rung 2"):
        rule.promote(Promotion(0, 2, "beyond the end"))


def test_a_ranking_over_many_chunks_is_a_sorted_list() -> None:
    rng = random.Random(0)
    keys = [(rng.randrange(500) / 7, i) for i in range(5 * CHUNK)]
    ranking = Ranking()
    for key in keys:
        ranking.add(key)
    for key in keys[::3]:
        ranking.remove(key)
    left = sorted(set(keys) - set(keys[::3]))
    assert list(ranking) == left
    assert [ranking.rank(key) for key in left[::97]] == list(range(0, len(left), 97))
    with pytest.raises(KeyError):
        ranking.rank(keys[0])


def seconds_a_decision(trials: int) -> float:
    """Least time of a report with the decision after it, over batches of 500, with `trials` at the lowest rung."""
    rng, rule = random.Random(0), asha(1, 81, 3)
    best = inf
    for start in range(0, trials, 500):
        begin = perf_counter()
        for trial in range(start, start + 500):
            rule.report(trial, 0, rng.random())
            for promotion in rule.promotable(1):
                rule.promote(promotion)
                rule.report(promotion.trial, promotion.rung + 1, rng.random())
        if start >= trials // 2:
            best = min(best, perf_counter() - begin)
    return best / 500


def test_a_decision_hardly_slows_down_as_trials_grow() -> None:
    assert seconds_a_decision(64_000) < 4 * seconds_a_decision(4_000)
