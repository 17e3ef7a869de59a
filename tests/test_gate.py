"""The fair gate: how often it promotes what is no better, or surely better, and what keeps a model from promotion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tuner.retune.bootstrap import Bootstrap
from tuner.retune.gate import Contenders, Judgement, Rule, Verdict, judge

Array = np.ndarray
CLASSES = ("early", "late", "lost")
PERIODS = 1000
DAYS = 14


def holdout(seed: int, rows: int, gains: Mapping[str, float], noise: float = 0.2, daily: float = 0.0) -> Contenders:
    """Contenders better than the champion by `gains` in truth; `daily` is the deviation of a day's mean difference."""
    rng = np.random.default_rng(seed)
    days = np.arange(rows) * DAYS // rows
    champion = rng.gamma(2, 0.5, rows)
    common = rng.normal(0, noise, rows) + rng.normal(0, daily, DAYS)[days]  # what all that are new have in common
    losses: dict[str, Array | None] = {"champion": champion}
    for name, gain in gains.items():
        losses[name] = champion - gain + 0.8 * common
        losses[name] += 0.6 * (rng.normal(0, noise, rows) + rng.normal(0, daily, DAYS)[days])
    return Contenders(rng.integers(3, size=rows), CLASSES, losses, blocks=days)


def plain(challenger: float = 0.1, retrained: float | None = None, rows: int = 3000) -> Contenders:
    gains = {"challenger": challenger} if retrained is None else {"retrained": retrained, "challenger": challenger}
    return holdout(0, rows, gains)


def judged(contenders: Contenders, **rule: float) -> Judgement:
    return judge(contenders, Rule(**rule), seed=0)  # type: ignore[arg-type]


def worse_by(contenders: Contenders, where: Array, loss: float) -> Contenders:
    challenger = contenders.challenger + loss * where
    return replace(contenders, losses={**contenders.losses, "challenger": challenger})


@pytest.mark.parametrize("blocks", [True, False], ids=["days", "rows"])
def test_what_is_no_better_is_promoted_in_at_most_one_period_of_twenty(blocks: bool) -> None:
    """Even at a min_delta of 0, with two candidates to choose from."""
    rule, promoted = Rule(min_delta=0, resamples=400), 0
    for seed in range(PERIODS):
        case = holdout(seed, 280 if blocks else 140, {"retrained": 0, "challenger": 0}, daily=0.1 if blocks else 0)
        promoted += judge(case if blocks else replace(case, blocks=None), rule, seed=seed).best != "champion"
    assert 10 < promoted <= 0.05 * PERIODS, promoted  # not by never promoting


def test_a_gain_of_twice_min_delta_is_promoted_in_at_least_four_periods_of_five() -> None:
    """Fourteen days of 850 flights, whose differences are alike within a day; a min_delta of half a per cent."""
    rule, found = Rule(min_delta=0.005, resamples=400), []
    for seed in range(PERIODS):
        case = holdout(seed, 14 * 850, {"retrained": 0.0, "challenger": 0.01}, noise=0.1, daily=0.003)
        found.append(judge(case, rule, seed=seed).best)
    assert found.count("challenger") >= 0.8 * PERIODS, found.count("challenger")
    assert found.count("retrained") == 0


def test_rows_of_a_day_are_no_independent_evidence() -> None:
    rule, alone, together = Rule(min_delta=0, resamples=400), 0, 0
    for seed in range(200):
        case = holdout(seed, 280, {"challenger": 0}, daily=0.1)
        together += judge(case, rule, seed=seed).best == "challenger"
        alone += judge(replace(case, blocks=None), rule, seed=seed).best == "challenger"
    assert together <= 10
    assert alone > 30


def test_intervals_are_those_of_the_central_limit_theorem_for_many_rows() -> None:
    values = np.random.default_rng(0).normal(1, 2, 50_000)
    found = Bootstrap(len(values), None, resamples=4000, seed=0).interval(values, 0.025)
    width = 1.96 * values.std() / math.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.mean - found.low == pytest.approx(width, rel=0.1)
    assert found.high - found.mean == pytest.approx(width, rel=0.1)


def test_gains_are_separated_into_fresh_data_and_tuning() -> None:
    found = judged(plain(challenger=0.1, retrained=0.04))
    assert (found.verdict, found.best) == (Verdict.BLESSED, "challenger")
    gains = {name: gain["mean"] for name, gain in found.gains.items()}
    assert gains["fresh_data"] + gains["tuning"] == pytest.approx(gains["total"])
    assert found.losses["champion"]["mean"] - found.losses["challenger"]["mean"] == pytest.approx(gains["total"])
    assert gains["fresh_data"] == pytest.approx(0.04, abs=0.02)
    assert all(gain["low"] < gain["mean"] < gain["high"] for gain in found.gains.values())


