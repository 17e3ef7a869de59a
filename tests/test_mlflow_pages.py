"""What a person sees of a finished sweep in MLflow, in Chromium: pictures of it are kept in screenshots/."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Window, chromium, window
from tests.conftest import Home
from tests.ports import free_port
from tuner.engine.tracking import views

pytestmark = pytest.mark.ray

SETS = (
    *("name=seen", "tracking.register=seen-model", "search.sampler=sobol", "search.trials=12"),
    *("stopping.asha.max_epochs=9", "objective.confirm=1", "objective.seeds=2"),
)
TRIALS = [f"t{number:04d}" for number in range(12)]
NAME, LOSS = "attributes.`Run Name`", "metrics.`val_loss`"


@pytest.fixture(scope="module")
def result(home: Home, digits: Path) -> dict[str, Any]:
    """A finished sweep of the spec that `caviar init` writes, as its command tells of it."""
    chromium()  # else the sweep would be for nothing
    (home.folder / "digits.npz").symlink_to(digits)
    home.caviar("init", "digits.npz")
    told: dict[str, Any] = home.answer("run", "digits.yaml", *(word for one in SETS for word in ("--set", one)))
    return told


@pytest.fixture(scope="module")
def seen(home: Home, result: dict[str, Any]) -> Iterator[tuple[Window, str]]:
    """A window on what `caviar ui` serves, and the path of the page that it names."""
    port = free_port()
    home.start("ui", result["sweep"], "--port", str(port))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not answers(port):
        time.sleep(0.2)
    named = re.search(rf"http://127.0.0.1:{port}(\S+)", (home.folder / "driver.log").read_text())
    assert named
    with window(f"http://127.0.0.1:{port}") as opened:
        yield opened, named[1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def experiment(path: str) -> str:
    """The path of the experiment in a path of its runs."""
    return path.split("/runs", maxsplit=1)[0]


def journal(home: Home, sweep: str) -> dict[str, list[float]]:
    """The validation losses of each trial, epoch by epoch."""
    curves: dict[str, list[float]] = {}
    for file in sorted((home.folder / f".caviar/storage/sweeps/{sweep}/journal").glob("*.json")):
        entry = json.loads(file.read_text())
        if entry["kind"] == "done":
            for trial, _, _, val_loss, *_ in entry["rows"]:
                curves.setdefault(trial, []).append(val_loss)
    return curves


def test_trials_lie_in_their_sweep_and_open_with_it(seen: tuple[Window, str], result: dict[str, Any]) -> None:
    shown, path = seen
    shown.open(f"{experiment(path)}/runs?workflowType=machine_learning", "runs", shows=".ag-row")
    assert shown.names() == [result["sweep"]]
    assert "seen (" in shown.rows()[0]["attributes.`Dataset`"]
    shown.page.locator(f".ag-row [col-id='{NAME}'] button").first.click()
    shown.page.get_by_text("t0000", exact=True).wait_for()
    shown.keep("nested")
    assert shown.names()[0] == result["sweep"]
    assert set(TRIALS) <= set(shown.names())


def test_the_page_that_caviar_ui_names_has_the_trials_best_first(
    seen: tuple[Window, str], result: dict[str, Any], home: Home
) -> None:
    shown, path = seen
    shown.open(path, "trials", shows=f"[row-index='11'] [col-id='{LOSS}']")
    lowest = {trial: min(losses) for trial, losses in journal(home, result["sweep"]).items() if trial in TRIALS}
    assert shown.names() == sorted(lowest, key=lambda trial: lowest[trial])
    first, best = shown.rows()[0], result["best"]
    assert float(first["metrics.`best_val_loss`"]) == best["val_loss"]
    assert first["params.`batch_size`"] == str(best["params"]["batch_size"])
    assert first["tags.`caviar.reason`"]
    columns = list(first)
    assert columns.index("params.`learning_rate`") < columns.index("params.`batch_size`"), "the most important first"
    assert "params.`bn_epsilon`" not in columns, "only what was searched"


def test_trials_sort_by_val_loss(seen: tuple[Window, str]) -> None:
    shown, path = seen
    shown.open(path, "trials", shows=f"[row-index='11'] [col-id='{LOSS}']")
    for ascending in (False, True):  # MLflow begins with the worst
        shown.page.locator(f"[role=columnheader][col-id='{LOSS}']").click()
        shown.page.wait_for_url(re.compile(f"metrics.%60val_loss%60.*orderByAsc={str(ascending).lower()}"))
        shown.settle()
        losses = [float(text) for text in shown.column(LOSS)]
        assert losses == sorted(losses, reverse=not ascending)
        assert len(losses) == len(TRIALS)
    shown.keep("sorted")


def test_learning_curves_and_parallel_coordinates(seen: tuple[Window, str], result: dict[str, Any], home: Home) -> None:
    shown, path = seen
    shown.open(f"{path}&compareRunsMode=CHART", "curves", shows=".js-plotly-plot")
    [lines] = shown.charts()
    drawn = {line["name"]: line["y"] for line in lines}
    assert drawn == {name: losses for name, losses in journal(home, result["sweep"]).items() if name in TRIALS}
    assert all(line["x"] == list(range(1, len(line["y"]) + 1)) for line in lines)
    shown.page.get_by_text("Parallel Coordinates").scroll_into_view_if_needed()
    shown.page.mouse.wheel(0, 500)
    shown.page.locator(".parcoords").first.wait_for()
    shown.settle()
    shown.keep("coordinates")
    labels = shown.page.locator(".parcoords .dimension .label").all_text_contents()
    assert labels[0] == "learning_rate"
    assert {"batch_size", "optimizer", "hidden_layers"} <= set(labels)
    assert labels[-1] == "best_val_loss"


def test_the_sweeps_own_page_has_summary_data_and_model(seen: tuple[Window, str], result: dict[str, Any]) -> None:
    shown, path = seen
    parent = f"{experiment(path)}/runs/{result['parent_run_id']}?workflowType=machine_learning"
    shown.open(parent, "sweep", shows="text=Logged models")
    text = shown.text()
    assert f"Winner: {result['best']['trial']}" in text
    assert result["verdict"] in text
    assert re.search(r"seen \([0-9a-f]{32}\)", text), "the data set, with its digest"
    assert re.search(r"Registered models\s+seen-model\s+v1", text)
    assert shown.page.locator("table").get_by_text("plain softmax regression").is_visible(), "tables are tables"


def test_the_registered_model_has_its_alias_and_what_was_measured(
    seen: tuple[Window, str], result: dict[str, Any]
) -> None:
    shown, _ = seen
    shown.open("/#/models/seen-model?workflowType=machine_learning", "model", shows="text=Version 1")
    text = shown.text()
    assert re.search(r"@\s*champion", text)
    assert f"holdout_loss\n: {result['holdout']['winner']['loss']}" in text


def test_of_many_sweeps_the_newest_keep_their_views() -> None:
    spread = views.Spread()
    for rate in (0.1, 0.2):
        spread.add({"learning_rate": rate})
    made = {
        f"{views.PREFIX}{views.key_of(f's{day}')}": views.of_sweep(f"s{day}", day, "val_loss", spread)
        for day in range(25)
    }
    theirs = {f"{views.PREFIX}somebody's": "not of this form", "mlflow.note.content": "about"}
    assert views.outdated({**theirs, **made}) == [f"{views.PREFIX}caviar-s{day}" for day in range(5)]


def test_what_a_trial_may_lack_is_no_coordinate() -> None:
    spread = views.Spread()
    spread.add({"learning_rate": 0.1, "optimizer": "adam", "epsilon": 1e-8})
    spread.add({"learning_rate": 0.2, "optimizer": "momentum", "momentum": 0.9})
    spread.add({"learning_rate": 0.2, "optimizer": "momentum", "momentum": 0.99})
    assert spread.searched == ["learning_rate", "optimizer", "momentum"]
    assert spread.everywhere == ["learning_rate", "optimizer"]
    spread.add({"learning_rate": 0.3, "hidden_units": 64, "optimizer": "adam", "epsilon": 1e-8})
    spread.add({"learning_rate": 0.3, "hidden_units": 32, "optimizer": "adam", "epsilon": 1e-8})
    assert spread.searched == ["learning_rate", "hidden_units", "optimizer", "momentum"], "the most important first"
