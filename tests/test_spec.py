"""The spec: what loads, and what it means."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.specs import COMPLETE, SECRETS, SHORT, problems, written
from tuner.search.space import AtLeast, Axis, Choice, Int, LogInt, LogUniform, OneMinusLogUniform, OneOf, Uniform
from tuner.spec import Spec, from_mapping, json_schema, load, parse
from tuner.spec.axes import CONDITIONS


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
            written(
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
            written(
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
        searched = _axes(parse(written(model="{hidden_units: {per_layer: {log_int: [8, 64]}}}")))
        assert [name for name in searched if name.startswith("hidden_units")] == [
            f"hidden_units_{i}" for i in (1, 2, 3)
        ]
        assert searched["hidden_units_2"].active == (AtLeast("hidden_layers", 2),)
        mixed = parse(written(model="{hidden_layers: {int: [1, 2]}, hidden_units: {per_layer: [64, {int: [8, 9]}]}}"))
        assert mixed.space().fixed["hidden_units_1"] == 64
        assert _axes(mixed)["hidden_units_2"].domain == Int(8, 9)
        assert parse(mixed.to_yaml()) == mixed

    def test_a_factor_has_another_default_than_a_rate(self) -> None:
        for schedule in ("exponential", "staircase", "{choice: [inverse_time, exponential]}"):
            spec = parse(written(train=f"{{learning_rate_decay: {{schedule: {schedule}}}}}"))
            assert _axes(spec)["decay_rate"].domain == OneMinusLogUniform(0.5, 0.99)
        spec = parse(written(train="{learning_rate_decay: {schedule: exponential, rate: 0.95}}"))
        assert spec.space().fixed["decay_rate"] == 0.95

    def test_numbers_are_of_the_right_type(self) -> None:
        spec = parse(
            written(train="{weight_decay: {choice: [0, 1e-4]}, learning_rate: 1, batch_size: {grid: [64, 32]}}")
        )
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
        assert problems("name: a\ndata: {source: [a.npz, b.csv]}") == [
            "line 2: data.target: missing: name the column that holds the class"
        ]

    def test_a_search_with_a_start_has_a_focus(self) -> None:
        search = parse(written(search="{start: [{learning_rate: 1, optimizer: sgd}, {batch_size: 7}]}")).search
        assert search.start == ({"learning_rate": 1.0, "optimizer": "sgd"}, {"batch_size": 7})
        assert search.focus is not None
        assert (search.focus.share, search.focus.width, search.focus.widths) == (0.5, 0.2, {})
        assert parse(written(search="{start: [], focus: null}")) == parse(SHORT)

    def test_earlier_sweeps_are_named_by_id_or_folder(self) -> None:
        search = parse(written(search="{from: [flights-1, 's3://bucket/sweeps/x'], focus: {share: 0.3}}")).search
        assert search.earlier == ("flights-1", "s3://bucket/sweeps/x")
        assert parse(SHORT, ["search.from=flights-1"]).search.earlier == ("flights-1",)
        assert parse(written(search="{from: []}")) == parse(written(search="{from: null}")) == parse(SHORT)

    def test_stopping_may_be_named_alone(self) -> None:
        for text in ("none", "{none: {}}", "{none: }", "{none: {max_epochs: 27}}"):
            assert parse(written(stopping=text)).stopping.kind == "none"
        halving = parse(written(stopping="{successive_halving: {max_epochs: 9}}")).stopping.successive_halving
        assert halving is not None
        assert (halving.min_epochs, halving.max_epochs, halving.reduction) == (1, 9, 3)
        assert parse(written(objective="{metric: val_accuracy}")).objective.mode == "max"

    def test_the_best_after_an_epoch_are_written_side_by_side(self) -> None:
        for text in ("{top_k_after: 1, keep: 8}", "top_k_after", "{top_k_after: 1, keep: null, max_epochs: 27}"):
            stopping = parse(written(stopping=text)).stopping
            assert (stopping.kind, stopping.first, stopping.keep, stopping.last) == ("top_k_after", 1, 8, 27)
        spec = parse(written(stopping="{top_k_after: 2, keep: 5, max_epochs: 9}"))
        assert "stopping: {top_k_after: 2, keep: 5, max_epochs: 9}" in spec.to_yaml()
        assert parse(spec.to_yaml(), ["stopping.keep=6"]).stopping.keep == 6

    def test_yaml_reads_as_people_expect(self) -> None:
        spec = parse(written(train="{learning_rate: 1e-3, epsilon: 1E-7, weight_decay: .5}", tracking="{register: no}"))
        assert [spec.train.learning_rate, spec.train.epsilon, spec.train.weight_decay] == [1e-3, 1e-7, 0.5]
        assert spec.tracking.register == "no"

    def test_empty_sections_have_their_defaults(self) -> None:
        assert parse(written(model="", train="", search="", objective="null", budget="")) == parse(SHORT)

    def test_warnings_for_what_is_legal_but_hardly_meant(self) -> None:
        idle = parse(written(train="{optimizer: adam, momentum: {uniform: [0.5, 0.9]}}")).warnings()
        assert idle == ["never active, so not searched: momentum"]
        fixed = parse(
            written(
                model="{hidden_layers: 0}",
                train="{learning_rate: 0.1, optimizer: sgd, batch_size: 64, learning_rate_decay: {schedule: constant}}",
            )
        )
        assert fixed.space().axes == ()
        assert fixed.warnings() == ["nothing is searched: the trials differ in their seeds only"]
        (starts,) = parse(written(search="{trials: 1, start: [{momentum: 0.9}, {momentum: 0.95}]}")).warnings()
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
            written(search="{sampler: grid, points: 3}", stopping="top_k_after", objective="{metric: val_accuracy}"),
            written(
                train="{weight_decay: {grid: [0, 1e-5, 1e-3]}, learning_rate: {one_minus_log_uniform: [0.1, 0.5]}}"
            ),
            written(search="{start: [{momentum: 0, batch_norm: true, decay: sqrt}], focus: {widths: {momentum: 0.4}}}"),
            written(search="{from: [flights-1, '2013']}"),
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
        assert parse(written(search="{trials: many}"), ["search={trials: 3}"]).search.trials == 3

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
        assert problems(SHORT, override) == [message]

    def test_the_callers_mapping_is_left_alone(self) -> None:
        data: dict[str, Any] = {"name": "a", "data": {"source": "a.npz"}}
        from_mapping(data, ["search.trials=3", "data.target=label"])
        assert data == {"name": "a", "data": {"source": "a.npz"}}


def test_the_json_schema_accepts_what_loads_and_describes_every_field() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    stored = from_mapping(parse(COMPLETE).model_dump(mode="json")).model_dump(mode="json")
    layered = parse(written(model="{hidden_units: {per_layer: [8, {int: [8, 9]}, 4]}}")).model_dump(mode="json")
    warm = parse(written(search="{start: [{momentum: 0.9, optimizer: adam}], focus: {widths: {momentum: 0.4}}}"))
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
    assert _axes(parse(written(train="{momentum: {uniform: [0, 0.9]}}")))["momentum"].domain == Uniform(0, 0.9)
