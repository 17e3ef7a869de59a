"""What people see of a period: its run in MLflow, its page, the table, and the notification."""

from __future__ import annotations

import io
import json
import math
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from plotly.offline import get_plotlyjs
from rich.console import Console

from tuner.engine.tracking.period_run import log_period
from tuner.retune import gate, history, notify
from tuner.retune.judgement import Contenders, Rule
from tuner.retune.review import describe
from tuner.retune.states import Period, State

MODEL = "flight delays"
EVIL = '<img src=x onerror="alert(1)"> | `x`</script>'
PLOTLY = get_plotlyjs()


def judged(gain: float = 0.1, seed: int = 0) -> dict[str, Any]:
    """A real judgement of 1,200 rows in 12 days, two classes and one named column."""
    rng, rows = np.random.default_rng(seed), 1200
    champion = rng.gamma(4, 0.25, rows)
    noise = rng.normal(0, 0.02, (2, rows))
    losses = {
        "champion": champion,
        "retrained": champion - gain / 2 + noise[0],
        "challenger": champion - gain + noise[1],
    }
    hits = {name: rng.random(rows) < 0.6 for name in losses}
    y, days = rng.integers(0, 2, rows), np.repeat(np.arange(12), 100)
    origin = [EVIL if place % 3 else "JFK" for place in range(rows)]
    contenders = Contenders(y, ["late", "on time"], losses, hits, days, {"origin": origin})
    return gate.judge(contenders, Rule(), seed=0).to_json()


def drift(shifted: int = 1, columns: int = 3) -> dict[str, Any]:
    found = [
        {
            "name": [EVIL, "temp", "delay"][place] if place < 3 else f"column {place}",
            "kind": "number",
            "role": "label" if place == 2 else "feature",
            "test": "kolmogorov-smirnov",
            "statistic": 0.3 / (place + 1),
            "effect": 0.3 / (place + 1),
            "p": 0.0001,
            "q": 0.0003,
            "shifted": place < shifted,
        }
        for place in range(columns)
    ]
    return {
        "columns": found,
        "auc": 0.71,
        "p": 0.001,
        "auc_top": ["temp"],
        "drifted": True,
        "reason": "temp has shifted",
    }


def period(name: str = "2013-04-01", state: State = State.PENDING_APPROVAL, **data: Any) -> Period:
    at = datetime.fromisoformat(name).replace(tzinfo=UTC)
    facts = {
        "digest": "d" * 64,
        "rows": {"train": 5000, "validation": 800, "holdout": 1200},
        "ranges": {
            "train": ["2013-01-01", "2013-03-10"],
            "validation": ["2013-03-10", "2013-03-17"],
            "holdout": ["2013-03-17", "2013-03-31"],
        },
    }
    known = {
        "champion": {"version": "3", "params": {}, "period": "2013-03-01"},
        "facts": facts,
        "drift": drift(),
        "tuning": {"sweep": "delays-1", "run_id": "0" * 32, "figures": {"spent": "8 trials, 80 epochs"}},
        "candidate": {"version": "4"},
        "evaluation": judged(),
    }
    return Period(MODEL, name, at, state, "The challenger is surely better.", 1, at, {**known, **data})


