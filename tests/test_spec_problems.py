"""What is said about a spec that cannot be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.specs import COMPLETE, SECRETS, SHORT, problems, written
from tuner.search.stopping import RULES
from tuner.spec import Spec, SpecError, from_mapping, load, parse
from tuner.spec.axes import CONDITIONS

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
        (problem,) = problems(written(**{section: text}))
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
        (problem,) = problems(f"name: a\ndata: {data}")
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
        found = problems(text)
        assert len(found) == len(messages)
        for problem, message in zip(found, messages, strict=True):
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
        assert len(problems(bomb)) == 1


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
        told = error.problems
        assert told
        assert all(problem.text for problem in told)
    else:
        assert parse(spec.to_yaml()) == spec


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_whatever_text_is_given_is_read_or_explained(text: str) -> None:
    with pytest.raises(SpecError):
        parse(text)
