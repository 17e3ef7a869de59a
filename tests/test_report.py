"""What the report of a sweep says: its figures are the sweep's own, whatever became of it."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from plotly.offline import get_plotlyjs

from models.classifier import Classifier
from tests import finished
from tests.finished import begun, data, driven, made_up, place, told
from tuner.cli.report import report as command
from tuner.data.snapshot import Snapshot
from tuner.engine import accounting, examination, examined
from tuner.engine.account import Account
from tuner.engine.journal import Journal
from tuner.engine.sweep import load
from tuner.engine.tracking import publisher
from tuner.review import fates
from tuner.review.measure import counted
from tuner.review.parts import Picture, Section
from tuner.review.report import SECTIONS, report
from tuner.review.style import label
from tuner.trial import Stage, State

PLOTLY = get_plotlyjs()
BATCH_NORM = {**finished.QUICK["model"], "batch_norm": {"choice": [True, False]}}
EVIL = ("<b>late</b>", "</script><script>alert(1)</script>", "a & b")
MANY = tuple(f"class {number}" for number in range(40))
Make = Callable[..., Account]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """A sweep that was really trained."""
    where = place(tmp_path_factory.mktemp("real"))
    return told(where, begun(where, data(where.home)))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The account of a sweep with made-up losses, from sections of a spec, `losses`, `packs`, `classes`, `rows`."""

    def made(**changed: Any) -> Account:
        where = place(tmp_path)
        rows = data(tmp_path, changed.pop("classes", ("early", "late", "never")), changed.pop("rows", 240))
        losses, packs = changed.pop("losses", made_up), changed.pop("packs", None)
        return told(where, begun(where, rows, **changed), losses, packs)

    return made


def sections(account: Account) -> list[Section]:
    return [section for section in (make(account) for make in SECTIONS) if section]


def pictures(account: Account) -> dict[str, Picture]:
    return {picture.title: picture for section in sections(account) for picture in section.pictures}


def measured(loss: float) -> str:
    """As the page writes a loss."""
    return f"{loss:.4f}" if math.isfinite(loss) else "diverged"


def words(account: Account) -> str:
    """What stands on the page."""
    return plain(report(account).replace(PLOTLY, ""))


