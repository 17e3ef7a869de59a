"""`caviar init`: what it guesses of a table, that it says why, and that what it writes can be run as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import tuner.cli.check
import tuner.cli.init  # noqa: F401  # registers the command
from models.errors import DataError
from tuner.cli.app import app
from tuner.data.guessing.guess import Guess, guess
from tuner.spec import parse

RANDOM = np.random.default_rng(0)
ROWS = 400


def flowers() -> pd.DataFrame:
    """Two features that tell of a species given as text, beside columns that are of no use."""
    species = RANDOM.choice(["setosa", "versicolor", "virginica"], ROWS)
    size = pd.Series(species).map({"setosa": 1.0, "versicolor": 2.0, "virginica": 3.0})
    return pd.DataFrame(
        {
            "Id": range(1, ROWS + 1),
            "note": [f"flower {number}" for number in range(ROWS)],
            "petal": size + RANDOM.normal(size=ROWS),
            "sepal": RANDOM.normal(size=ROWS),
            "planet": "Earth",
            "measured": np.nan,
            "species": species,
        }
    )


def flights() -> pd.DataFrame:
    """Rows in the order of time, with a class by name and a column that the class is cut from."""
    minutes = RANDOM.normal(10, 30, ROWS)
    return pd.DataFrame(
        {
            "time_hour": pd.date_range("2013-01-01", periods=ROWS, freq="h"),
            "landed": pd.date_range("2013-01-01T05:00", periods=ROWS, freq="h").astype(str),
            "carrier": RANDOM.choice(["AA", "UA"], ROWS),
            "distance": RANDOM.normal(1000, 300, ROWS),
            "delay": minutes,
            "delay_class": np.where(minutes > 15, "late", "on time"),
        }
    )


def people() -> pd.DataFrame:
    """Nothing here is the target more than anything else."""
    return pd.DataFrame(
        {
            "sex": RANDOM.choice(["f", "m"], ROWS),
            "town": RANDOM.choice(["Ulm", "Bonn", "Trier"], ROWS),
            "rooms": RANDOM.integers(1, 6, ROWS),
            "income": RANDOM.normal(size=ROWS),
        }
    )


def test_text_classes_are_found_and_identifiers_constants_and_empty_columns_left_out() -> None:
    found = guess(flowers())
    assert (found.target, found.time) == ("species", None)
    assert found.features == ("petal", "sepal")
    assert set(found.left_out) == {"Id", "note", "planet", "measured"}
    assert found.left_out["planet"] == "constant"
    assert found.left_out["measured"] == "empty"
    assert "identifier" in found.left_out["Id"]
    assert [name for name, _ in found.classes] == ["setosa", "versicolor", "virginica"]
    assert sum(rows for _, rows in found.classes) == ROWS


def test_time_by_its_values_and_what_gives_the_answer_away() -> None:
    found = guess(flights())
    assert (found.target, found.target_reason) == ("delay_class", "guessed by its name; --target names another")
    assert found.time == "time_hour"
    assert "first" in found.time_reason
    assert found.features == ("carrier", "distance")
    assert "gives the target away" in found.left_out["delay"]
    assert "another time" in found.left_out["landed"]


def test_a_strong_feature_is_not_taken_for_a_leak() -> None:
    frame = flowers()
    right = RANDOM.random(ROWS) < 0.95
    frame["expert"] = np.where(right, frame["species"], "setosa")
    assert "expert" in guess(frame, "species").features


def test_without_an_obvious_target_the_candidates_are_named() -> None:
    with pytest.raises(DataError, match=r"--target.*'sex' \(2 classes\), 'town' \(3 classes\), 'rooms' \(5 classes\)"):
        guess(people())
    assert guess(people(), "town").target_reason == "as you named it"
    with pytest.raises(DataError, match=r"'twon' \(nearest: 'town'\)"):
        guess(people(), "twon")
    with pytest.raises(DataError, match="cut the numbers into classes"):
        guess(people(), "income")
    with pytest.raises(DataError, match="no column could be a target"):
        guess(people()[["income"]])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path / "home"))
    return tmp_path


def invoke(*args: str) -> str:
    done = CliRunner().invoke(app, args, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def uncommented(text: str) -> str:
    """The spec with every default taken from behind its #, those sections at the end excepted that are examples."""
    begun = text.partition("# Examples")[0]
    return re.sub(r"^(\s*)# ([a-z_]+:(?! \[\.\.\.\])(?=\s*[^\s#]))", r"\1\2", begun, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("data", "columns", "split"),
    [("digits.npz", 64, "random"), ("flowers.csv", 2, "random"), ("flights.parquet", 2, "time")],
)
def test_what_is_written_can_be_checked_and_its_comments_are_the_defaults(
    data: str, columns: int, split: str, folder: Path, digits: Path
) -> None:
    (folder / "digits.npz").symlink_to(digits)
    flowers().to_csv(folder / "flowers.csv", index=False)
    flights().to_parquet(folder / "flights.parquet")
    told = json.loads(invoke("init", data, "--json").splitlines()[-1])
    written = Path(told["spec"]).read_text()
    assert told["spec"] == f"{data.partition('.')[0]}.yaml"
    spec = parse(written)
    assert (spec.name, spec.data.validation.by) == (data.partition(".")[0], split)
    checked = json.loads(invoke("check", told["spec"], "--json").splitlines()[-1])
    assert len(checked["columns"]) == columns
    assert checked["classes"] == [name for name, _ in told["classes"]]
    whole = uncommented(written)
    assert len(re.findall(r"^\s*#", written, re.MULTILINE)) > len(re.findall(r"^\s*#", whole, re.MULTILINE)) + 15
    assert parse(whole) == spec