def test_the_retrained_champion_is_best_where_tuning_gave_nothing() -> None:
    found = judged(plain(challenger=0.05, retrained=0.1))
    assert (found.verdict, found.best) == (Verdict.BLESSED, "retrained")
    assert {name: one.verdict for name, one in found.findings.items()} == {
        "retrained": Verdict.BLESSED,
        "challenger": Verdict.BLESSED,
    }
    assert "tuning gave nothing" in found.reason
    challenger_fails = judged(plain(challenger=-0.1, retrained=0.1))
    assert challenger_fails.best == "retrained"
    assert challenger_fails.findings["challenger"].verdict is Verdict.REJECTED
    case = plain(challenger=0.1, retrained=0.1)
    same = judged(replace(case, losses={**case.losses, "challenger": case.losses["retrained"]}))
    assert same.best == "retrained"


def test_a_tie_keeps_the_champion() -> None:
    case = plain()
    for shift in (0.0, 0.3):  # and a gain that is the same in every row is sure, however small its error
        found = judged(
            replace(case, losses={**case.losses, "challenger": case.losses["champion"] - shift}), min_delta=0
        )
        assert found.best == ("challenger" if shift else "champion")
        assert found.verdict is (Verdict.BLESSED if shift else Verdict.REJECTED)
    assert found.gains["total"]["low"] == pytest.approx(0.3)


def test_better_but_not_surely_is_inconclusive_and_worse_is_rejected() -> None:
    unsure = judged(plain(challenger=0.03, rows=280), min_delta=0.02)
    assert (unsure.verdict, unsure.best) == (Verdict.INCONCLUSIVE, "champion")
    assert "0.0200 is needed" in unsure.reason
    total = unsure.gains["total"]
    assert f"a gain of {0.02 + total['mean'] - total['low']:.4f} would have been sure" in unsure.reason
    worse = judged(plain(challenger=-0.03))
    assert (worse.verdict, worse.best) == (Verdict.REJECTED, "champion")
    assert "worse" in worse.reason


@pytest.mark.parametrize("column", ["class", "carrier"])
def test_a_slice_that_regresses_beyond_tolerance_rejects(column: str) -> None:
    case = plain(challenger=0.2)
    carriers = np.random.default_rng(1).choice(["UA", "AA", "9E"], len(case.y), p=[0.6, 0.3, 0.1])
    where = case.y == 2 if column == "class" else carriers == "9E"
    case = worse_by(replace(case, slices={"carrier": list(carriers)}), where, 0.35)
    found = judged(case, tolerance=0.05, class_tolerance=0.05)
    assert found.verdict is Verdict.REJECTED
    assert f"{column} {'lost' if column == 'class' else '9E'} by 0.1" in found.reason
    assert [one.regressed for one in found.slices] == [True] + [False] * 5
    assert judged(case, tolerance=0.3, class_tolerance=0.3).verdict is Verdict.BLESSED


def test_small_slices_and_those_of_few_blocks_are_told_not_judged() -> None:
    case = plain(challenger=0.2)
    rows = np.arange(len(case.y))
    labels = np.where(rows % 100 == 0, "rare", np.where(rows < 400, "two days", "usual"))
    found = judged(worse_by(replace(case, slices={"kind": list(labels)}), labels != "usual", 0.5), min_slice_rows=50)
    told = {one.label: one for one in found.slices if one.column == "kind"}
    assert (told["rare"].rows, told["rare"].low, told["rare"].why) == (30, None, "fewer than 50 rows")
    assert "blocks" in told["two days"].why
    assert told["usual"].low is not None
    assert not any(one.regressed for one in found.slices)
    assert found.verdict is not Verdict.REJECTED


def test_noise_in_many_slices_rejects_in_at_most_one_period_of_twenty() -> None:
    rule, regressed = Rule(tolerance=0, class_tolerance=0, resamples=1000), 0
    for seed in range(200):
        case = holdout(seed, 2800, {"challenger": 0.0})
        labels = np.random.default_rng(seed).integers(20, size=len(case.y)).astype(str)
        found = judge(replace(case, slices={"kind": list(labels)}), rule, seed=seed)
        regressed += any(one.regressed for one in found.slices)
    assert regressed <= 10