def plain(page: str) -> str:
    """The words of a page without Plotly."""
    return html.unescape(re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


SWEEPS: dict[str, dict[str, Any]] = {
    "running": {"packs": 2, "search": {"sampler": "random", "trials": 16, "seed": 0}},
    "nothing yet": {"packs": 0},
    "all diverged": {"losses": lambda *_: math.nan},
    "one trial": {"search": {"sampler": "random", "trials": 1, "seed": 0}, "stopping": "none"},
    "nothing stopped": {"stopping": {"none": {"max_epochs": 12}}, "model": BATCH_NORM},
    "accuracy": {
        "objective": {"metric": "val_accuracy", "confirm": 2, "seeds": 1, "baseline": False},
        "model": BATCH_NORM,
        "search": {"sampler": "random", "trials": 18, "seed": 0},
    },
    "coarse to fine": {"search": {"sampler": "coarse_to_fine", "trials": 24, "seed": 0}, "model": BATCH_NORM},
    "many classes": {"classes": MANY, "rows": 1200},
    "evil names": {"classes": EVIL},
}


@pytest.mark.parametrize("name", SWEEPS)
def test_whatever_became_of_a_sweep_its_pictures_are_told_in_words_and_numbers(make: Make, name: str) -> None:
    account = make(**SWEEPS[name])
    page = report(account).replace(PLOTLY, "")
    figures = re.findall(r"<figure>(.*?)</figure>", page, flags=re.DOTALL)
    assert (name == "nothing yet") == (not figures)
    for figure in figures:
        (text,) = re.findall(r"<figcaption.*?>(.*?)</figcaption>", figure, flags=re.DOTALL)
        text = plain(text).strip()
        assert len(text) > 30, figure[:200]
        assert text.endswith("."), text
        head, *rows = re.findall(r"<tr>(.*?)</tr>", figure)
        assert rows, text
        assert {row.count("<td") for row in rows} == {head.count("<th")}, text
    told = plain(page)
    assert not {"nan", "inf", "nan%", "inf%"} & set(told.lower().split())
    assert ("The sweep is running" in told) == (name in ("running", "nothing yet"))
    assert ("The winner, and how sure we are" in told) == (account.status == "finished")


def test_the_winner_is_told_with_what_fresh_seeds_make_of_it(real: Account) -> None:
    best = real.figures["best"]
    seeds = real.confirmations[best["trial"]]
    page = words(real)
    assert f"On 2 fresh seeds the same configuration comes to {fmean(seeds):.4f} ± {stdev(seeds):.4f}" in page
    gap = fmean(seeds) - best["val_loss"]
    assert f"{abs(gap):.4f} nats {'worse' if gap > 0 else 'better'} than the search score" in page
    assert real.figures["verdict"] in page
    (row, *_) = pictures(real)["Search score and fresh seeds"].rows
    assert row[:3] == (best["trial"], f"{best['val_loss']:.4f}", f"{fmean(seeds):.4f}")


def test_rungs_are_counted_as_the_journal_has_them(real: Account) -> None:
    searched = [one for one in real.trials if one.trial.stage is Stage.SEARCH]
    rows = {row[0]: row for row in pictures(real)["Where trials fell"].rows}
    assert [rows[name][1] for name in rows] == ["8", "4", "2"]
    assert [row[2] for row in rows.values()] == ["4", "2", "0"]  # who went on
    assert [row[3] for row in rows.values()] == ["4", "2", "0"]  # who was stopped
    stopped = next(one for one in searched if len(one.rows) == 1)
    trained_as_long_as_was_asked_then = replace(stopped, state=State.FINISHED)  # and the sweep was extended since
    assert fates.fate(trained_as_long_as_was_asked_then, 1, real) == "stopped"
    spent = pictures(real)["Time and epochs spent"].rows
    assert sum(int(row[1]) for row in spent) == real.figures["epochs"]
    search = [row for row in spent if row[0].startswith("search")]
    assert [int(row[1]) for row in search] == [8, 4, 4]
    assert sum(len(one.rows) for one in searched) == 16


def test_with_and_without_batch_norm_are_compared_after_equal_epochs(make: Make) -> None:
    account = make(model=BATCH_NORM, search={"sampler": "random", "trials": 18, "seed": 0})
    picture = pictures(account)["batch norm"]
    assert [view.name for view in picture.views] == ["1 epoch", "2 epochs", "4 epochs"]
    asked = [
        (epochs, view, value) for epochs, view in zip((1, 2, 4), picture.views, strict=True) for value in (True, False)
    ]
    for (epochs, view, value), cells in zip(asked, picture.rows, strict=True):
        found = [
            t.after[epochs] for t in account.trials if epochs in t.after and t.trial.params.get("batch_norm") is value
        ]
        assert list(cells[:3]) == [view.name, str(value).lower(), str(len(found))]
        if found:
            assert cells[3] == measured(median(found))
            assert f"{measured(median(found))} with {str(value).lower()} ({counted(len(found), 'trial')})" in view.text
    without = [t for t in account.trials if t.trial.stage is Stage.SEARCH and "batch_norm" not in t.trial.params]
    assert f"{len(without)} trials did not have it" in picture.text
    boxes = [trace for trace in picture.figure.data if trace.type == "box"]
    assert [box.name for box in boxes if box.visible] == ["true", "false"]
    assert [trace.visible for trace in picture.figure.data] == picture.views[0].shown
    shown = np.array([view.shown for view in picture.views])  # each shows what it owns, and together all, once
    assert shown.sum(axis=0).tolist() == [1] * len(picture.figure.data)


def test_quarters_of_a_scale_are_told_after_each_rung(make: Make) -> None:
    account = make(search={"sampler": "random", "trials": 18, "seed": 0})
    picture = pictures(account)["learning rate"]
    for view, epochs in zip(picture.views, (1, 2, 4), strict=True):
        scores = [one.after[epochs] for one in account.trials if epochs in one.after]
        rows = [row for row in picture.rows if row[0] == view.name]
        assert len(rows) == 4
        assert sum(int(row[2]) for row in rows) == len(scores)
        assert min(row[4] for row in rows if row[4]) == measured(min(scores))
        assert f"after {view.name}" in view.text


def test_a_box_of_accuracies_has_its_quartiles_in_order(make: Make) -> None:
    picture = pictures(make(**SWEEPS["accuracy"]))["batch norm"]
    boxes = [trace for trace in picture.figure.data if trace.type == "box"]
    assert boxes
    for box in boxes:
        ends = [*box.lowerfence, *box.q1, *box.median, *box.q3, *box.upperfence]
        assert ends == sorted(ends)
        assert ends[0] < ends[-1]


def test_one_fresh_seed_has_no_deviation(make: Make) -> None:
    page = words(make(**SWEEPS["accuracy"]))
    assert "On 1 fresh seed the same configuration comes to" in page
    assert "one seed does not show how far seeds differ, so this says nothing about luck." in page
    assert "±" not in page
    assert "Bars are one standard deviation" not in page


def test_a_loss_lies_on_the_scale_of_its_hyperparameter(make: Make) -> None:
    account = make()
    picture = pictures(account)["learning rate"]
    points = {
        x: told for trace in picture.figure.data if trace.visible for x, told in zip(trace.x, trace.text, strict=True)
    }
    for one in account.trials:
        if one.after and one.trial.stage is Stage.SEARCH:
            at = (math.log10(float(one.trial.params["learning_rate"])) + 3) / 3  # from 0.001 to 1
            assert one.trial.id in points[min(points, key=lambda x: abs(x - at))]
    assert list(picture.figure.layout.xaxis.ticktext) == ["0.001", "0.01", "0.1", "1"]
    assert list(picture.figure.layout.xaxis.tickvals) == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_model_is_judged_on_rows_that_are_named(real: Account) -> None:
    found = real.examined
    assert found is not None
    assert found.part == "holdout"
    right = float((found.probabilities.argmax(axis=1) == found.labels).mean())
    assert right == pytest.approx(real.figures["holdout"]["winner"]["accuracy"])
    assert "neither the search nor the exported model has seen" in words(real)
    assert f"({right:.1%})" in pictures(real)["Which class is taken for which"].text


def test_without_a_holdout_it_is_judged_on_rows_that_it_has_seen(tmp_path: Path) -> None:
    where = place(tmp_path)
    account = told(where, begun(where, data(tmp_path)), made_up)
    sweep = where.sweep("made-1")
    snapshot = Snapshot.open(where.snapshots / account.data["digest"])
    end = snapshot.splits["validation"].stop
    model = Classifier.load(Path(sweep.path("model")))
    found = examination.examine(model, replace(snapshot, splits={**snapshot.splits, "holdout": slice(end, end)}))
    assert (found.part, found.rows) == ("validation", 60)
    unmeasured = {**account.figures, "holdout": dict.fromkeys(account.figures["holdout"])}
    page = words(replace(account, examined=found, figures=unmeasured))
    assert (
        "On the 60 rows of validation, for there is no holdout. The exported model was refitted on these rows" in page
    )
    assert "On rows that the search never saw" not in page


def test_many_classes_are_drawn_as_few_and_counted_all(make: Make) -> None:
    account = make(classes=MANY, rows=1200)
    found = account.examined
    assert found is not None
    right = int((found.probabilities.argmax(axis=1) == found.labels).sum())
    shown = pictures(account)
    assert shown["Which class is taken for which"].text.startswith(f"{right} of 300 rows are right")
    assert len(shown["Which class is taken for which"].figure.data[0].z) == 25
    assert len(shown["Each class"].rows) == 24


def test_a_linear_model_has_the_regions_that_its_lines_say(make: Make) -> None:
    plane = make().examined.plane  # type: ignore[union-attr]
    assert plane is not None
    assert plane.lines is not None
    x, y = np.meshgrid(plane.x, plane.y)
    scores = np.stack([a * x + b * y + c for a, b, c in plane.lines])
    assert (scores.argmax(axis=0) == plane.regions).mean() > 0.999


def test_a_network_has_no_lines_and_its_plane_holds_its_share(real: Account) -> None:
    plane = real.examined.plane  # type: ignore[union-attr]
    assert plane is not None
    linear = not real.figures["best"]["params"]["hidden_layers"]
    assert (plane.lines is not None) == linear
    assert 0 < plane.shares[1] <= plane.shares[0] < 1
    assert {name for loaded in plane.loadings for name, _ in loaded} <= {
        *("depart", "arrive", "noise <b>", "more"),
        *("carrier=AA", "carrier=UA", "carrier:other", "carrier=other"),
    }


def test_rounds_are_told_with_their_boxes_and_reasons(make: Make) -> None:
    account = make(search={"sampler": "coarse_to_fine", "trials": 18, "seed": 0})
    (section,) = [one for one in sections(account) if one.title == "From coarse to fine"]
    assert len(section.pictures) == 3
    for one in account.rounds:
        assert f"Round {one['round']}: {len(one['trials'])} trials; {one['reason']}." in section.sentences
        for name, part in one["box"].items():
            assert any(row[0] == str(one["round"]) and row[1] == name.replace("_", " ") and row[3] == part["reason"]
                       for row in section.rows)  # fmt: skip
    drawn = [trace for trace in section.pictures[0].figure.data if trace.mode == "lines"]
    widths = [max(line.x) - min(line.x) for line in drawn]
    assert len(widths) == len(account.rounds)
    assert widths[-1] < widths[0]


def test_a_thousand_trials_stay_a_page_and_more_are_drawn_in_part(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {"sampler": "random", "trials": 1000, "seed": 0}
    account = make(search=many, stopping={"none": {"max_epochs": 30}})
    page = report(account)
    assert len(page) - len(PLOTLY) < 1_500_000
    curve = pictures(account)["Validation curves by rung"]
    assert sum(x is not None for trace in curve.figure.data for x in trace.x) < 25_000
    assert "at most about 20 epochs are drawn: the first, the last" in curve.text
    monkeypatch.setattr(fates, "MOST", 100)
    few = pictures(account)["Validation curves by rung"]
    assert "Of 1,000 trials 100 are drawn, the best 10 and others evenly; all are counted." in few.text
    names = {name for trace in few.figure.data if trace.text for name in trace.text}
    ranked = sorted(account.trials, key=lambda one: one.score if one.trial.stage is Stage.SEARCH else math.inf)
    assert len(names) == 100
    assert {one.trial.id for one in ranked[:10]} <= names


def test_names_from_the_data_are_text(make: Make) -> None:
    page = report(make(classes=EVIL))
    own = page.replace(PLOTLY, "")
    assert "<b>late" not in own
    assert "<script>alert" not in own
    assert "&lt;b&gt;late&lt;/b&gt;" in own
    assert label(EVIL[0]) in json.loads(next(_drawings(own, "what the model says")))["layout"]["xaxis"]["ticktext"]


def test_the_page_loads_nothing_and_is_the_same_again(real: Account) -> None:
    page = report(real)
    own = page.replace(PLOTLY, "")
    assert page.count(PLOTLY) == 1
    assert not re.search(r"(src|href)=|@import|url\(", own)
    assert "default-src 'none'" in own
    assert report(real) == page


def test_a_report_is_left_and_published_with_its_sweep(tmp_path: Path) -> None:
    where = place(tmp_path)
    sweep_id = begun(where, data(tmp_path))
    sweep, uri = where.sweep(sweep_id), f"sqlite:///{tmp_path}/mlflow.db"
    spec, history = driven(where, sweep_id, made_up)
    accounting.write_report(sweep, spec, history, lambda account: f"<p>{account.sweep}</p>")
    history.write("ended", status="finished", reason="")
    assert sweep.read("report.html") == b"<p>made-1</p>"
    assert history.unreported is None
    assert publisher.publish(sweep.uri, uri)
    client = MlflowClient(uri, uri)
    run = json.loads(sweep.read("tracking.json"))["parent_run_id"]
    kept = client.download_artifacts(run, "report.html", str(tmp_path))
    assert Path(kept).read_text() == "<p>made-1</p>"


def test_a_report_that_fails_is_a_note(tmp_path: Path) -> None:
    where = place(tmp_path)
    sweep_id = begun(where, data(tmp_path))
    spec, history = driven(where, sweep_id, made_up)

    def broken(_: Account) -> str:
        raise ZeroDivisionError("no ink")

    accounting.write_report(where.sweep(sweep_id), spec, history, broken)
    assert history.unreported == "ZeroDivisionError: no ink"
    assert [entry["kind"] for _, entry in Journal(where.sweep(sweep_id)).entries()][-2:] == ["result", "report"]
    _, _, again = load(where.sweep(sweep_id))
    assert again.unreported == "ZeroDivisionError: no ink"
    assert again.concluded


def test_an_examination_that_fails_is_told_and_keeps_the_model(tmp_path: Path) -> None:
    where = place(tmp_path)
    driven(where, begun(where, data(tmp_path)), made_up)
    sweep = where.sweep("made-1")
    snapshot = Snapshot.open(where.snapshots / Journal(sweep).read(1)["snapshot"]["digest"])
    examined.leave(sweep, Classifier.load(Path(sweep.path("model"))), replace(snapshot, directory=tmp_path / "gone"))
    spec, _, history = load(sweep)
    account = accounting.account(sweep, spec, history, "finished")
    assert account.examined is None
    assert "The model could not be examined: FileNotFoundError" in words(account)
    sweep.remove(examined.NAME)
    assert "There is no exported model" in words(accounting.account(sweep, spec, history, "finished"))


class TestCommand:
    def test_a_sweep_is_found_by_its_name(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        where = place(tmp_path)
        driven(where, begun(where, data(tmp_path)), made_up, packs=1)
        command("made", out=None, retune=None, storage=str(where.storage.uri), as_json=True)
        answer = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert answer == {"subject": "made-1", "path": where.sweep("made-1").path("report.html")}
        assert Path(answer["path"]).read_text().count("made-1") >= 1
        command("made", out=tmp_path / "own.html", retune=None, storage=str(where.storage.uri), as_json=False)
        assert (tmp_path / "own.html").read_text().startswith("<!DOCTYPE html>")


def _drawings(page: str, title: str) -> Iterator[str]:
    """The figures that have `title` in them."""
    for found in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, flags=re.DOTALL):
        if title in found:
            yield found
