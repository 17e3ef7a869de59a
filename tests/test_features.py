"""The encoding: exact after JSON, blind to order and chunks, finite whatever comes, strict about kinds."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DataError
from models.features import LARGEST_SCORE, Encoder, Kind, kind_of

NUMBERS = st.one_of(st.none(), st.floats(), st.floats(-1e3, 1e3))
WORDS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "", "é", "other"]), st.text(max_size=3))
ROWS = st.lists(st.tuples(NUMBERS, WORDS, st.one_of(st.none(), st.booleans())), min_size=1, max_size=60)
Rows = list[tuple[Any, Any, Any]]


def frame_of(rows: Rows) -> pd.DataFrame:
    numbers, words, flags = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "number": np.array(numbers, dtype=np.float64),
            "word": pd.Series(words, dtype="str"),
            "flag": pd.Series(flags, dtype="boolean"),
        }
    )


def fitted(rows: Rows) -> Encoder:
    seen = [*rows, (1.0, "a", True)]  # no column without a value
    return Encoder.fit(frame_of(seen), ["number", "word", "flag"], min_count=2)


@settings(max_examples=150, deadline=None)
@given(train=ROWS, rows=ROWS)
def test_any_rows_become_finite_numbers_one_column_a_level(train: Rows, rows: Rows) -> None:
    encoder = fitted(train)
    encoded = encoder.transform(frame_of(rows))
    assert encoded.dtype == np.float32
    assert encoded.shape == (len(rows), encoder.width) == (len(rows), len(encoder.names))
    assert np.isfinite(encoded).all()
    assert np.abs(encoded).max() <= LARGEST_SCORE
    first = len(encoder.columns[0].names)
    one_hot = encoded[:, first : first + len(encoder.columns[1].names)]
    assert (one_hot.sum(axis=1) == 1).all()  # a level, other or missing: always exactly one place


@settings(max_examples=100, deadline=None)
@given(train=ROWS, rows=ROWS)
def test_the_state_is_json_and_survives_it_exactly(train: Rows, rows: Rows) -> None:
    encoder = fitted(train)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    assert again.transform(frame_of(rows)).tobytes() == encoder.transform(frame_of(rows)).tobytes()


@settings(max_examples=100, deadline=None)
@given(train=ROWS, rows=ROWS, data=st.data())
def test_a_row_is_encoded_alike_in_any_order_and_chunk(train: Rows, rows: Rows, data: st.DataObject) -> None:
    encoder = fitted(train)
    whole = encoder.transform(frame_of(rows))
    order = data.draw(st.permutations(range(len(rows))))
    cut = data.draw(st.integers(0, len(rows)))
    assert encoder.transform(frame_of(rows).iloc[order]).tobytes() == whole[order].tobytes()
    parts = [encoder.transform(part) for part in (frame_of(rows).iloc[:cut], frame_of(rows).iloc[cut:])]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_numbers_have_mean_zero_and_deviation_one_on_the_training_rows() -> None:
    values = np.random.default_rng(0).lognormal(3, 2, 5000) + 1e6
    encoded = Encoder.fit(pd.DataFrame({"x": values}), ["x"]).transform(pd.DataFrame({"x": values}))[:, 0]
    assert encoded.mean(dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert encoded.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 1e308, 5e-324])
def test_a_constant_becomes_zero(value: float) -> None:
    encoder = Encoder.fit(pd.DataFrame({"x": [value] * 7}), ["x"])
    assert encoder.columns[0].std == 1.0
    assert not encoder.transform(pd.DataFrame({"x": [value] * 3})).any()


def test_huge_values_do_not_overflow_the_statistics() -> None:
    frame = pd.DataFrame({"x": [1e308, -1e308, 1.7e308]})
    column = Encoder.fit(frame, ["x"]).columns[0]
    assert np.isfinite([column.mean, column.std]).all()
    assert Encoder.fit(frame, ["x"]).transform(frame)[:, 0].std() == pytest.approx(1)


def test_missing_numbers_get_the_mean_and_an_indicator_only_where_training_had_some() -> None:
    train = pd.DataFrame({"gaps": [1.0, None, 3.0, np.inf], "full": [1.0, 2.0, 3.0, 4.0]})
    encoder = Encoder.fit(train, ["gaps", "full"])
    assert encoder.names == ("gaps", "gaps:missing", "full")
    assert encoder.columns[0].mean == 2.0  # of 1 and 3: infinite counts as missing
    rows = pd.DataFrame({"gaps": [None, -np.inf, 1.0], "full": [None, np.inf, 2.5]})
    assert encoder.transform(rows).tolist() == [[0, 1, 0], [0, 1, 0], [-1, 0, 0]]


def test_rare_unseen_and_missing_categories_have_their_places() -> None:
    train = pd.DataFrame({"c": ["a"] * 30 + ["b"] * 20 + ["rare"] * 2 + [None]})
    encoder = Encoder.fit(train, ["c"], min_count=10, max_levels=200)
    assert encoder.names == ("c=a", "c=b", "c=rare", "c:other", "c:missing")  # 53 rows: 1 row is 1%
    encoder = Encoder.fit(pd.concat([train] * 20), ["c"], min_count=50)
    assert encoder.names == ("c=a", "c=b", "c=rare", "c:other", "c:missing")
    encoder = Encoder.fit(pd.concat([train] * 100), ["c"], min_count=500, max_levels=1)
    assert encoder.names == ("c=a", "c:other", "c:missing")
    rows = pd.DataFrame({"c": ["a", "b", "unseen", None, "other", "missing"]})
    assert encoder.transform(rows).argmax(axis=1).tolist() == [0, 1, 1, 2, 1, 1]


def test_levels_are_most_frequent_first_then_by_name_and_missing_without_a_place_is_other() -> None:
    train = pd.DataFrame({"c": ["z", "y", "x", "x", "y", "w"]})
    encoder = Encoder.fit(train.sample(frac=1, random_state=1), ["c"])
    assert encoder.names == ("c=x", "c=y", "c=w", "c=z", "c:other")
    assert encoder.transform(pd.DataFrame({"c": [None, "q"]}))[:, -1].tolist() == [1, 1]


def test_a_level_needs_enough_rows() -> None:
    train = pd.DataFrame({"c": ["a"] * 5000 + ["ten"] * 10 + ["nine"] * 9})
    assert Encoder.fit(train, ["c"]).names == ("c=a", "c=ten", "c:other")


def test_times_are_seconds_whatever_their_unit_zone_or_spelling() -> None:
    texts = ["2013-01-01T00:00:00", "2013-01-01T00:00:10", "2013-01-01T00:00:20"]
    naive = pd.Series(pd.to_datetime(texts))
    encoder = Encoder.fit(pd.DataFrame({"t": naive}), ["t"])
    assert encoder.columns[0].kind is Kind.DATETIME
    assert encoder.columns[0].mean == pd.Timestamp(texts[1]).timestamp()
    expected = encoder.transform(pd.DataFrame({"t": naive})).tolist()
    for series in (
        naive.astype("datetime64[ns]"),
        naive.astype("datetime64[s]"),
        naive.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        pd.Series(texts),
        pd.Series([f"{text}Z" for text in texts]),
    ):
        assert encoder.transform(pd.DataFrame({"t": series})).tolist() == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Series([1, 2], dtype="int8"), Kind.NUMBER),
        (pd.Series([1, None], dtype="Int64"), Kind.NUMBER),
        (pd.Series([1.5, None], dtype="float64[pyarrow]"), Kind.NUMBER),
        (pd.Series([Decimal("1.5"), None, Decimal(2)], dtype=object), Kind.NUMBER),
        (pd.Series([1, 2.5, None], dtype=object), Kind.NUMBER),
        (pd.Series([True, False]), Kind.BOOLEAN),
        (pd.Series([True, None], dtype=object), Kind.BOOLEAN),
        (pd.Series([True, None], dtype="boolean"), Kind.BOOLEAN),
        (pd.Series([date(2013, 1, 1), None, date(2013, 1, 3)], dtype=object), Kind.DATETIME),
        (pd.Series(["a", None], dtype="str"), Kind.CATEGORY),
        (pd.Series(["a", None], dtype=object), Kind.CATEGORY),
        (pd.Series(["a", None], dtype="string[pyarrow]"), Kind.CATEGORY),
        (pd.Series([3, 1, 3], dtype="category"), Kind.CATEGORY),
        (pd.Series([True, False], dtype="category"), Kind.CATEGORY),
    ],
)
def test_every_storage_type_of_a_kind_is_encoded(values: pd.Series, kind: Kind) -> None:
    assert kind_of(values) is kind
    frame = pd.DataFrame({"x": values})
    encoded = Encoder.fit(frame, ["x"]).transform(frame)
    assert encoded.shape[0] == len(values)
    assert encoded.any()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pd.Series([1, "a"], dtype=object), "'x' holds mixed"),
        (pd.Series([b"a", b"b"], dtype=object), "'x' holds bytes"),
        (pd.Series([1 + 2j]), "complex128"),
        (pd.Series(pd.to_timedelta([1, 2], unit="s")), "timedelta"),
        (pd.Series([[1], [2]], dtype=object), "'x' holds mixed"),
        (pd.Series([None, None], dtype=object), "'x' has none"),
        (pd.Series([np.nan, np.inf]), "'x' has none"),
        (pd.Series([], dtype="str"), "'x' has none"),
    ],
)
def test_what_cannot_be_encoded_is_refused_by_name(values: pd.Series, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Encoder.fit(pd.DataFrame({"x": values}), ["x"])


def test_missing_and_double_columns_are_named_with_the_nearest() -> None:
    encoder = Encoder.fit(pd.DataFrame({"origin": ["a"], "dest": ["b"]}), ["origin", "dest"])
    with pytest.raises(DataError, match=r"'dest' \(nearest: 'desti'\)"):
        encoder.transform(pd.DataFrame({"origin": ["a"], "desti": ["b"]}))
    images = Encoder.fit(pd.DataFrame(np.eye(64), columns=[f"x{i}" for i in range(64)]), [f"x{i}" for i in range(64)])
    with pytest.raises(DataError, match="lack 'x16', 'x17', 'x18', 'x19', 'x20' and 43 more: add or rename"):
        images.transform(pd.DataFrame(np.eye(16), columns=[f"x{i}" for i in range(16)]))
    double = pd.DataFrame([["a", "b", "c"]], columns=["origin", "dest", "dest"])
    with pytest.raises(DataError, match="'dest' comes more than once"):
        encoder.transform(double)


@pytest.mark.parametrize(
    ("train", "rows", "told"),
    [
        ([1.0, 2.0], ["1", "2"], "was a number in training and is a category"),
        (["05", "06"], [5, 6], "was a category in training and is a number"),
        ([True, False], [2, 0], "was a boolean in training and is a number"),
        ([pd.Timestamp(0), pd.Timestamp(9)], [0, 9], "was a datetime in training and is a number"),
        ([pd.Timestamp(0), pd.Timestamp(9)], ["yesterday", "x"], "must hold times"),
    ],
)
def test_a_column_of_another_kind_is_refused(train: list[Any], rows: list[Any], told: str) -> None:
    encoder = Encoder.fit(pd.DataFrame({"x": train}), ["x"])
    with pytest.raises(DataError, match=told):
        encoder.transform(pd.DataFrame({"x": rows}))


@pytest.mark.parametrize(
    ("train", "rows", "expected"),
    [
        ([1.0, 3.0], pd.Series([1, 3], dtype="int64"), [[-1], [1]]),
        ([1.0, 3.0], pd.Series([1, None, 3], dtype="Int64"), [[-1], [0], [1]]),
        ([1, 3], pd.Series([3, None, 1], dtype="Float32"), [[1], [0], [-1]]),
        ([1, 3], pd.Series([3, 1, None], dtype="category"), [[1], [-1], [0]]),
        ([0.0, 2.0], pd.Series([False, True]), [[-1], [0]]),
        ([0.0, 2.0], pd.Series([False, True, None], dtype="boolean"), [[-1], [0], [0]]),
        ([False, True], pd.Series([0, 1, 1], dtype="int64"), [[-1], [1], [1]]),
        ([False, True], pd.Series([1, None, 0], dtype="Int8"), [[1], [0], [-1]]),
        ([False, True], pd.Series([True, None], dtype="category"), [[1], [0]]),
        (["1", "AA"], pd.Series([1, 2], dtype="int64"), [[1, 0, 0], [0, 0, 1]]),
        (["1", "AA"], pd.Series([1.0, None, 1.5]), [[1, 0, 0], [0, 0, 1], [0, 0, 1]]),
        (["1", "AA"], pd.Series([1, None], dtype="Int64"), [[1, 0, 0], [0, 0, 1]]),
        (["1", "AA"], pd.Series([1, 2], dtype="category"), [[1, 0, 0], [0, 0, 1]]),
        (["1", "AA"], pd.Series([Decimal(1), Decimal("1.5")], dtype=object), [[1, 0, 0], [0, 0, 1]]),
        (["false", "true"], pd.Series([True, False]), [[0, 1, 0], [1, 0, 0]]),
        (pd.Categorical([1.0, 2.0]), pd.Series([2.0, 1.0]), [[0, 1, 0], [1, 0, 0]]),
        (
            [pd.Timestamp(1), pd.Timestamp(3)],
            pd.Series([pd.Timestamp(3), pd.Timestamp(1), None], dtype="category"),
            [[1], [-1], [0]],
        ),
        ([pd.Timestamp("2013-01-01"), pd.Timestamp("2013-01-03")], pd.Series([date(2013, 1, 1)]), [[-1]]),
    ],
)
def test_a_value_means_the_same_however_it_is_stored(train: Any, rows: pd.Series, expected: list[list[float]]) -> None:
    encoder = Encoder.fit(pd.DataFrame({"x": train}), ["x"])
    assert encoder.transform(pd.DataFrame({"x": rows})).tolist() == expected


def test_a_column_that_is_wholly_missing_when_serving_is_no_error() -> None:
    frame = pd.DataFrame({"n": [1.0, 2.0], "c": ["a", "b"], "t": [pd.Timestamp(0), pd.Timestamp(9)]})
    encoder = Encoder.fit(frame, ["n", "c", "t"])
    gone = pd.DataFrame({name: pd.Series([None], dtype=object) for name in frame})
    assert encoder.transform(gone).tolist() == [[0, 0, 0, 1, 0]]  # the mean, other, the mean


def test_columns_keep_the_order_asked_for_and_others_are_ignored() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "extra": ["x", "y"]})
    encoder = Encoder.fit(frame, ["b", "a"])
    assert encoder.names == ("b", "a")
    assert encoder.transform(frame[["extra", "a", "b"]]).tolist() == [[-1, -1], [1, 1]]


@pytest.mark.parametrize("state", [{}, {"columns": [{}]}, {"columns": [{"name": "x", "kind": "odd", "levels": []}]}])
def test_a_foreign_state_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="not the JSON of an encoding"):
        Encoder.from_json(state)
