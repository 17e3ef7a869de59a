"""Reading: every format gives the same rows, in one order, and every unusable source says what to do."""

from __future__ import annotations

import sqlite3
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.feather
import pytest

from models.errors import DataError
from tests.specs import SECRETS
from tuner.data.database import hide_secrets
from tuner.data.source import describe_source, read, read_rows

TABLE = pd.DataFrame(
    {
        "when": ["2013-01-01T05:00:00Z", "2013-01-01T06:00:00+01:00", "2013-01-02"],
        "size": [1.5, None, 3.0],
        "colour": ["red", None, "blue"],
        "kind": ["a", "b", "a"],
    }
)


WRITE = "write them as ISO 8601, e.g. 2013-01-31 or 2013-01-31T12:00"


def write(frame: pd.DataFrame, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffixes[0]:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".parquet":
            frame.to_parquet(path)
        case ".feather":
            pyarrow.feather.write_feather(pyarrow.Table.from_pandas(frame), str(path))
        case ".db":
            with sqlite3.connect(path) as connection:
                frame.to_sql("rows", connection, index=False)
    return str(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.feather"])
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    frame = read(write(TABLE, tmp_path / name), target="kind", time="when")
    assert list(frame) == ["size", "colour", "kind", "when"]
    assert frame["size"].tolist()[::2] == [1.5, 3.0]
    assert frame["colour"].isna().tolist() == [False, True, False]
    assert frame["when"].dtype == "datetime64[us]"
    hours = [pd.Timestamp("2013-01-01 05:00"), pd.Timestamp("2013-01-01 05:00"), pd.Timestamp("2013-01-02")]
    assert frame["when"].tolist() == hours


def test_sql_gives_the_same_rows_whatever_the_order_of_the_database(tmp_path: Path) -> None:
    frames = []
    for name, rows in (("one.db", TABLE), ("two.db", TABLE.iloc[::-1])):
        url = f"sqlite:///{write(rows, tmp_path / name)}"
        frames.append(read(None, sql_url=url, sql_query="SELECT * FROM rows", target="kind", time="when"))
    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert sorted(frames[0]["size"].dropna()) == [1.5, 3.0]


def test_a_query_may_hold_colons_and_percent_signs(tmp_path: Path) -> None:
    url = f"sqlite:///{write(TABLE, tmp_path / 't.db')}"
    query = "SELECT size, kind, 'a :b 10:30 ::c' AS text FROM rows WHERE colour LIKE '%re%'"
    frame = read(None, sql_url=url, sql_query=query, target="kind")
    assert frame["text"].tolist() == ["a :b 10:30 ::c"]


def test_a_query_that_writes_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{write(TABLE, tmp_path / 't.db')}"
    with pytest.raises(DataError, match="check url, driver and query"):
        read(None, sql_url=url, sql_query="DELETE FROM rows", target="kind")
    assert len(read(None, sql_url=url, sql_query="SELECT * FROM rows", target="kind")) == 3


def test_files_are_read_by_name_once_however_they_are_listed(tmp_path: Path) -> None:
    for month in (2, 1, 3):
        write(pd.DataFrame({"x": [month], "y": ["a"]}), tmp_path / f"{month}.csv")
    several = [str(tmp_path / "[23].csv"), str(tmp_path / "1.csv"), str(tmp_path / "*.csv"), f"file://{tmp_path}/2.csv"]
    assert read(several, target="y")["x"].tolist() == [1, 2, 3]


def test_a_source_may_be_any_file_system(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://bucket/part-1.csv", "w") as handle:
        handle.write("x,y\n1,a\n")
    assert read("memory://bucket/*.csv", target="y")["x"].tolist() == [1]


def test_images_are_flattened_row_by_row(tmp_path: Path) -> None:
    X = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.savez_compressed(tmp_path / "t.npz", X=X, y=np.array([1, 0]))
    frame = read(str(tmp_path / "t.npz"), target=None)
    assert list(frame) == [*(f"x{place}" for place in range(12)), "y"]
    assert frame.to_numpy()[:, :12].tolist() == X.reshape(2, 12).tolist()
    assert list(read(str(tmp_path / "t.npz"), columns=["x3"])) == ["x3", "y"]


def test_only_the_columns_asked_for_come_back_in_their_order(tmp_path: Path) -> None:
    for name in ("t.csv", "t.parquet", "t.feather"):
        frame = read(write(TABLE, tmp_path / name), columns=["colour", "size"], target="kind")
        assert list(frame) == ["colour", "size", "kind"]
    assert list(read(str(tmp_path / "t.csv"), columns=["when"], target="kind", time="when")) == ["when", "kind"]


def test_a_named_pandas_index_is_a_column(tmp_path: Path) -> None:
    TABLE.set_index("when").to_parquet(tmp_path / "named.parquet")
    TABLE.iloc[[2, 0]].to_parquet(tmp_path / "rows.parquet")
    assert len(read(str(tmp_path / "named.parquet"), target="kind", time="when")) == 3
    assert list(read(str(tmp_path / "rows.parquet"), target="kind")) == ["when", "size", "colour", "kind"]


def bad_npz(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_a_comma_that_ends_every_row_moves_no_column(tmp_path: Path) -> None:
    (tmp_path / "ended.csv").write_text("size,kind\n0,a,\n1,b,\n")
    frame = read(str(tmp_path / "ended.csv"), target="kind")
    assert frame.to_dict("list") == {"size": [0, 1], "kind": ["a", "b"]}


def test_unusable_sources_say_rule_value_and_next_step(tmp_path: Path) -> None:
    good = write(TABLE, tmp_path / "good.csv")
    (tmp_path / "zero.csv").touch()
    (tmp_path / "header.csv").write_text("size,kind\n")
    (tmp_path / "torn.parquet").write_bytes(Path(write(TABLE, tmp_path / "t.parquet")).read_bytes()[:-20])
    (tmp_path / "text.npz").write_text("not a zip")
    (tmp_path / "notes.txt").write_text("x")
    pickled = bad_npz(tmp_path / "pickled.npz", X=np.array([[1], [None]], dtype=object), y=[0, 1])
    lone = bad_npz(tmp_path / "lone.npz", X=np.ones((2, 2)))
    short = bad_npz(tmp_path / "short.npz", X=np.ones((2, 2)), y=np.ones(3))
    write(pd.DataFrame({"size": [1.0], "other": [2], "kind": ["a"]}), tmp_path / "b-differs.csv")
    write(TABLE.assign(gone=None), tmp_path / "gone.csv")
    (tmp_path / "double.csv").write_text("size,kind,size\n1,a,2\n3,b,4\n")
    write(TABLE.assign(when=["31/01/2013", "2013-01-02", "2013-01-03"]), tmp_path / "british.csv")
    (tmp_path / "latin.csv").write_bytes("größe,kind\n1,a\n".encode("latin-1"))
    (tmp_path / "late-latin.csv").write_bytes("size,kind\n1,a\n2,\xe9\n".encode("latin-1"))
    write(TABLE.assign(when=["2013-01-01", "first of May", "2013"]), tmp_path / "when.csv")
    write(TABLE.assign(when=pd.Series(["2013-01-01", None, "2013-02-01"])), tmp_path / "timeless.csv")
    for name, sign in (("semicolons", ";"), ("tabs", "\t"), ("bars", "|")):
        TABLE.to_csv(tmp_path / f"{name}.csv", sep=sign, index=False, decimal="," if sign == ";" else ".")
    (tmp_path / "titled.csv").write_text("Sizes of 2013\n\nsize,kind\n1,a\n2,b\n")
    (tmp_path / "longer.csv").write_text("size,kind\n0,a,x\n1,b,y\n")
    (tmp_path / "ragged.csv").write_text("size,kind\n1,a\n2,b,c\n")
    at = str(tmp_path)
    cases: list[tuple[str | list[str] | None, dict[str, Any], list[str]]] = [
        (f"{at}/none-*.csv", {}, ["none matches", "none-*.csv", "check path"]),
        (f"{at}/", {}, ["none matches", f"write {at}/*.csv"]),
        (f"{at}/zero.csv", {}, ["zero.csv", "is empty", "write it again"]),
        (f"{at}/header.csv", {}, ["must have rows", "header.csv"]),
        (f"{at}/torn.parquet", {}, ["must be readable", "torn.parquet", "write it again"]),
        (f"{at}/text.npz", {}, ["must be readable", "text.npz"]),
        (f"{at}/notes.txt", {}, [".parquet", "notes.txt", "convert or rename"]),
        (pickled, {}, ["must be readable", "pickle"]),
        (lone, {}, ["must hold X and y", "['X']"]),
        (short, {}, ["y must be [N]", "(3,)", "reshape"]),
        (good, {"target": "kinds"}, ["lack 'kinds'", "nearest: 'kind'"]),
        (good, {"target": None}, ["target column must be named"]),
        (good, {"columns": ["colour", "sise"]}, ["lack 'sise'", "nearest: 'size'"]),
        (good, {"time": "whn"}, ["lack 'whn'", "nearest: 'when'"]),
        (good, {"columns": ["size", "kind"]}, ["must not be a feature", "'kind'"]),
        (good, {"columns": ["size", "size"]}, ["'size' comes twice"]),
        (f"{at}/gone.csv", {}, ["must have values", "'gone' has none", "leave out"]),
        (f"{at}/when.csv", {"time": "when"}, ["'when' must hold times, not 'first of May': " + WRITE]),
        (f"{at}/british.csv", {"time": "when"}, ["must hold times, not '31/01/2013': " + WRITE]),
        (f"{at}/timeless.csv", {"time": "when"}, ["'when' has none in 1 row:"]),
        (good, {"time": "size", "columns": ["colour"]}, ["'size' has none in 1 row:"]),
        (f"{at}/b-differs.csv", {"time": "other"}, ["must hold times, not int64 such as 2: " + WRITE]),
        (f"{at}/double.csv", {}, ["must be unique", "'size' comes more than once", "rename"]),
        (f"{at}/latin.csv", {}, ["latin.csv", "must be UTF-8", "save it as UTF-8"]),
        (f"{at}/late-latin.csv", {}, ["save it as UTF-8"]),
        (f"{at}/semicolons.csv", {}, ["must have commas", "has semicolons", "save it with commas"]),
        (f"{at}/tabs.csv", {}, ["must have commas", "has tabs", "save it with commas"]),
        (f"{at}/bars.csv", {}, ["must have commas", "has bars", "save it with commas"]),
        (f"{at}/titled.csv", {}, ["must name all columns", "than its 1 name:", "any lines before"]),
        (f"{at}/longer.csv", {}, ["must name all columns", "than its 2 names:"]),
        (f"{at}/ragged.csv", {}, ["Expected 2 fields in line 3, saw 3): write it again"]),
        ([good, f"{at}/b-differs.csv"], {}, ["same columns", "good.csv", "'colour'", "align"]),
        ("nosuch://bucket/x.csv", {}, ["cannot look for nosuch://bucket/x.csv", "nosuch"]),
        (None, {}, ["`source` or from `sql`"]),
        (good, {"sql_url": "sqlite://", "sql_query": "SELECT 1"}, ["give one of them"]),
        (None, {"sql_url": f"sqlite:///{at}/no.db", "sql_query": "SELECT 1"}, ["must exist", "no.db"]),
        (None, {"sql_url": "sqlite://", "sql_query": "SELECT * FROM nowhere"}, ["nowhere", "check url"]),
        (None, {"sql_url": "sqlite://", "sql_query": "SELECT 1 AS a, 'x' AS kind WHERE 0"}, ["must have rows"]),
        (None, {"sql_url": "not a url", "sql_query": "SELECT 1"}, ["cannot read from not a url"]),
    ]
    for source, changes, told in cases:
        with pytest.raises(DataError) as caught:
            read(source, **{"target": "kind", **changes})
        for words in told:
            assert words in str(caught.value), f"{source} {changes}"
    assert not (tmp_path / "no.db").exists()


def test_two_columns_of_one_name_matter_only_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"x","y","x.1","note","note",,\n1,a,2,p,q,,\n')
    assert read(str(tmp_path / "t.csv"), columns=["x.1", "x"], target="y")["x.1"].tolist() == [2]
    (tmp_path / "nameless.csv").write_text("x,y,x.1,,\n1,a,2,3,4\n")
    assert read(str(tmp_path / "nameless.csv"), target="y")["x.1"].tolist() == [2]


def test_rows_to_predict_keep_their_texts_and_need_no_label(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("code,size\n02,1\n1,2\n,3\n")
    rows = read_rows(str(tmp_path / "t.csv"), ["size", "code"], ["code"])
    assert rows["code"].tolist()[:2] == ["02", "1"]
    assert rows["code"].isna().tolist() == [False, False, True]
    assert rows["size"].tolist() == [1, 2, 3]
    np.savez(tmp_path / "bare.npz", X=np.arange(6).reshape(3, 2))
    assert read_rows(str(tmp_path / "bare.npz"), ["x1", "x0"]).to_numpy().tolist() == [[1, 0], [3, 2], [5, 4]]
    with pytest.raises(DataError, match="lack 'x2'"):
        read_rows(str(tmp_path / "bare.npz"), ["x2"])
    with pytest.raises(DataError, match="must hold X, and this one holds"):
        read_rows(bad_npz(tmp_path / "y.npz", y=np.ones(3)), ["x0"])


def test_a_source_may_name_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(TABLE, tmp_path / "t.csv")
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    assert len(read("${SOME_FOLDER}/t.csv", target="kind")) == len(read(path, target="kind")) == 3
    assert describe_source("${SOME_FOLDER}/t.csv", None) == "${SOME_FOLDER}/t.csv"
    monkeypatch.delenv("SOME_FOLDER")
    with pytest.raises(DataError, match="set SOME_FOLDER"):
        read("${SOME_FOLDER}/t.csv", target="kind")


@pytest.mark.parametrize(("allowed", "job"), [("OTHER, NAMES", False), ("", True), (None, True)])
def test_specs_of_strangers_see_no_variable_that_is_not_meant_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str | None, job: bool
) -> None:
    write(TABLE, tmp_path / "t.csv")
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    if job:
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    if allowed is not None:
        monkeypatch.setenv("CAVIAR_SPEC_VARIABLES", allowed)
    with pytest.raises(DataError, match="SOME_FOLDER}, which specs may not use here: add it to CAVIAR_SPEC_VARIABLES"):
        read("${SOME_FOLDER}/t.csv", target="kind")
    monkeypatch.setenv("CAVIAR_SPEC_VARIABLES", "OTHER, SOME_FOLDER")
    assert len(read("${SOME_FOLDER}/t.csv", target="kind")) == 3


@pytest.mark.parametrize(
    "query",
    [
        "VACUUM INTO '{at}/made.db'",
        "ATTACH DATABASE '{at}/other.db' AS other",
        "INSERT INTO rows SELECT * FROM rows RETURNING *",
        "PRAGMA writable_schema = 1",
        "CREATE TABLE made (x)",
        "DELETE FROM rows RETURNING *",
    ],
)
def test_a_query_reads_its_database_and_nothing_else(tmp_path: Path, query: str) -> None:
    path = write(TABLE, tmp_path / "t.db")
    write(TABLE, tmp_path / "other.db")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"not authorized|authorization denied"):
        read(None, sql_url=f"sqlite:///{path}", sql_query=query.format(at=tmp_path), target="kind")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("duckdb:///{at}/x.db", "must be one of sqlite, postgresql"),
        ("mysql+pymysql://me@127.0.0.1/x?local_infile=1", "must not set local_infile"),
        ("sqlite:///file:{at}/made.db?mode=rwc&uri=true", "must exist"),
    ],
)
def test_a_database_that_reaches_further_is_refused(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(None, sql_url=url.format(at=tmp_path), sql_query="SELECT 1 AS a", target="a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "address", ["http://me:hush@127.0.0.1:1/rows.csv", "http://127.0.0.1:1/rows.csv?token=hush", "no://me:hush@x/r.csv"]
)
def test_no_error_of_a_file_system_shows_a_password(address: str) -> None:
    with pytest.raises(DataError) as caught:
        read(address, target="y")
    assert "***" in str(caught.value)
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_columns_a_user_does_not_want_may_differ_between_files(tmp_path: Path) -> None:
    write(pd.DataFrame({"x": [1], "old": [2], "y": ["a"]}), tmp_path / "1.csv")
    write(pd.DataFrame({"x": [3], "new": [4], "y": ["b"]}), tmp_path / "2.csv")
    assert read(f"{tmp_path}/*.csv", columns=["x"], target="y")["x"].tolist() == [1, 3]


def test_passwords_never_show(tmp_path: Path) -> None:
    assert hide_secrets("postgresql://me:p@ss:w0rd@db:5432/x") == "postgresql://me:***@db:5432/x"
    assert hide_secrets("postgresql://me@db/x?sslpassword=hush&a=b") == "postgresql://me@db/x?sslpassword=***&a=b"
    odbc = "mssql+pyodbc://?odbc_connect=DRIVER={ODBC Driver 18};UID=me;PWD=hush;"
    assert hide_secrets(odbc) == "mssql+pyodbc://?odbc_connect=***"
    for template in SECRETS:
        assert "hush" in template.format("hush")
        assert "hush" not in hide_secrets(template.format("hush"))
    assert hide_secrets("data/*.parquet") == "data/*.parquet"
    assert describe_source(("s3://key:secret@bucket/a", "b"), None) == "s3://key:***@bucket/a, b"
    with pytest.raises(DataError) as caught:
        read(None, sql_url="postgresql://me:hushhush@localhost:1/x", sql_query="SELECT 1", target="y")
    assert "hushhush" not in str(caught.value)
    assert "postgresql://me:***@localhost:1/x" in str(caught.value)