def test_a_file_that_is_there_is_not_overwritten(folder: Path) -> None:
    flowers().to_csv(folder / "flowers.csv", index=False)
    invoke("init", "flowers.csv")
    (folder / "flowers.yaml").write_text("mine")
    with pytest.raises(ValueError, match=r"flowers.yaml is there already.*--force"):
        invoke("init", "flowers.csv")
    assert (folder / "flowers.yaml").read_text() == "mine"
    invoke("init", "flowers.csv", "--force", "--target", "species")
    assert "as you named it" in (folder / "flowers.yaml").read_text()


def test_names_from_the_data_end_no_comment(folder: Path) -> None:
    frame = flowers().rename(columns={"planet": "a\nname: other", "petal": "no", "sepal": "x: {y}"})
    frame.to_csv(folder / "odd.csv", index=False)
    invoke("init", "odd.csv")
    spec = parse((folder / "odd.yaml").read_text())
    assert (spec.name, spec.data.features) == ("odd", ("no", "x: {y}"))


def test_what_to_know_is_told_and_written(folder: Path) -> None:
    frame = flowers().assign(zip=RANDOM.integers(10_000, 99_999, ROWS))
    frame.to_csv(folder / "flowers.csv", index=False)
    for text in (invoke("init", "flowers.csv"), (folder / "flowers.yaml").read_text()):
        assert "by its name a code, but read as a quantity: 'zip'" in text


def test_columns_left_out_for_one_reason_are_told_together(folder: Path) -> None:
    flowers().assign(**{f"pixel{place}": 0 for place in range(9)}).to_csv(folder / "flowers.csv", index=False)
    said = invoke("init", "flowers.csv", "--target", "species")
    assert "left out  planet, pixel0, pixel1, pixel2, pixel3, pixel4 and 4 more: constant" in said


def test_a_user_can_say_which_time_or_that_there_is_none(folder: Path) -> None:
    flights().to_parquet(folder / "flights.parquet")
    for given, time in (("landed", "landed"), ("none", None)):
        told = json.loads(invoke("init", "flights.parquet", "--time", given, "--force", "--json").splitlines()[-1])
        assert (told["time"], parse(Path(told["spec"]).read_text()).data.time) == (time, time)
        assert told["time_reason"].startswith("as you")


def test_a_guess_says_why(folder: Path) -> None:
    flights().to_parquet(folder / "flights.parquet")
    said = invoke("init", "flights.parquet")
    found: Guess = guess(flights())
    for reason in (found.target_reason, found.time_reason):
        assert reason in said
    assert re.search(r"left out +delay: gives the target away", said)