def held(name: str = "2013-05-01") -> Period:
    at = datetime.fromisoformat(name).replace(tzinfo=UTC)
    return Period(
        MODEL, name, at, State.HELD_DATA, "there must be 100 rows, and there are 3", 1, at, {"champion": None}
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    return SimpleNamespace(uri=uri, client=MlflowClient(uri, uri))


def runs(store: SimpleNamespace, name: str) -> list[Any]:
    experiment = store.client.get_experiment_by_name(f"{MODEL}/re-tuning")
    return [run for run in store.client.search_runs([experiment.experiment_id]) if run.info.run_name == name]


class TestRun:
    def test_a_period_is_one_run_that_follows_its_state(self, store: SimpleNamespace) -> None:
        pending = period()
        run_id = log_period(store.uri, describe(pending))
        first = store.client.get_run(run_id)
        assert (first.info.run_name, first.info.status) == ("2013-04-01", "SCHEDULED")
        later = replace(
            pending,
            state=State.PROMOTED,
            reason="approved",
            updated=datetime(2013, 4, 2, tzinfo=UTC),
            data={**pending.data, "promotion": {"from": "3", "to": "4"}},
        )
        assert log_period(store.uri, describe(later)) == run_id
        (run,) = runs(store, "2013-04-01")
        assert run.info.status == "FINISHED"
        assert run.info.end_time == datetime(2013, 4, 2, tzinfo=UTC).timestamp() * 1000
        tags = {name: run.data.tags[f"caviar.{name}"] for name in ("model", "period", "state", "verdict", "reason")}
        assert list(tags.values()) == [MODEL, "2013-04-01", "promoted", "blessed", "approved"]
        assert "version 3 before, version 4 after the promotion." in run.data.tags["mlflow.note.content"]
        back = replace(later, state=State.ROLLED_BACK, reason="ann rolled back from version 4 to version 3")
        run = store.client.get_run(log_period(store.uri, describe(back)))
        assert "after the promotion, version 3 again after the roll back." in run.data.tags["mlflow.note.content"]
        assert "version 3 again after the roll back" in describe(back).message

    def test_its_figures_are_the_judgements(self, store: SimpleNamespace) -> None:
        run = store.client.get_run(log_period(store.uri, describe(period())))
        found, metrics = period().data["evaluation"], run.data.metrics
        for name in ("champion", "retrained", "challenger"):
            assert metrics[f"loss_{name}"] == pytest.approx(found["losses"][name]["mean"])
            assert metrics[f"loss_{name}_low"] < metrics[f"loss_{name}"] < metrics[f"loss_{name}_high"]
        assert metrics["gain_total"] == pytest.approx(metrics["gain_fresh_data"] + metrics["gain_tuning"])
        assert (metrics["drift_auc"], metrics["columns_shifted"]) == (0.71, 1)
        assert run.data.params["window"] == "2013-01-01 to 2013-03-17"
        assert (run.data.params["champion_version"], run.data.params["challenger_version"]) == ("3", "4")
        assert run.data.params["sweep"] == "delays-1"

    def test_its_files_can_be_read_back(self, store: SimpleNamespace, tmp_path: Path) -> None:
        run_id = log_period(store.uri, describe(period()))
        names = {file.path for file in store.client.list_artifacts(run_id)}
        assert names == {"drift.json", "judgement.json", "review.html"}
        kept = Path(store.client.download_artifacts(run_id, "judgement.json", str(tmp_path)))
        assert json.loads(kept.read_text()) == period().data["evaluation"]

    def test_saying_the_same_again_adds_nothing(self, store: SimpleNamespace) -> None:
        run_id = log_period(store.uri, describe(period("2013-07-01")))
        again = replace(period("2013-07-01"), updated=datetime(2013, 7, 3, tzinfo=UTC))
        assert log_period(store.uri, describe(again)) == run_id
        assert len(store.client.get_metric_history(run_id, "loss_champion")) == 1

    def test_a_run_that_was_begun_before_a_kill_is_gone_on_with(self, store: SimpleNamespace) -> None:
        log_period(store.uri, describe(held("2013-08-01")))  # so that there is an experiment
        experiment = store.client.get_experiment_by_name(f"{MODEL}/re-tuning").experiment_id
        tags = {"caviar.model": MODEL, "caviar.period": "2013-09-01"}
        begun = [store.client.create_run(experiment, tags=tags, run_name="2013-09-01").info.run_id for _ in range(2)]
        run_id = log_period(store.uri, describe(period("2013-09-01", State.REJECTED)))
        assert run_id in begun
        (run,) = runs(store, "2013-09-01")  # the other one, of a request that was answered too late, is gone
        assert run.info.run_id == run_id

    def test_what_was_held_and_came_later_says_so(self, store: SimpleNamespace) -> None:
        held_back = replace(held(), data={"facts": period().data["facts"], "trouble": "the database is away"})
        run_id = log_period(store.uri, describe(held_back))
        run = store.client.get_run(run_id)
        assert run.data.tags["caviar.trouble"] == "the database is away"
        assert "window" not in run.data.params  # the next delivery has another one, and a parameter stays
        done = period("2013-05-01", State.PROMOTED)
        assert log_period(store.uri, describe(done)) == run_id
        run = store.client.get_run(run_id)
        assert "caviar.trouble" not in run.data.tags
        assert run.data.params["window"] == "2013-01-01 to 2013-03-17"

    def test_a_parameter_keeps_its_first_value(self, store: SimpleNamespace) -> None:
        run_id = log_period(store.uri, describe(period("2013-10-01")))
        other = period("2013-10-01", State.PROMOTED, candidate={"version": "9"})
        assert log_period(store.uri, describe(other)) == run_id
        run = store.client.get_run(run_id)
        assert (run.data.params["challenger_version"], run.data.tags["caviar.state"]) == ("4", "promoted")

    def test_an_mlflow_that_is_away_is_told_in_one_sentence(self, dead: int) -> None:
        with pytest.raises(OSError, match=f"nothing answers at http://127.0.0.1:{dead}: start MLflow there") as told:
            log_period(f"http://127.0.0.1:{dead}", describe(held()))
        assert "\n" not in str(told.value)

    def test_a_deleted_experiment_is_told(self, store: SimpleNamespace) -> None:
        gone = replace(held(), model="deleted")
        log_period(store.uri, describe(gone))
        store.client.delete_experiment(store.client.get_experiment_by_name("deleted/re-tuning").experiment_id)
        with pytest.raises(OSError, match="'deleted/re-tuning' was deleted"):
            log_period(store.uri, describe(gone))


class TestDescription:
    def test_words_say_verdict_losses_gains_drift_slices_and_sweep(self) -> None:
        text = describe(period()).markdown
        loss = period().data["evaluation"]["losses"]["challenger"]
        assert f"| challenger (version 4) | {loss['mean']:.4f} | {loss['low']:.4f} to {loss['high']:.4f} |" in text
        for part in ("(verdict: blessed)", "fresh data", "both together", "temp has shifted", "origin = JFK"):
            assert part in text
        assert f"[the sweep delays-1](#/runs/{'0' * 32})" in text

    def test_names_from_the_data_are_no_markup(self) -> None:
        told = describe(period())
        page = told.files["review.html"]
        assert "<img" not in told.markdown.replace("\\<img", "")
        assert "\\|" in told.markdown
        assert "<img" not in page[page.index("</style>") :].replace(PLOTLY, "")

    def test_hundreds_of_columns_fit_what_mlflow_takes(self) -> None:
        wide = describe(period(drift=drift(300, 600)))
        assert len(wide.markdown) <= 5000
        assert "590 more" in wide.markdown
        long = [{**column, "name": "n" * 500} for column in drift()["columns"] * 4]
        cut = describe(period(drift={**drift(), "columns": long})).markdown
        assert len(cut) <= 5000
        assert cut.endswith("more is on the page review.html among the artifacts")
        assert wide.files["review.html"].count("column 599") >= 1

    @pytest.mark.parametrize("state", State)
    def test_every_state_can_be_described_with_whatever_is_there(self, state: State) -> None:
        bare = replace(held(), state=state, reason="", data={})
        for data in (
            {},
            {"drift": {"reason": "no champion"}, "champion_loss": {"loss": 1.1, "accuracy": 0.5}},
            {"drift": None, "champion": None, "evaluation": None, "trouble": None, "retrained": {"reason": "none"}},
        ):
            told = describe(replace(bare, data=data), [bare])
            assert told.markdown.startswith("### flight delays, period 2013-05-01")
            assert told.message
            assert all(math.isfinite(value) for value in told.metrics.values())

    def test_a_first_period_has_no_champion_and_open_ends_are_said(self) -> None:
        losses = {"challenger": {"mean": 1.0, "low": 0.9, "high": None, "accuracy": None}}
        first = {
            "verdict": "blessed",
            "best": "challenger",
            "reason": "ok",
            "rows": 9,
            "losses": losses,
            "gains": {},
            "slices": [],
        }
        told = describe(period(evaluation=first, champion=None, retrained={"reason": "there is no champion"}))
        assert "| 1.0000 | 0.9000 to open |" in told.markdown
        assert "loss_challenger_high" not in told.metrics

    def test_the_page_needs_no_network_and_says_what_its_pictures_show(self) -> None:
        before = period("2013-03-01", State.PROMOTED, evaluation=judged(0.2, 1))
        page = describe(period(), [before]).files["review.html"]
        own = page.replace(PLOTLY, "")
        assert page.count(PLOTLY) == 1
        assert "src=" not in own.replace("src=x", "")
        assert "href=" not in own
        assert own.count("<figcaption>") == own.count("<figure>") == 3
        assert "a model was promoted in 2013-03-01" in own
        assert describe(period(), [before]).files["review.html"] == page


class TestHistory:
    def test_rows_are_plain_values(self) -> None:
        found = json.loads(json.dumps(history.rows([period(run_id="r1"), held()])))
        assert [row["verdict"] for row in found] == ["blessed", "held_data"]
        assert list(found[0]) == ["period", "state", "verdict", "reason", "losses", "run_id"]
        assert found[0]["losses"]["retrained"]["mean"] == period().data["evaluation"]["losses"]["retrained"]["mean"]
        assert (found[1]["losses"], found[1]["run_id"]) == ({}, None)

    def test_the_table_fits_80_columns(self) -> None:
        out = Console(file=io.StringIO(), width=80)
        out.print(history.table([period(), held(), replace(period("2013-06-01", State.REJECTED), reason="w " * 200)]))
        text = out.file.getvalue()  # type: ignore[attr-defined]
        loss = period().data["evaluation"]["losses"]["champion"]["mean"]
        for part in (
            "pending approval",
            "held data",
            f"{loss:.4f}",
            "1 of 3",
            "rejected (blessed)",
            "there must be 100 rows, and there are 3",
        ):
            assert part in text
        assert "…" in text

    def test_a_long_reason_ends_with_a_sentence_if_it_can(self) -> None:
        assert history.shortened("One is better. " + "word " * 40, 36) == "One is better."
        assert history.shortened("word " * 40, 12) == "word word …"
        assert history.shortened("short") == "short"


@pytest.fixture
def dead() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def hook() -> Iterator[SimpleNamespace]:
    """A web hook; it refuses whatever is sent to /refuse."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append({"path": self.path, "token": self.headers.get("X-Token"), **body})
            self.send_response(500 if self.path.startswith("/refuse") else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield SimpleNamespace(at=f"127.0.0.1:{server.server_address[1]}", received=received)
    server.shutdown()
    server.server_close()


class TestNotify:
    def test_a_verdict_arrives_and_secrets_come_from_the_environment(
        self, hook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOOK_TOKEN", "s3cr3t-token")
        done = period(state=State.PROMOTED)
        assert notify.notify([f"json://{hook.at}/hooks?+X-Token=${{HOOK_TOKEN}}"], done, describe(done).message) == []
        (sent,) = hook.received
        assert (sent["title"], sent["type"]) == ("flight delays 2013-04-01: promoted", "success")
        assert "challenger: loss" in sent["message"]
        assert (sent["path"], sent["token"]) == ("/hooks", "s3cr3t-token")

    def test_what_fails_is_told_without_secrets_and_stops_nobody(
        self, hook: SimpleNamespace, dead: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("HOOK", f"json://user:p4ssw0rd@{hook.at}/refuse/T0PSECRET")
        monkeypatch.delenv("ABSENT", raising=False)
        addresses = [
            f"json://name:hidden@127.0.0.1:{dead}/T0PSECRET",
            "${HOOK}",
            "slack://${ABSENT}/x",
            "jsno://T0PSECRET@nowhere",
            "T0PSECRET",
            f"json://{hook.at}/good",
        ]
        failures = notify.notify(addresses, period(), "text")
        expected = [
            ("address 1 of 6 (json://***)", "Connection error"),
            ("address 2 of 6 (${HOOK})", "error=500"),
            ("address 3 of 6 (slack://***)", "set ABSENT"),
            ("address 4 of 6 (jsno://***)", "no address that Apprise can read"),
            ("address 5 of 6 (***)", "no address that Apprise can read"),
        ]
        assert len(failures) == len(expected)
        for failure, parts in zip(failures, expected, strict=True):
            assert all(part in failure for part in parts), failure
            assert not any(secret in failure for secret in ("T0PSECRET", "p4ssw0rd", "hidden", "127.0.0.1"))
        assert {sent["path"] for sent in hook.received} == {"/refuse/T0PSECRET", "/good"}
        assert capfd.readouterr() == ("", "")

    def test_a_server_that_never_ends_its_answer_holds_nothing_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notify, "DEADLINE_SECONDS", 0.5)
        with socket.create_server(("127.0.0.1", 0)) as server:  # it takes the connection, and says nothing
            (failure,) = notify.notify([f"json://127.0.0.1:{server.getsockname()[1]}"], period(), "text")
        assert "no answer within" in failure

    def test_apprise_echoes_no_part_of_an_address(self) -> None:
        told = "Failed: https://api.example.org/botT0PSECRET/send by al with p%40ss and p@ss"
        hidden = notify._hidden(told, "tgram://al:p%40ss@T0PSECRET/")
        assert not any(secret in hidden for secret in ("T0PSECRET", " al ", "p%40ss", "p@ss"))
        assert "example.org" in hidden
