"""Covariate shift, shown: both variants confirmed, measured once on the holdout, and told without being chosen by."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests import sweeps
from tests.simulation import SPACE, train
from tuner.data.request import Request
from tuner.data.snapshot import build
from tuner.engine import stages
from tuner.engine.build import request
from tuner.engine.ledger import Ledger
from tuner.engine.packing import CostModel
from tuner.engine.records import Terms
from tuner.engine.result import figures
from tuner.engine.verdict import summary
from tuner.review.shift import Variant, of_result, shift
from tuner.search import samplers, stopping
from tuner.spec import SpecError, parse
from tuner.trial import Stage

SHIFT = Path(__file__).parent.parent / "examples/shift"
COUNTS = {"train": [10, 10], "validation": [5, 5], "holdout": [5, 5]}


def searched(compare: str, confirm: int = 1) -> Ledger:
    """A finished sweep that searched batch sizes of 32 and 64, in the trainer without training."""
    ledger = Ledger(
        Terms(seed=3, trials=16, confirm=confirm, seeds=2, compare=compare),
        SPACE,
        samplers.make("random", SPACE, 3, 16),
        stopping.make("none", 1, 3, 3),
        CostModel(inputs=20, classes=2, rows=1000, shape_of=lambda trial: trial.params["batch_size"]),
    )
    while not ledger.finished:
        pack = ledger.ask(workers=1)
        assert pack
        ledger.tell(pack.id, *train(pack))
    return ledger


def test_the_best_trial_of_each_value_is_confirmed_and_measured_on_the_holdout() -> None:
    ledger, plain = searched("batch_size"), searched("")
    best = [trial.id for trial in stages.compared(ledger)]
    assert best[0] == ledger.ranked()[0].id
    assert {ledger.trials[name].params["batch_size"] for name in best} == {32, 64}
    again = [trial for trial in ledger.trials.values() if trial.stage is Stage.CONFIRM]
    assert [trial.source for trial in again] == [name for name in best for _ in range(2)]
    assert len({trial.number for trial in again}) == len(again)
    assert {trial.id for trial in again} <= set(ledger.holdout)
    found = figures(ledger, COUNTS)["compared"]
    assert [(one["value"], one["trial"]) for one in found["values"]] == [
        (ledger.trials[name].params["batch_size"], name) for name in best
    ]
    for one in found["values"]:  # a seed that diverged has no loss
        assert len(one["losses"]) == one["seeds"] == 2 - one["diverged_seeds"]
    assert figures(plain, COUNTS)["compared"] is None
    assert {trial.source for trial in plain.trials.values() if trial.stage is Stage.CONFIRM} == {best[0]}


def test_nothing_is_chosen_by_the_holdout() -> None:
    ledger = searched("batch_size")
    winner = stages.winner(ledger)
    ledger.holdout = {name: (1e6 if ledger.trials[name].source == winner.id else 0.0, 0.0) for name in ledger.holdout}
    assert stages.winner(ledger) == winner


def test_what_is_among_the_best_anyway_is_not_trained_twice() -> None:
    packs = stages.confirmation(searched("batch_size", confirm=16))
    assert not packs, "all were confirmed"


def test_both_are_told() -> None:
    result = {**figures(searched("batch_size"), COUNTS), "sweep": "s"}
    for words in result["compared"]["words"]:
        assert f"- {words}" in summary("s", result)
    section = of_result(result)
    assert section
    (picture,) = section.pictures
    assert picture.head[0] == "batch size"
    assert [row[0] for row in picture.rows] == [str(one["value"]) for one in result["compared"]["values"]]
    assert of_result({**result, "compared": None}) is None
    assert of_result({key: value for key, value in result.items() if key != "compared"}) is None


def test_a_difference_that_seeds_explain_is_no_difference() -> None:
    clear = shift("batch_norm", [Variant("true", "t1", [(0.1, 0.5), (0.12, 0.6), (0.11, 0.55)]),
                                 Variant("false", "t2", [(0.2, 2.5), (0.21, 2.7), (0.2, 2.6)])])  # fmt: skip
    assert clear.sentences[0] == (
        "With batch norm true the loss rises from 0.110 on validation rows to 0.550 nats on the holdout "
        "(mean of 3 seeds)."
    )
    assert "batch norm true is 2.050 nats better than false (95% interval" in clear.sentences[2]
    assert clear.pictures[0].rows[1] == ("false", "t2", "3", "0.2033 ± 0.0058", "2.6000 ± 0.1000", "+2.3967")
    noisy = shift("batch_norm", [Variant("true", "t1", [(0.1, 0.5), (0.1, 3.0)]),
                                 Variant("false", "t2", [(0.2, 0.4), (0.2, 2.9)])])  # fmt: skip
    assert "batch norm false is 0.100 nats better than true, which may be chance" in noisy.sentences[2]
    single = shift("batch_norm", [Variant("true", "t1", [(0.1, 0.5)]), Variant("false", "t2", [(0.2, 0.4)])])
    assert "on one seed each" in single.sentences[2]


def test_welchs_interval_is_that_of_scipy() -> None:
    from scipy import stats

    a, b = [0.5, 0.6, 0.55, 0.7], [0.9, 1.4, 1.1]
    section = shift("x", [Variant("1", "t1", [(0.1, y) for y in a]), Variant("0", "t2", [(0.1, y) for y in b])])
    low, high = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert f"{low:+.3f} to {high:+.3f}" in section.sentences[2]


def test_the_picture_has_a_line_a_seed_and_one_for_the_mean() -> None:
    made = shift("batch_norm", [Variant("true", "t1", [(0.1, 0.5), (0.2, 0.7)]), Variant("false", "t2", [(0.2, 2.0)])])
    lines = [(trace.name, tuple(trace.y)) for trace in made.pictures[0].figure.data]
    assert lines == [
        (None, (0.1, 0.5)), (None, (0.2, 0.7)), ("batch norm true", pytest.approx((0.15, 0.6))),
        (None, (0.2, 2.0)), ("batch norm false", (0.2, 2.0)),
    ]  # fmt: skip
    assert made.pictures[0].figure.layout.yaxis.type == "log"


SPEC = "{{name: s, data: {{source: a.npz}}, model: {{batch_norm: {norm}}}, objective: {{{objective}}}}}"


def test_only_a_choice_that_is_searched_can_be_compared() -> None:
    assert parse(SPEC.format(norm="{choice: [true, false]}", objective="compare: batch_norm")).objective.compare
    for norm, objective, told in (
        ("true", "compare: batch_norm", r"searched as a choice \(batch_size, optimizer\)"),
        ("true", "compare: learning_rate", "searched as a choice"),
        ("{choice: [true, false]}", "compare: batch_norm, confirm: 0", "needs objective.confirm"),
    ):
        with pytest.raises(SpecError, match=f"objective.compare.*{told}"):
            parse(SPEC.format(norm=norm, objective=objective))


def test_the_example_trains_on_one_scanner_and_holds_out_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, SHIFT / "build.py"], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    monkeypatch.chdir(tmp_path)
    asked: Request = request(parse((SHIFT / "shift.yaml").read_text()))
    about = build(asked, tmp_path).description
    days = {part: {moment[:10] for moment in about["ranges"][part]} for part in ("train", "validation", "holdout")}
    assert days == {"train": {"2026-03-02"}, "validation": {"2026-03-02"}, "holdout": {"2026-03-03"}}
    assert about["rows"] == {"train": 928, "validation": 270, "holdout": 599}
    frame = pd.read_parquet("data/shift.parquet")
    pixels = [name for name in frame if name.startswith("p")]
    dark = frame.groupby(frame["scanned"].dt.date)[pixels].max().max(axis=1)
    assert dark.tolist() == [16, 8]


def test_adapting_to_the_same_rows_changes_nothing_and_undoes_a_change_of_scale() -> None:
    adapted = runpy.run_path(str(SHIFT / "adapt.py"))["adapted"]
    model = sweeps.classifier()
    X = torch.from_numpy(model.encoder.transform(sweeps.FRAME))
    own = model.inference.log_proba(X)[0]
    assert torch.allclose(adapted(model, X, X), own, atol=1e-5)
    assert not torch.allclose(model.inference.log_proba(X / 2)[0], own, atol=1e-2)
    assert torch.allclose(adapted(model, X, X / 2), own, atol=1e-4)
