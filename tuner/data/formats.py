"""File formats: CSV, Parquet, Feather, NPZ. A reader gives the wanted columns and the names of all.

`texts` are columns whose values are texts even if all look like numbers: a CSV file does not say.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from models.columns import counted, require_unique
from models.errors import DataError
from tuner.data.request import NPZ_TARGET

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

Table = tuple[pd.DataFrame, list[str]]
Reader = Callable[[IO[bytes], set[str] | None, Collection[str]], Table]


def _read_csv(handle: IO[bytes], wanted: set[str] | None, texts: Collection[str]) -> Table:
    try:
        header = _header(handle)
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            frame = pd.read_csv(handle, index_col=False, low_memory=False, dtype=dict.fromkeys(texts, "str"))
    except UnicodeDecodeError as error:
        raise DataError(
            "a CSV file must be UTF-8 text, and this one is not: save it as UTF-8, "
            "e.g. with `iconv -f WINDOWS-1252 -t UTF-8` if it was written on Windows"
        ) from error
    except pd.errors.ParserWarning as error:  # of values that pandas would drop
        raise DataError(
            f"the first line of a CSV file must name all columns, and rows of this one have more fields than its "
            f"{counted(len(header), 'name')}: name every column, and take away any lines before the names"
        ) from error
    names = [str(name) for name in frame.columns]
    if {name.rpartition(".")[0] for name in names} & set(names):  # pandas calls the second x of a file x.1
        require_unique([name for name in header if name and (wanted is None or name in wanted)])
    frame.columns = pd.Index(names)
    return (frame if wanted is None else frame[[name for name in names if name in wanted]]), names


def _header(handle: IO[bytes]) -> list[str]:
    """The names in the first line as they are written. Raises DataError where no commas part them."""
    first = pd.read_csv(handle, header=None, nrows=1, dtype="str", keep_default_na=False)
    handle.seek(0)
    names = [str(name) for name in first.iloc[0]]
    other = next((sign for sign in SEPARATORS if len(names) == 1 and sign in names[0]), None)
    if other is not None:
        raise DataError(
            f"a CSV file must have commas between its columns, and this one has {SEPARATORS[other]}: "
            f"save it with commas (and with points in decimals)"
        )
    return names


def _read_parquet(handle: IO[bytes], wanted: set[str] | None, _: Collection[str]) -> Table:
    file = pyarrow.parquet.ParquetFile(handle)
    return _from_arrow(file.schema_arrow, lambda names: file.read(columns=names), wanted)


def _read_feather(handle: IO[bytes], wanted: set[str] | None, _: Collection[str]) -> Table:
    table = pyarrow.feather.read_table(handle)
    return _from_arrow(table.schema, table.select, wanted)


def _from_arrow(schema: pa.Schema, load: Callable[[list[str]], pa.Table], wanted: set[str] | None) -> Table:
    # a named pandas index is a column like any other, an unnamed one only counts rows
    names = [name for name in schema.names if not re.fullmatch(r"__index_level_\d+__", name)]
    table = load([name for name in names if wanted is None or name in wanted])
    return table.to_pandas(ignore_metadata=True), names


def _read_npz(handle: IO[bytes], wanted: set[str] | None, _: Collection[str]) -> Table:
    labelled = wanted is None or NPZ_TARGET in wanted
    with np.load(handle, allow_pickle=False) as arrays:
        needed = ["X", NPZ_TARGET] if labelled else ["X"]
        if not set(needed) <= set(arrays):
            told = " and ".join(needed)
            raise DataError(f"an NPZ file must hold {told}, and this one holds {sorted(arrays)}: rename its arrays")
        X, y = arrays["X"], arrays[NPZ_TARGET] if labelled else None
    if X.ndim < 2 or X.dtype.kind not in "biuf":
        raise DataError(f"X must be numeric [N, ...], and is {X.dtype} {X.shape}: reshape")
    X = X.reshape(len(X), -1)
    frame = pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])])
    if y is not None:
        if y.shape not in ((len(X),), (len(X), 1)):
            raise DataError(f"y must be [N], one label a row; it is {y.dtype} {y.shape}, N is {len(X)}: reshape")
        frame[NPZ_TARGET] = y.reshape(-1)
    return (frame if wanted is None else frame[[name for name in frame if name in wanted]]), list(frame.columns)


READERS: dict[str, Reader] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".npz": _read_npz,
}
