"""The spec: what loads, what it means, and what is said about a spec that cannot be run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.search.space import AtLeast, Axis, Choice, Int, LogInt, LogUniform, OneMinusLogUniform, OneOf, Uniform
from tuner.search.stopping import RULES
from tuner.spec import Spec, SpecError, from_mapping, json_schema, load, parse
from tuner.spec.axes import CONDITIONS

COMPLETE = """\
name: flight-delays
data:
  source: data/flights/*.parquet      # csv, parquet, feather, npz (X, y); or sql: {url: ..., query: ...}
  target: delay_class
  features: [carrier, origin, dest, distance, sched_dep_time, temp, wind_speed]
  time: time_hour                      # gives windows and a time-ordered holdout
  window: {last: 90 days}
  validation: {last: 7 days}           # what the search compares on; or {fraction: 0.2}
  holdout: {last: 14 days}             # the newest rows, touched once
model:
  hidden_layers: {int: [0, 3]}         # 0 = plain softmax regression
  hidden_units: {log_int: [32, 512]}   # one width, or per_layer: {log_int: [...]}
  batch_norm: true
  bn_epsilon: 1.0e-8
  bn_statistics: ewa
train:
  optimizer: {choice: [momentum, adam]}
  learning_rate: {log_uniform: [1.0e-4, 1]}
  momentum: {one_minus_log_uniform: [0.9, 0.999]}
  beta1: 0.9
  beta2: 0.999
  epsilon: 1.0e-8
  batch_size: {choice: [64, 128, 256]}
  weight_decay: 0
  epoch_rows: null
  learning_rate_decay: {schedule: inverse_time, rate: {log_uniform: [1.0e-3, 1]}}
search: {sampler: random, trials: 64, seed: 0}
stopping: {asha: {min_epochs: 1, max_epochs: 27, reduction: 3}}
objective: {metric: val_loss, mode: min, select: best, confirm: 3}
budget: {hours: 2}
resources: {cpus_per_worker: 1, gpus_per_worker: 0}
tracking: {uri: null, register: flight-delays}
"""
SECRETS = [
    "postgresql://me:{}@host/db",
    "postgresql://host/db?user=me&password={}",
    "mssql+pyodbc://?odbc_connect=DRIVER={{ODBC Driver 18 for SQL Server}};UID=me;PWD={};",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}",
    "s3://key:{}@bucket/rows.csv",
    "https://u:{}@host/rows.csv",
    "https://host/rows.csv?sv=1&token={}",
]
SHORT = "name: digits\ndata: {source: digits.npz}\n"


def _with(**sections: str) -> str:
    return SHORT + "".join(f"{name}: {text}\n" for name, text in sections.items())


def _problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse(text, overrides)
    assert "pydantic" not in str(caught.value).lower()
    assert "http" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def _axes(spec: Spec) -> dict[str, Axis]:
    return {axis.name: axis for axis in spec.space().axes}


class TestMeaning:
    def test_the_complete_spec_loads_with_every_value_as_written(self, tmp_path: Path) -> None:
        path = tmp_path / "flights.yaml"
        path.write_text(COMPLETE)
        spec = load(path)
        assert spec.name == spec.tracking.register == "flight-delays"
        assert spec.data.source == ("data/flights/*.parquet",)
        assert spec.data.features is not None
        assert len(spec.data.features) == 7
        assert spec.data.window is not None
        assert spec.data.window.seconds == 90 * 86400
        assert [spec.data.validation.seconds, spec.data.holdout.seconds] == [7 * 86400, 14 * 86400]
        assert spec.stopping.kind == "asha"
        assert spec.stopping.last == 27
        assert spec.budget.hours == 2
        assert _axes(spec)["hidden_units"].domain == LogInt(32, 512)
        assert spec.warnings() == []

    def test_the_default_space_by_importance(self) -> None:
        space = parse(SHORT).space()
        assert [(axis.name, axis.domain) for axis in space.axes] == [
            ("learning_rate", LogUniform(1e-4, 1)),
            ("momentum", OneMinusLogUniform(0.9, 0.999)),
            ("hidden_units", LogInt(32, 256)),
            ("batch_size", Choice((64, 128, 256))),
            ("optimizer", Choice(("momentum", "adam"))),
            ("hidden_layers", Int(0, 3)),
            ("decay_rate", LogUniform(1e-3, 1)),
        ]
        assert space.fixed == {
            "decay": "inverse_time",
            "weight_decay": 0.0,
            "activation": "relu",
            "initial_weights": "he",
            "batch_norm": True,
            "beta1": 0.9,
            "beta2": 0.999,
            "epsilon": 1e-8,
            "bn_decay": 0.9,
            "bn_epsilon": 1e-8,
            "bn_statistics": "ewa",
        }

    @pytest.mark.parametrize(
        ("layers", "optimizer", "decay", "absent"),
        [
            (2, "momentum", "inverse_time", {"beta1", "beta2", "epsilon", "decay_every"}),
            (2, "sgd", "constant", {"momentum", "beta1", "beta2", "epsilon", "decay_rate", "decay_every"}),
            (2, "rmsprop", "staircase", {"momentum", "beta1"}),
            (2, "adam", "sqrt", {"momentum", "decay_every"}),
            (
                0,
                "adam",
                "staircase",
                {"momentum", "hidden_units", "activation", "initial_weights", "batch_norm"}
                | {"bn_decay", "bn_epsilon", "bn_statistics"},
            ),
        ],
    )
    def test_what_is_active(self, layers: int, optimizer: str, decay: str, absent: set[str]) -> None:
        spec = parse(
            _with(
                model=f"{{hidden_layers: {layers}}}",
                train=f"{{optimizer: {optimizer}, learning_rate_decay: {{schedule: {decay}}}}}",
            )
        )
        space = spec.space()
        params = space.decode([0.5] * len(space.axes))
        assert set(CONDITIONS) - set(params) == absent
        assert space == space.pruned()

    def test_activity_follows_searched_choices(self) -> None:
        spec = parse(
            _with(
                model="{batch_norm: {choice: [true, false]}, bn_decay: {uniform: [0.5, 0.9]}}",
                train="{learning_rate_decay: {schedule: {choice: [constant, staircase]}}}",
            )
        )
        axes = _axes(spec)
        assert axes["bn_decay"].active == (OneOf("batch_norm", (True,)),)
        assert axes["batch_norm"].active == (AtLeast("hidden_layers", 1),)
        assert axes["hidden_units"].active == (AtLeast("hidden_layers", 1),)
        assert "constant" not in axes["decay_rate"].active[0].values  # type: ignore[union-attr]
        assert spec.space().conditions["decay_every"] == (OneOf("decay", ("staircase",)),)

    def test_widths_per_layer(self) -> None:
        searched = _axes(parse(_with(model="{hidden_units: {per_layer: {log_int: [8, 64]}}}")))
        assert [name for name in searched if name.startswith("hidden_units")] == [
            f"hidden_units_{i}" for i in (1, 2, 3)
        ]
        assert searched["hidden_units_2"].active == (AtLeast("hidden_layers", 2),)
        mixed = parse(_with(model="{hidden_layers: {int: [1, 2]}, hidden_units: {per_layer: [64, {int: [8, 9]}]}}"))
        assert mixed.space().fixed["hidden_units_1"] == 64
        assert _axes(mixed)["hidden_units_2"].domain == Int(8, 9)
        assert parse(mixed.to_yaml()) == mixed

    def test_a_factor_has_another_default_than_a_rate(self) -> None:
        for schedule in ("exponential", "staircase", "{choice: [inverse_time, exponential]}"):
            spec = parse(_with(train=f"{{learning_rate_decay: {{schedule: {schedule}}}}}"))
            assert _axes(spec)["decay_rate"].domain == OneMinusLogUniform(0.5, 0.99)
        spec = parse(_with(train="{learning_rate_decay: {schedule: exponential, rate: 0.95}}"))
        assert spec.space().fixed["decay_rate"] == 0.95

    def test_numbers_are_of_the_right_type(self) -> None:
        spec = parse(_with(train="{weight_decay: {choice: [0, 1e-4]}, learning_rate: 1, batch_size: {grid: [64, 32]}}"))
        assert [type(value) for value in _axes(spec)["weight_decay"].domain.grid(1)] == [float, float]
        assert type(spec.space().fixed["learning_rate"]) is float
        assert _axes(spec)["batch_size"].domain.grid(1) == [32, 64]
        assert all(type(value) is int for value in _axes(spec)["batch_size"].domain.grid(1))

    def test_splits_are_by_time_as_soon_as_there_is_a_time_column(self) -> None:
        text = "name: a\ndata: {source: a.csv, target: y%s}"
        plain, timed = parse(text % "").data, parse(text % ", time: t").data
        assert [(split.fraction, split.by) for split in (plain.validation, plain.holdout)] == [(0.15, "random")] * 2
        assert [(split.fraction, split.by) for split in (timed.validation, timed.holdout)] == [(0.15, "time")] * 2
        said = parse(text % ", time: t, validation: {fraction: 0.2, by: random}")
        assert [said.data.validation.by, said.data.holdout.by] == ["random", "time"]
        assert [warning.partition(":")[0] for warning in said.warnings()] == ["data.validation"]

    @pytest.mark.parametrize(
        ("written", "stored"),
        [
            ("2013-04-01", "2013-04-01"),
            ("20130401T00", "2013-04-01"),
            ("2013-04-01T00:00Z", "2013-04-01"),
            ("2013-04-01 03:30", "2013-04-01T03:30:00+00:00"),
            ("2013-04-01T00:00+02:00", "2013-04-01T00:00:00+02:00"),
            (date(2013, 4, 1), "2013-04-01"),
            (datetime(2013, 4, 1, 3, 30), "2013-04-01T03:30:00+00:00"),  # as YAML 1.1 reads it
            (datetime(2013, 4, 1, tzinfo=timezone(timedelta(hours=9))), "2013-04-01T00:00:00+09:00"),
        ],
    )
    def test_a_point_of_time_has_one_text_however_it_is_written(self, written: object, stored: str) -> None:
        spec = from_mapping({"name": "a", "data": {"source": "a.csv", "target": "y", "time": "t", "before": written}})
        assert spec.data.before == stored
        assert parse(spec.to_yaml()) == spec
        assert spec.data.now is not None
        assert spec.data.now.utcoffset() is not None

    def test_the_target_of_npz_files_is_y(self) -> None:
        assert parse(SHORT).data.target == "y"
        assert parse("name: a\ndata: {source: [a.npz, b.npz], target: labels}").data.target == "labels"
        assert _problems("name: a\ndata: {source: [a.npz, b.csv]}") == [
            "line 2: data.target: missing: name the column that holds the class"
        ]

    def test_a_search_with_a_start_has_a_focus(self) -> None:
        search = parse(_with(search="{start: [{learning_rate: 1, optimizer: sgd}, {batch_size: 7}]}")).search
        assert search.start == ({"learning_rate": 1.0, "optimizer": "sgd"}, {"batch_size": 7})
        assert search.focus is not None
        assert (search.focus.share, search.focus.width, search.focus.widths) == (0.5, 0.2, {})
        assert parse(_with(search="{start: [], focus: null}")) == parse(SHORT)

    def test_earlier_sweeps_are_named_by_id_or_folder(self) -> None:
        search = parse(_with(search="{from: [flights-1, 's3://bucket/sweeps/x'], focus: {share: 0.3}}")).search
        assert search.earlier == ("flights-1", "s3://bucket/sweeps/x")
        assert parse(SHORT, ["search.from=flights-1"]).search.earlier == ("flights-1",)
        assert parse(_with(search="{from: []}")) == parse(_with(search="{from: null}")) == parse(SHORT)

    def test_stopping_may_be_named_alone(self) -> None:
        for text in ("none", "{none: {}}", "{none: }", "{none: {max_epochs: 27}}"):
            assert parse(_with(stopping=text)).stopping.kind == "none"
        halving = parse(_with(stopping="{successive_halving: {max_epochs: 9}}")).stopping.successive_halving
        assert halving is not None
        assert (halving.min_epochs, halving.max_epochs, halving.reduction) == (1, 9, 3)
        assert parse(_with(objective="{metric: val_accuracy}")).objective.mode == "max"

    def test_the_best_after_an_epoch_are_written_side_by_side(self) -> None:
        for text in ("{top_k_after: 1, keep: 8}", "top_k_after", "{top_k_after: 1, keep: null, max_epochs: 27}"):
            stopping = parse(_with(stopping=text)).stopping
            assert (stopping.kind, stopping.first, stopping.keep, stopping.last) == ("top_k_after", 1, 8, 27)
        spec = parse(_with(stopping="{top_k_after: 2, keep: 5, max_epochs: 9}"))
        assert "stopping: {top_k_after: 2, keep: 5, max_epochs: 9}" in spec.to_yaml()
        assert parse(spec.to_yaml(), ["stopping.keep=6"]).stopping.keep == 6

    def test_yaml_reads_as_people_expect(self) -> None:
        spec = parse(_with(train="{learning_rate: 1e-3, epsilon: 1E-7, weight_decay: .5}", tracking="{register: no}"))
        assert [spec.train.learning_rate, spec.train.epsilon, spec.train.weight_decay] == [1e-3, 1e-7, 0.5]
        assert spec.tracking.register == "no"

    def test_empty_sections_have_their_defaults(self) -> None:
        assert parse(_with(model="", train="", search="", objective="null", budget="")) == parse(SHORT)

    def test_warnings_for_what_is_legal_but_hardly_meant(self) -> None:
        idle = parse(_with(train="{optimizer: adam, momentum: {uniform: [0.5, 0.9]}}")).warnings()
        assert idle == ["never active, so not searched: momentum"]
        fixed = parse(
            _with(
                model="{hidden_layers: 0}",
                train="{learning_rate: 0.1, optimizer: sgd, batch_size: 64, learning_rate_decay: {schedule: constant}}",
            )
        )
        assert fixed.space().axes == ()
        assert fixed.warnings() == ["nothing is searched: the trials differ in their seeds only"]
        (starts,) = parse(_with(search="{trials: 1, start: [{momentum: 0.9}, {momentum: 0.95}]}")).warnings()
        assert starts.startswith("search.start: of 2 configurations only the first 1 will be tried")

    @pytest.mark.parametrize("template", SECRETS)
    def test_a_password_is_warned_of_wherever_it_stands_unless_it_is_only_named(self, template: str) -> None:
        sql = "name: a\ndata: {sql: {url: '%s', query: SELECT 1}, target: y}"
        source = "name: a\ndata: {source: [a.csv, '%s'], target: y}"
        tracking = SHORT + "tracking: {uri: '%s'}"
        for text, key in ((sql, "data.sql.url"), (source, "data.source"), (tracking, "tracking.uri")):
            if text is tracking and not template.startswith(("http", "postgresql", "mysql", "mssql")):
                continue  # no server
            (warning,) = parse(text % template.format("hush-hush")).warnings()
            assert warning.startswith(f"{key}: holds a password, which is stored with the sweep")
            assert parse(text % template.format("${PASSWORD}")).warnings() == []

    @pytest.mark.parametrize("url", ["postgresql://me@host/db", "sqlite:///a.db", "mssql://h/d?driver=x&sslkey=/a.pem"])
    def test_other_urls_are_no_passwords(self, url: str) -> None:
        assert parse(f"name: a\ndata: {{sql: {{url: '{url}', query: SELECT 1}}, target: y}}").warnings() == []


class TestRoundTrip:
    @pytest.mark.parametrize(
        "text",
        [
            COMPLETE,
            SHORT,
            _with(search="{sampler: grid, points: 3}", stopping="top_k_after", objective="{metric: val_accuracy}"),
            _with(train="{weight_decay: {grid: [0, 1e-5, 1e-3]}, learning_rate: {one_minus_log_uniform: [0.1, 0.5]}}"),
            _with(search="{start: [{momentum: 0, batch_norm: true, decay: sqrt}], focus: {widths: {momentum: 0.4}}}"),
            _with(search="{from: [flights-1, '2013']}"),
            "name: a\ndata: {sql: {url: 'sqlite:///a.db', query: 'SELECT * FROM t'}, target: '1e-4', time: 'on'}",
        ],
    )
    def test_a_stored_spec_loads_to_an_equal_one(self, text: str, tmp_path: Path) -> None:
        spec = parse(text)
        path = tmp_path / "stored.yaml"
        path.write_text(spec.to_yaml())
        assert load(path) == spec
        assert load(path).to_yaml() == spec.to_yaml()
        assert load(path).space() == spec.space()
        assert from_mapping(spec.model_dump()) == spec

    def test_defaults_are_written_out(self) -> None:
        stored = parse(SHORT).to_yaml()
        assert "log_uniform: [0.0001, 1.0]" in stored
        assert "validation: {fraction: 0.15, by: random}" in stored
        assert "asha: {min_epochs: 1, max_epochs: 27, reduction: 3}" in stored
        for name, field in Spec.model_fields.items():
            assert f"{name}:" in stored, field

    def test_specs_are_frozen(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            parse(SHORT).search.trials = 3


class TestOverrides:
    def test_they_win_over_the_file_and_the_last_one_wins(self) -> None:
        spec = parse(COMPLETE, ["train.learning_rate=0.1", "search.trials=5", "search.trials=6", "data.window=null"])
        assert spec.train.learning_rate == 0.1
        assert spec.search.trials == 6
        assert spec.data.window is None

    def test_they_reach_what_the_file_leaves_out(self) -> None:
        spec = parse(SHORT, ["train.learning_rate_decay.rate=0.5", "stopping={none: {max_epochs: 3}}", "name=other"])
        assert spec.train.learning_rate_decay.rate == 0.5
        assert spec.stopping.last == 3
        assert spec.name == "other"

    def test_they_set_domains(self) -> None:
        spec = parse(SHORT, ["train.learning_rate={log_uniform: [1e-3, 1e-1]}", "model.hidden_layers.int=[1, 2]"])
        assert _axes(spec)["learning_rate"].domain == LogUniform(1e-3, 1e-1)
        assert _axes(spec)["hidden_layers"].domain == Int(1, 2)

    def test_they_correct_what_is_wrong_in_the_file(self) -> None:
        assert parse(_with(search="{trials: many}"), ["search={trials: 3}"]).search.trials == 3

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("train.learning_rate=fast", "--set train.learning_rate=fast: must be a number above 0, got 'fast'"),
            ("search.trials", "--set search.trials: must be KEY=VALUE, such as train.learning_rate=0.1"),
            ("=3", "--set =3: must be KEY=VALUE, such as train.learning_rate=0.1"),
            ("name.x=3", "--set name.x=3: name is 'digits', which has no fields"),
            (
                "search.trails=3",
                "--set search.trails=3: unknown key; did you mean 'trials'?",
            ),
            ("search={trials: 0}", "--set search={trials: 0}: search.trials: must be at least 1, got 0"),
            (
                "search={trials: 0",
                "--set search={trials: 0: not YAML: expected ',' or '}', but got '<stream end>'",
            ),
        ],
    )
    def test_problems_name_the_override(self, override: str, message: str) -> None:
        assert _problems(SHORT, override) == [message]

    def test_the_callers_mapping_is_left_alone(self) -> None:
        data: dict[str, Any] = {"name": "a", "data": {"source": "a.npz"}}
        from_mapping(data, ["search.trials=3", "data.target=label"])
        assert data == {"name": "a", "data": {"source": "a.npz"}}


UNREGISTERABLE = ["''", "' '", "' a'", "a/b", "'a:1'", "a@b", "'it''s'", ".", "..", ".a", "'a?'", '"a\\nb"', "a" * 256]
# section, what stands in it, what is said
BAD = [
    ("train", "{learning_rat: 3}", "train.learning_rat: unknown key; did you mean 'learning_rate'?"),
    ("train", "{hidden_units: 3}", "train.hidden_units: unknown key here; it belongs at model.hidden_units"),
    ("budget", "{money: 3}", "budget.money: unknown key; there are hours"),
    ("trian", "{}", "trian: unknown key; did you mean 'train'?"),
    ("train", "{learning_rate: 0}", "train.learning_rate: must be a number above 0, got 0"),
    ("train", "{learning_rate: .nan}", "train.learning_rate: must be a number above 0, got nan"),
    ("train", "{learning_rate: .inf}", "train.learning_rate: must be a number above 0, got inf"),
    ("train", "{learning_rate: true}", "train.learning_rate: must be a number above 0, got true"),
    ("train", "{learning_rate: }", "train.learning_rate: must be a number above 0, got nothing"),
    ("train", "{learning_rate: [1, 2]}", "train.learning_rate: must be a number above 0, got [1, 2]"),
    (
        "train",
        "{learning_rate: {log_uniform: [1, 1e-4]}}",
        "train.learning_rate: log_uniform [1, 0.0001]: low must be below high: swap them",
    ),
    (
        "train",
        "{learning_rate: {log_uniform: [0, 1]}}",
        "train.learning_rate: log_uniform [0.0, 1.0]: low must be above 0, because the logarithm of 0 is not a number: "
        "try 1e-6, or uniform",
    ),
    (
        "train",
        "{learning_rate: {uniform: [0, 1]}}",
        "train.learning_rate: must be a number above 0, but {uniform: [0.0, 1.0]} includes 0.0",
    ),
    (
        "train",
        "{momentum: {one_minus_log_uniform: [0.9, 1]}}",
        "train.momentum: one_minus_log_uniform [0.9, 1.0]: high must be below 1, because the logarithm of 1 - high is "
        "taken: try 0.999",
    ),
    ("train", "{momentum: 1}", "train.momentum: must be a number of at least 0 and below 1, got 1"),
    (
        "train",
        "{momentum: {uniform: [0.5, 1]}}",
        "train.momentum: must be a number of at least 0 and below 1, but {uniform: [0.5, 1.0]} includes 1.0",
    ),
    ("train", "{weight_decay: {grid: []}}", "train.weight_decay: grid []: needs at least one value"),
    ("train", "{optimizer: {choice: []}}", "train.optimizer: choice []: needs at least one value"),
    (
        "train",
        "{optimizer: adma}",
        "train.optimizer: must be one of sgd, momentum, rmsprop, adam, got 'adma'; did you mean 'adam'?",
    ),
    (
        "train",
        "{optimizer: {choice: [adam, adma]}}",
        "train.optimizer: must be one of sgd, momentum, rmsprop, adam, but {choice: ['adam', 'adma']} includes 'adma'",
    ),
    (
        "train",
        "{optimizer: {int: [0, 3]}}",
        "train.optimizer: must be one of sgd, momentum, rmsprop, adam; {int: [0, 3]} draws numbers: use choice",
    ),
    (
        "train",
        "{batch_size: {uniform: [2, 64]}}",
        "train.batch_size: must be a whole number of at least 2 and at most 1048576; {uniform: [2.0, 64.0]} draws "
        "fractions: use int or log_int",
    ),
    ("train", "{batch_size: 1}", "train.batch_size: must be a whole number of at least 2 and at most 1048576, got 1"),
    (
        "train",
        "{batch_size: 64.0}",
        "train.batch_size: must be a whole number of at least 2 and at most 1048576, got 64.0",
    ),
    (
        "train",
        "{beta2: {loguniform: [0.5, 0.9]}}",
        "train.beta2: unknown domain 'loguniform'; did you mean 'log_uniform'?",
    ),
    (
        "train",
        "{beta2: {choice: [0.5], grid: [0.9]}}",
        "train.beta2: a domain has exactly one key, one of uniform, log_uniform, one_minus_log_uniform, int, log_int, "
        "choice, grid; got {choice: [0.5], grid: [0.9]}",
    ),
    ("train", "{epoch_rows: many}", "train.epoch_rows: must be a whole number, got 'many'"),
    (
        "train",
        "{epoch_rows: 200}",
        "train.epoch_rows: must be at least the largest batch_size (256), got 200: an epoch has whole batches only",
    ),
    (
        "train",
        "{batch_size: {log_int: [16, 2048]}, epoch_rows: 2047}",
        "train.epoch_rows: must be at least the largest batch_size (2,048), got 2,047",
    ),
    (
        "train",
        "{learning_rate_decay: {schedule: exponential, rate: {log_uniform: [0.1, 2]}}}",
        "train.learning_rate_decay.rate: must be above 0 and at most 1, because exponential multiplies by it, got 2.0",
    ),
    (
        "train",
        "{learning_rate_decay: {schedule: {choice: [sqrt, staircase]}, rate: 0}}",
        "train.learning_rate_decay.rate: must be above 0 and at most 1, because staircase multiplies by it, got 0.0",
    ),
    ("train", "3", "train: must be a mapping with optimizer, learning_rate,"),
    ("model", "{batch_norm: yes}", "model.batch_norm: must be true or false, got 'yes'"),
    (
        "model",
        "{hidden_layers: {int: [0, 99]}}",
        "model.hidden_layers: must be a whole number of at least 0 and at most 32, but {int: [0, 99]} includes 99",
    ),
    (
        "model",
        "{hidden_units: {per_layer: 64}}",
        "model.hidden_units: per_layer takes a domain, or a list with one entry per layer, got 64",
    ),
    (
        "model",
        "{hidden_units: {per_layer: [64, 32]}}",
        "model.hidden_units: hidden_layers goes up to 3, and per_layer has only 2: add the rest",
    ),
    (
        "search",
        "{sampler: rndom}",
        "search.sampler: must be one of random, grid, sobol, coarse_to_fine, tpe, got 'rndom'; did you mean 'random'?",
    ),
    ("search", "{trials: 0}", "search.trials: must be at least 1, got 0"),
    ("search", "{trials: '64'}", "search.trials: must be a whole number, got '64'"),
    (
        "search",
        "{points: 3}",
        "search.points: is for sampler: grid, but the sampler is sobol: leave one of them out",
    ),
    (
        "search",
        "{sampler: tpe, rounds: 3}",
        "search.rounds: is for sampler: coarse_to_fine, but the sampler is tpe: leave one of them out",
    ),
    ("search", "{expand: false}", "search.expand: is for sampler: coarse_to_fine, but the sampler is sobol"),
    ("search", "{sampler: coarse_to_fine, outside: 1}", "search.outside: must be below 1, got 1"),
    ("search", "{sampler: coarse_to_fine, rounds: 0}", "search.rounds: must be at least 1, got 0"),
    (
        "search",
        "{sampler: grid, points: 100}",
        "search.points: 100 points per axis make 2,328,000,000 combinations, more than 1,000,000: "
        "fix some hyperparameters, set fewer points, or use sobol",
    ),
    (
        "search",
        "{start: {momentum: 0.9}}",
        "search.start: must be a list of configurations, such as [{learning_rate: 0.01}], got {momentum: 0.9}",
    ),
    (
        "search",
        "{start: [{}]}",
        "search.start.0: must be a mapping of hyperparameter to value, such as {learning_rate: 0.01}, got {}",
    ),
    (
        "search",
        "{start: [{momentun: 0.9}]}",
        "search.start.0.momentun: unknown hyperparameter; did you mean 'momentum'?",
    ),
    (
        "search",
        "{start: [{nonsense: 1}]}",
        "search.start.0.nonsense: unknown hyperparameter; there are learning",
    ),
    (
        "search",
        "{start: [{hidden_units_2: 64}, {hidden_units_3: 0.5}]}",
        "search.start.1.hidden_units_3: must be a whole number of at least 1 and at most 65536, got 0.5",
    ),
    (
        "search",
        "{start: [{decay_rate: {uniform: [0, 1]}}]}",
        "search.start.0.decay_rate: must be a number of at least 0, got {uniform: [0, 1]}",
    ),
    (
        "search",
        "{start: [{decay: cosine}]}",
        "search.start.0.decay: must be one of constant, inverse_time, ",
    ),
    (
        "search",
        "{focus: {share: 0.3}}",
        "search.focus: draws around search.start, which has no configuration: give some there, or leave focus out",
    ),
    ("search", "{from: 3}", "search.from: must be a list of sweeps, such as [flights-20130401-0330-1a2b], got 3"),
    ("search", "{from: [1]}", "search.from: must be a list of sweeps, such as [flights-20130401-0330-1a2b], got [1]"),
    ("search", "{from: [a, b, a]}", "search.from: a is given twice: keep one"),
    ("search", "{from: [a b]}", "search.from: 'a b' is neither a sweep's id (letters, digits,"),
    ("search", "{form: [a]}", "search.form: unknown key; did you mean 'from'?"),
    ("search", "{start: [{momentum: 0.9}], focus: {share: 1.5}}", "search.focus.share: must be at most 1, got 1.5"),
    ("search", "{start: [{momentum: 0.9}], focus: {width: 0}}", "search.focus.width: must be above 0, got 0"),
    (
        "search",
        "{start: [{momentum: 0.9}], focus: {widths: 0.4}}",
        "search.focus.widths: must be a mapping of hyperparameter to half-width, such as {learning_rate: 0.4}, got 0.4",
    ),
    (
        "search",
        "{start: [{momentum: 0.9}], focus: {widths: {momentum: 0.6}}}",
        "search.focus.widths.momentum: must be at most 0.5, got 0.6",
    ),
    (
        "search",
        "{start: [{momentum: 0.9}], focus: {widths: {learning-rate: 0.1}}}",
        "search.focus.widths.learning-rate: unknown hyperparameter; did you mean 'learning_rate'?",
    ),
    (
        "search",
        "{start: [{momentum: 0.9}], focus: {widths: {beta1: 0.1}}}",
        "search.focus.widths.beta1: is not searched, so it has no box; searched: learning_rate, momentum, hidden_units",
    ),
    ("stopping", "asah", "stopping: must be a mapping with asha, successive_halving, hyperband, pasha, top_k_after, "),
    ("stopping", "", f"stopping: takes exactly one of {', '.join(RULES)}, got nothing"),
    ("stopping", "{asha: {}, none: {}}", f"stopping: takes exactly one of {', '.join(RULES)}, got asha and none"),
    ("stopping", "{keep: 8}", f"stopping: takes exactly one of {', '.join(RULES)}, got nothing"),
    ("stopping", "{top_k_after: 1, keep: 0}", "stopping.keep: must be at least 1, got 0"),
    ("stopping", "{top_k_after: {epochs: 1}}", "stopping.top_k_after: must be a whole number, got {epochs: 1}"),
    (
        "stopping",
        "{top_k_after: 9, max_epochs: 9}",
        "stopping.max_epochs: must be above top_k_after (9), got 9",
    ),
    (
        "stopping",
        "{asha: {}, max_epochs: 8}",
        "stopping.max_epochs: belongs to top_k_after, which is not given: write it into asha",
    ),
    ("stopping", "{none: {}, keep: 8}", "stopping.keep: belongs to top_k_after, which is not given: leave it out"),
    (
        "stopping",
        "{asha: {min_epochs: 9, max_epochs: 3}}",
        "stopping.asha.max_epochs: must be at least min_epochs (9), got 3",
    ),
    ("stopping", "{asha: {reduction: 1}}", "stopping.asha.reduction: must be at least 2, got 1"),
    ("objective", "{mode: max}", "objective.mode: must be min for val_loss, got 'max': leave it out"),
    ("budget", "{hours: .inf}", "budget.hours: must be a finite number, got inf"),
    ("budget", "{hours: -1}", "budget.hours: must be above 0, got -1"),
    ("tracking", "{register: 5}", "tracking.register: must be text, got 5"),
    ("tracking", "{uri: ''}", "tracking.uri: must not be empty: MLflow;"),
    ("tracking", "{uri: 'sqlite:////etc/x.db'}", "tracking.uri: must be the address of a server, not 'sqlite"),
    ("tracking", "{uri: /srv/runs}", "tracking.uri: must be the address of a server"),
    *(("tracking", f"{{register: {name}}}", "tracking.register: ") for name in UNREGISTERABLE),
]


class TestProblems:
    @pytest.mark.parametrize(("section", "text", "message"), BAD, ids=[f"{row[0]} {row[1]}" for row in BAD])
    def test_each_names_line_key_rule_and_value(self, section: str, text: str, message: str) -> None:
        (problem,) = _problems(_with(**{section: text}))
        assert problem.startswith(f"line 3: {message}")

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ("{source: a.csv}", "data.target: missing: name the column that holds the class"),
            ("{target: y}", "data: takes exactly one of source, sql, got nothing"),
            (
                "{source: a.csv, sql: {url: u, query: q}, target: y}",
                "data: takes exactly one of source, sql, got source and sql",
            ),
            ("{sql: {url: u}, target: y}", "data.sql.query: missing: A SELECT statement"),
            ("{source: [], target: y}", "data.source: needs at least one name and no empty ones, got []"),
            ("{source: 5, target: y}", "data.source: must be text, or a list of texts, got 5"),
            ("{source: a, target: y, features: [b, 3]}", "data.features.1: must be text, got 3"),
            ("{source: a, target: y, features: [b, b]}", "data.features: names one twice: ['b', 'b']"),
            (
                "{source: a, target: y, features: [b, y]}",
                "data.features: includes the target 'y', which would give the answer away: take it out",
            ),
            ("{source: a, target: y, time: y}", "data.time: 'y' is the target, too: name two different columns"),
            (
                "{source: a, target: y, window: {last: 9 days}}",
                "data.window: needs data.time: name the column that says when a row was made",
            ),
            (
                "{source: a, target: y, before: 2013-04-01}",
                "data.before: needs data.time: name the column that says when a row was made",
            ),
            *(
                (
                    f"{{source: a, target: y, time: t, before: {when}}}",
                    "data.before: must be an ISO date or time, such as 2013-04-01 or 2013-04-01T03:30+02:00 "
                    f"(UTC without a zone), got {told}",
                )
                for when, told in (
                    ("1.4.2013", "'1.4.2013'"),
                    ("2013-02-29", "'2013-02-29'"),
                    ("2013", "2013"),
                    ("9999-12-31T23:00-05:00", "'9999-12-31T23:00-05:00'"),
                )
            ),
            (
                "{source: a, target: y, holdout: {last: 9 days}}",
                "data.holdout: the newest rows need data.time: name the time column, or give a fraction",
            ),
            (
                "{source: a, target: y, time: t, holdout: {last: 9 months}}",
                "data.holdout.last: must be a number of minutes, hours, days or weeks, such as 90 days, got '9 months'",
            ),
            (
                "{source: a, target: y, time: t, holdout: {last: 9}}",
                "data.holdout.last: must be a number of minutes, hours, days or weeks, such as 90 days, got 9",
            ),
            (
                "{source: a, target: y, time: t, holdout: {last: 9 days, by: random}}",
                "data.holdout.by: must be time with last: 9 days, got 'random'; for random rows give a fraction",
            ),
            (
                "{source: a, target: y, holdout: {last: 9 days, fraction: 0.1}}",
                "data.holdout: takes exactly one of last, fraction, got last and fraction",
            ),
            ("{source: a, target: y, holdout: {fraction: 1}}", "data.holdout.fraction: must be below 1, got 1"),
            (
                "{source: a, target: y, validation: {fraction: 0.5}, holdout: {fraction: 0.5}}",
                "data.holdout: the two together take 1 of the rows; leave some for training",
            ),
            (
                "{source: a, target: y, time: t, window: {last: 3 weeks}, validation: {last: 7 days}, holdout: "
                "{last: 14 days}}",
                "data.window: validation and holdout take all of the last 3 weeks: leave some for training",
            ),
        ],
    )
    def test_of_data(self, data: str, message: str) -> None:
        (problem,) = _problems(f"name: a\ndata: {data}")
        assert problem.startswith(f"line 2: {message}")

    @pytest.mark.parametrize(
        ("text", "messages"),
        [
            ("", ["name: missing: Names the experiment", "data: missing: Where the rows come from"]),
            ("- a", ["line 1: must be a mapping that begins with name and data, got ['a']"]),
            ("name: a b\ndata: {source: a.npz}", ["line 1: name: 'a b' does not fit: Names the experiment"]),
            ("name: ../up\ndata: {source: a.npz}", ["line 1: name: '../up' does not fit"]),
            (SHORT + "name: again\n", ["line 3: name: given twice, first on line 1: keep one"]),
            (SHORT + "3: 4\n", ["line 3: keys must be names"]),
            (SHORT + "train: {learning_rate: 1\n", ["line 4: not YAML: expected ',' or '}'"]),
            (SHORT + "train: &a {momentum: *a}\n", ["line 3: anchors (&) and aliases (*) have no place in a spec"]),
            (SHORT + "train: !!python/object:os.system x\n", ["line 3: the tag '"]),
            (SHORT + "---\nname: b\n", ["line 3: not YAML: but found another document"]),
            (SHORT + "train: " + "{a: " * 50 + "1" + "}" * 50, ["line 3: nested more than 20 levels deep"]),
            (
                SHORT + "search: {seed: " + "1" * 5000 + "}",
                [f"line 3: '{'1' * 40}' is no int"],
            ),
        ],
    )
    def test_of_the_text_itself(self, text: str, messages: list[str]) -> None:
        problems = _problems(text)
        assert len(problems) == len(messages)
        for problem, message in zip(problems, messages, strict=True):
            assert problem.startswith(message)

    def test_all_come_at_once_in_the_order_of_the_file(self) -> None:
        text = COMPLETE.replace("hidden_layers: {int: [0, 3]}", "hidden_layers: {int: [3, 0]}")
        text = text.replace("  momentum: {", "  momentun: {").replace("trials: 64", "trials: -64")
        with pytest.raises(SpecError) as caught:
            parse(text, ["budget.hours=soon"], name="flights.yaml")
        assert str(caught.value).splitlines() == [
            "flights.yaml: 4 problems",
            "  line 11: model.hidden_layers: int [3, 0]: low must be below high: swap them",
            "  line 19: train.momentun: unknown key; did you mean 'momentum'?",
            "  line 27: search.trials: must be at least 1, got -64",
            "  --set budget.hours=soon: must be a number, got 'soon'",
        ]

    def test_of_files(self, tmp_path: Path) -> None:
        for path, content, message in (
            (tmp_path / "none.yaml", None, "cannot be read: No such file or directory"),
            (tmp_path, None, "cannot be read: Is a directory"),
            (tmp_path / "latin.yaml", b"name: \xe9", "is not UTF-8 text"),
            (tmp_path / "large.yaml", b"#" * (1 << 20) + b"#", "has 1,048,577 bytes; a spec has at most 1,048,576"),
        ):
            if content is not None:
                path.write_bytes(content)
            with pytest.raises(SpecError, match=message) as caught:
                load(path)
            assert str(caught.value).startswith(f"{path}: 1 problem")

    @pytest.mark.parametrize("template", SECRETS)
    def test_none_shows_a_password(self, template: str) -> None:
        url = template.format("hush" * 20)  # so long that shortened values end within it
        text = f"name: a\ndata: {{source: a.npz, sql: '{url}'}}"
        for overrides in ([], [f"data.sql.urll={url}"], [f"data.sql={url}"]):
            with pytest.raises(SpecError) as caught:
                parse(text, overrides)
            assert "hush" not in str(caught.value)
            assert "***" in str(caught.value)

    def test_a_bomb_of_aliases_is_harmless(self) -> None:
        bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
        assert len(_problems(bomb)) == 1


WORDS = st.one_of(
    st.sampled_from([*Spec.model_fields, *CONDITIONS, "schedule", "rate", "by", "last", "fraction", "asha", "none"]),
    st.sampled_from(["uniform", "log_int", "choice", "grid", "per_layer", "source", "sql", "target", "min", "random"]),
    st.sampled_from(["start", "focus", "share", "width", "widths", "before"]),
    st.text(max_size=4),
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-3, 300), st.floats(), WORDS, st.just("3 days"))
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=20,
)
SECTIONS = st.fixed_dictionaries(
    {}, optional={name: st.one_of(ANYTHING, st.dictionaries(WORDS, ANYTHING, max_size=4)) for name in Spec.model_fields}
)


@given(SECTIONS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_written_loads_or_is_explained(data: dict[str, Any]) -> None:
    data = {"name": "a", "data": {"source": "a.npz"}} | data
    try:
        spec = from_mapping(data)
    except SpecError as error:
        problems = error.problems
        assert problems
        assert all(problem.text for problem in problems)
    else:
        assert parse(spec.to_yaml()) == spec


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_whatever_text_is_given_is_read_or_explained(text: str) -> None:
    with pytest.raises(SpecError):
        parse(text)


def test_the_json_schema_accepts_what_loads_and_describes_every_field() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    stored = from_mapping(parse(COMPLETE).model_dump(mode="json")).model_dump(mode="json")
    layered = parse(_with(model="{hidden_units: {per_layer: [8, {int: [8, 9]}, 4]}}")).model_dump(mode="json")
    warm = parse(_with(search="{start: [{momentum: 0.9, optimizer: adam}], focus: {widths: {momentum: 0.4}}}"))
    taught = [stored | {"search": {"from": given}} for given in ("a", ["a", "/b/c"], None)]
    plain = {"name": "a", "data": {"source": ["a.npz", "b.npz"]}}
    for spec in (stored, layered, warm.model_dump(mode="json"), *taught, plain):
        validator.validate(json.loads(json.dumps(spec)))
    for bad in (
        {"name": "a"},
        stored | {"trian": {}},
        stored | {"train": {"learning_rate": "fast"}},
        stored | {"train": {"learning_rate": {"loguniform": [1, 2]}}},
        stored | {"train": {"optimizer": "adma"}},
        stored | {"model": {"hidden_units": {"uniform": [1, 2]}}},
        stored | {"search": {"trials": 0}},
        stored | {"search": {"from": [1]}},
        stored | {"search": {"earlier": ["a"]}},
        stored | {"search": {"start": {"momentum": 0.9}}},
        stored | {"search": {"start": [{"momentum": [0.9]}]}},
        stored | {"search": {"start": [{"momentum": 0.9}], "focus": {"widths": {"momentum": 0.6}}}},
    ):
        assert not validator.is_valid(bad), bad
    for section in [schema, *schema["$defs"].values()]:
        for name, field in section["properties"].items():
            assert field.get("description") or "$ref" in field, name


def test_the_spec_imports_nothing_heavy() -> None:
    heavy = {"torch", "ray", "mlflow", "pandas", "numpy", "scipy"}
    code = f"import sys, tuner.spec; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_uniform_is_legal_wherever_its_range_is() -> None:
    assert _axes(parse(_with(train="{momentum: {uniform: [0, 0.9]}}")))["momentum"].domain == Uniform(0, 0.9)
