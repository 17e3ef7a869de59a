"""Odd tables, as people have them: what is guessed of each, and what is rather asked or said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.errors import DataError
from tuner.data.guessing.guess import Guess, guess
from tuner.data.guessing.names import words

RANDOM = np.random.default_rng(0)
ROWS = 300
NUMBERS = RANDOM.normal(size=ROWS)
KINDS = RANDOM.choice(["no", "yes"], ROWS)
TOWNS = RANDOM.choice(["Ulm", "Bonn", "Trier"], ROWS)
DAYS = pd.Series(pd.date_range("2024-01-01", periods=ROWS))


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"size": NUMBERS, **columns})


def beside(**columns: Any) -> Guess:
    """The guess of a table with an obvious target and these columns."""
    return guess(table(**columns, target=KINDS))


def but(values: Any, place: int, value: object) -> list[Any]:
    return [*values[:place], value, *values[place + 1 :]]


def test_one_name_in_all_its_spellings() -> None:
    assert {words(name) for name in ("customer_id", "Customer ID", "CustomerId", "CustomerID", " customer.id")} == {
        ("customer", "id")
    }


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (but(KINDS, 7, None), "no label in 1 of 300 rows.*: drop or label these"),
        (but(KINDS, 7, "maybe"), "class 'maybe' in one row only: .*--target 'target'"),
        (["yes"] * ROWS, "one class only: bring rows"),
        ([None] * ROWS, "no label in 300 of 300 rows"),
        (NUMBERS, r"numbers such as [-0-9.]+: cut it into classes"),
        ([f"k{row % 100}" for row in range(ROWS)], "100 different values: say --target 'target'"),
        ([row % 40 for row in range(ROWS)], "40 different numbers: cut them into classes, say --target 'target'"),
    ],
)
def test_nothing_is_guessed_in_place_of_what_has_the_name(labels: Any, told: str) -> None:
    with pytest.raises(DataError, match=f"by its name 'target' is the target, but it has {told}"):
        guess(table(town=TOWNS, target=labels))


@pytest.mark.parametrize(
    ("churn", "told"),
    [
        (but(KINDS, 7, None), r"2 classes, but no label in 1 of 300 rows \(empty, NA or null\)"),
        (but(KINDS, 7, "maybe"), "3 classes, but class 'maybe' in one row only"),
        (["yes"] * ROWS, "one class only"),
        ([f"k{row % 100}" for row in range(ROWS)], "100 classes, but 100 different values"),
    ],
)
def test_nothing_is_guessed_beside_what_only_some_rows_rule_out(churn: Any, told: str) -> None:
    with pytest.raises(
        DataError, match=rf"name one with --target; it could be 'town' \(3 classes\), 'churn' \({told}\)"
    ):
        guess(table(town=TOWNS, churn=churn))


def test_identifiers_and_quantities_are_no_rivals() -> None:
    notes = [f"note {row}" for row in range(ROWS)]
    found = guess(table(town=TOWNS, height_y=NUMBERS, note=notes, planet="Earth", gone=np.nan, last=NUMBERS))
    assert (found.target, found.features) == ("town", ("size", "height_y", "last"))
    assert guess(table(town=TOWNS, uuid=notes)).target == "town"
    few = pd.DataFrame({"name": [f"n{row}" for row in range(30)], "size": NUMBERS[:30], "town": TOWNS[:30]})
    assert guess(few).target == "town"


def test_a_whole_name_comes_before_the_end_of_one_and_the_other_is_told() -> None:
    found = guess(table(town_class=TOWNS, target=KINDS))
    assert found.target == "target"
    assert "a name for a target, too, and is a feature: 'town_class'" in found.remarks[0]
    for names in (("target", "label"), ("town_class", "churn label")):
        with pytest.raises(DataError, match="several columns have a name for the target: name one with --target"):
            guess(pd.DataFrame({"size": NUMBERS, names[0]: TOWNS, names[1]: KINDS}))
    assert guess(table(y=NUMBERS, label=KINDS)).target == "label"


def test_two_numbers_are_classes_as_much_as_texts_are() -> None:
    survived = RANDOM.integers(0, 2, ROWS)
    with pytest.raises(DataError, match=r"'survived' \(2 classes\), 'sex' \(2 classes\)"):
        guess(table(survived=survived, sex=KINDS))
    found = guess(table(rooms=RANDOM.integers(1, 6, ROWS), survived=survived))
    assert (found.target, found.target_reason.partition(";")[0]) == (
        "survived",
        "guessed, as the last column, where the others are rather quantities",
    )


@pytest.mark.parametrize(
    "texts",
    [
        DAYS.dt.strftime("%m/%d/%Y"),
        DAYS.dt.strftime("%d/%m/%Y %H:%M"),
        DAYS.dt.strftime("%d.%m.%Y"),
        DAYS.dt.strftime("%d.%m.%y"),
        DAYS.dt.strftime("%b %d, %Y"),
        DAYS.dt.strftime("%d-%b-%Y"),
        DAYS.dt.strftime("%A, %B %d, %Y"),
        DAYS.dt.strftime("%Y%m%d").astype(int),
        1_700_000_000 + np.arange(ROWS) * 3600,
        (1_700_000_000 + np.arange(ROWS)) * 1000,
    ],
    ids=lambda texts: str(texts[0]),
)
def test_times_that_cannot_be_read_are_told_from_texts_and_numbers(texts: Any) -> None:
    found = beside(sold_at=texts)
    assert found.time is None
    assert "'sold_at' comes near" in found.time_reason
    assert f"values such as {str(texts[0])!r}, which cannot be read as times" in found.left_out["sold_at"]


def test_what_looks_like_a_date_and_is_none() -> None:
    codes = [str(1000 + row) for row in range(100)] * 3
    found = beside(
        zip=[str(2000 + row % 20) for row in range(ROWS)],
        version=[f"1.{row % 9}.{row % 30}" for row in range(ROWS)],
        pressure=[f"{110 + row % 20}/{70 + row % 10}" for row in range(ROWS)],
        pay=RANDOM.integers(19_000_000, 21_000_000, ROWS),
        debt=RANDOM.integers(1_000_000_000, 2_000_000_000, ROWS // 2).repeat(2),
        item=codes,
    )
    assert (found.time, found.left_out) == (None, {})
    assert beside(year=codes).time == "year"
    assert beside(day=DAYS.dt.strftime("%Y%m%d")).time == "day"


def test_the_time_of_a_birth_is_not_that_of_the_row() -> None:
    born = RANDOM.permutation(DAYS.astype(str))
    assert beside(birth_date=born, made=DAYS).time == "made"
    alone = beside(BirthDate=born)
    assert (alone.time, "--time says otherwise" in alone.time_reason) == (None, True)
    assert "an age" in alone.left_out["BirthDate"]


def test_of_several_times_the_one_the_rows_stand_in_the_order_of() -> None:
    found = beside(shipped=DAYS[::-1].astype(str).tolist(), ordered=DAYS)
    assert (found.time, "in whose order" in found.time_reason) == ("ordered", True)
    assert "in 299 of 300 rows only" in beside(ended=but(DAYS.astype(str).tolist(), 0, None)).left_out["ended"]


def test_numbers_with_signs_among_texts_are_told_and_codes_kept() -> None:
    money = [f"${1000 + 7 * row:,}" for row in range(ROWS)]
    holes = ["?" if row % 20 == 0 else str(row / 8) for row in range(ROWS)]
    found = beside(money=money, holes=holes, code=[f"0{row % 30}" for row in range(ROWS)])
    assert set(found.left_out) == {"money", "holes"}
    assert "'$1,000': write plain numbers" in found.left_out["money"]
    assert "'?': write plain numbers" in found.left_out["holes"]


def test_identifiers_by_name_and_numbers_that_are_codes() -> None:
    found = beside(CustomerID=RANDOM.integers(0, 90, ROWS), store_id=RANDOM.integers(0, 9, ROWS))
    assert "an identifier by its name" in found.left_out["CustomerID"]
    assert found.remarks == (
        "by its name a code, but read as a quantity: 'store_id'; take it out, or write it with letters",
    )


def test_a_number_that_is_a_time_of_its_own() -> None:
    told = "a number that rows stand in the order of: 'Time'; to split by it, write it as ISO 8601"
    assert beside(Time=np.arange(ROWS) * 1.5, waiting_time=NUMBERS).remarks == (told,)


def test_a_value_that_is_sometimes_missing_may_tell() -> None:
    found = beside(flag=["x", None] * (ROWS // 2), planet="Earth")
    assert (found.features, found.left_out) == (("size", "flag"), {"planet": "constant"})


def test_rare_classes_and_those_that_differ_in_spelling_only() -> None:
    rare = guess(table(target=["yes"] * 5 + ["no"] * (ROWS - 5)))
    assert rare.remarks[0].startswith("too few rows to test on: 'yes' (5 rows);")
    alike = guess(table(target=RANDOM.choice(["no", "yes", "Yes "], ROWS)))
    assert alike.remarks[0].startswith("classes that differ in case or spaces only: ")


def test_a_first_row_in_place_of_names() -> None:
    irises = pd.DataFrame({"5.1": NUMBERS, "5.1.1": NUMBERS, "no": KINDS})
    with pytest.raises(DataError, match=r"first line must name the columns.*\(5.1, 5.1.1, no\).*put a line of names"):
        guess(irises)
    assert guess(irises.rename(columns={"no": "kind"})).target == "kind"
    places = pd.DataFrame({"0": NUMBERS, "1": RANDOM.integers(0, 3, ROWS)})
    assert guess(places).target == "1"


def test_what_cannot_be_learned_from_is_said() -> None:
    with pytest.raises(DataError, match="something to learn from, and has not: there is no other column"):
        guess(pd.DataFrame({"target": KINDS}))
    with pytest.raises(
        DataError, match=r"'text' \(an identifier or free text.*; add a column of numbers or categories"
    ):
        guess(pd.DataFrame({"text": [f"mail {row}" for row in range(ROWS)], "target": KINDS}))
    assert "such as [1, 2]" in beside(pair=[[1, 2]] * ROWS).left_out["pair"]
    with pytest.raises(DataError, match="two columns, and 'target' is both"):
        guess(table(target=KINDS), "target", "target")
    with pytest.raises(DataError, match="'sold' must hold times, not '03/14/2024': write them as ISO 8601"):
        guess(table(target=KINDS, sold="03/14/2024"), time="sold")