def test_a_challenger_without_a_class_is_rejected_whatever_its_loss() -> None:
    found = judged(replace(plain(), missing_classes={"challenger": ["lost"]}))
    assert (found.verdict, found.best) == (Verdict.REJECTED, "champion")
    assert "class lost" in found.reason


def test_rows_of_a_class_that_the_champion_does_not_know_are_left_out() -> None:
    case = plain()
    unknown = case.y == 2
    losses = {**case.losses, "champion": np.where(unknown, np.inf, case.losses["champion"])}
    slices = {"kind": list(np.where(unknown, "new", "old"))}
    found = judged(replace(case, losses=losses, missing_classes={"champion": ["lost"]}, slices=slices))
    assert (found.verdict, found.left_out) == (Verdict.BLESSED, unknown.sum())
    assert {one.label for one in found.slices} == {"early", "late", "old"}
    assert "left out" in found.reason
    both = {"champion": ["lost"], "challenger": ["lost"]}
    assert judged(replace(case, losses=losses, missing_classes=both)).verdict is Verdict.BLESSED


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("challenger", Verdict.REJECTED), ("champion", Verdict.INCONCLUSIVE), ("retrained", Verdict.BLESSED)],
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_has_one_reason(name: str, verdict: Verdict, value: float) -> None:
    case = plain(challenger=0.1, retrained=0.0)
    loss = case.losses[name].copy()
    loss[7] = value
    found = judged(replace(case, losses={**case.losses, name: loss}))
    assert (found.verdict, found.best) == (verdict, "challenger" if verdict is Verdict.BLESSED else "champion")
    assert found.losses[name]["mean"] is None
    told = found.findings["challenger" if name == "champion" else name].reason
    assert "no finite number in 1 of 3,000 rows" in told
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("days", [0, 1, 4])
def test_too_few_blocks_are_inconclusive(days: int) -> None:
    case = holdout(0, days * 10, {"challenger": 0.5})
    found = judged(replace(case, blocks=np.arange(days * 10) // 10))
    assert (found.verdict, found.best) == (Verdict.INCONCLUSIVE, "champion")
    assert f"{days} blocks" in found.reason
    json.dumps(found.to_json(), allow_nan=False)


def first(**changes: object) -> Contenders:
    """A first period; the challenger's mean loss is 1, the uniform prior's 1.0986."""
    case = plain(challenger=0)
    hits = np.random.default_rng(0).random(len(case.y)) < 0.6
    only = {"challenger": case.challenger - case.challenger.mean() + 1}
    given = replace(case, losses=only, hits={"challenger": hits}, prior=[1 / 3, 1 / 3, 1 / 3])
    return replace(given, **changes)


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ({}, Verdict.BLESSED),
        ({"first_max_loss": 1.1}, Verdict.BLESSED),
        ({"first_max_loss": 1.005}, Verdict.INCONCLUSIVE),
        ({"first_max_loss": 0.9}, Verdict.REJECTED),
        ({"first_min_accuracy": 0.55}, Verdict.BLESSED),
        ({"first_min_accuracy": 0.59}, Verdict.INCONCLUSIVE),
        ({"first_max_loss": 1.1, "first_min_accuracy": 0.7}, Verdict.REJECTED),
    ],
)
def test_the_first_model_must_surely_keep_absolute_thresholds(rule: dict[str, float], verdict: Verdict) -> None:
    found = judged(first(), **rule)
    assert (found.verdict, found.best) == (verdict, "challenger" if verdict is Verdict.BLESSED else "champion")
    assert found.gains["total"] == {"mean": None, "low": None, "high": None}
    assert list(found.losses) == ["challenger"]


def test_a_first_model_that_is_as_good_as_the_prior_or_lacks_a_class_is_rejected() -> None:
    assert judged(first(losses={"challenger": np.full(3000, math.log(3))})).verdict is Verdict.REJECTED
    assert judged(first(missing_classes={"challenger": ["lost"]})).verdict is Verdict.REJECTED
    with pytest.raises(ValueError, match="prior"):
        judged(first(prior=None))


def test_what_does_not_fit_together_is_refused() -> None:
    case = plain()
    with pytest.raises(ValueError, match="challenger"):
        replace(case, losses={"champion": case.losses["champion"]})
    with pytest.raises(ValueError, match="carrier: one value a row is needed, 3000 in all; got 2"):
        replace(case, slices={"carrier": ["UA", "AA"]})


def test_the_same_arguments_give_the_same_judgement() -> None:
    assert judged(plain(retrained=0.1)).to_json() == judged(plain(retrained=0.1)).to_json()
