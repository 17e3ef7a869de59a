"""File formats: CSV, Parquet, Feather, NPZ. A reader gives the wanted columns and the names of all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from models.features import DataError
from tuner.data.request import NPZ_TARGET

Table = tuple[pd.DataFrame, list[str]]


def _read_csv(handle: IO[bytes], wanted: set[str] | None) -> Table:
    frame = pd.read_csv(handle, low_memory=False)
    names = [str(name) for name in frame.columns]
    frame.columns = pd.Index(names)
    return (frame if wanted is None else frame[[name for name in names if name in wanted]]), names


def _read_parquet(handle: IO[bytes], wanted: set[str] | None) -> Table:
    file = pyarrow.parquet.ParquetFile(handle)
    return _from_arrow(file.schema_arrow, lambda names: file.read(columns=names), wanted)


def _read_feather(handle: IO[bytes], wanted: set[str] | None) -> Table:
    table = pyarrow.feather.read_table(handle)
    return _from_arrow(table.schema, table.select, wanted)


def _from_arrow(schema: pa.Schema, load: Callable[[list[str]], pa.Table], wanted: set[str] | None) -> Table:
    # a named pandas index is a column like any other, an unnamed one only counts rows
    names = [name for name in schema.names if not re.fullmatch(r"__index_level_\d+__", name)]
    table = load([name for name in names if wanted is None or name in wanted])
    return table.to_pandas(ignore_metadata=True), names


def _read_npz(handle: IO[bytes], wanted: set[str] | None) -> Table:
    with np.load(handle, allow_pickle=False) as arrays:
        if not {"X", NPZ_TARGET} <= set(arrays):
            raise DataError(f"an NPZ file must hold X and y, and this one holds {sorted(arrays)}: rename its arrays")
        X, y = arrays["X"], arrays[NPZ_TARGET]
    if X.ndim < 2 or X.dtype.kind not in "biuf" or y.shape not in ((len(X),), (len(X), 1)):
        raise DataError(
            f"X must be numeric [N, ...] and y must be [N]; X is {X.dtype} {X.shape}, y is {y.dtype} {y.shape}: reshape"
        )
    X = X.reshape(len(X), -1)
    frame = pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])])
    frame[NPZ_TARGET] = y.reshape(-1)
    return (frame if wanted is None else frame[[name for name in frame if name in wanted]]), list(frame.columns)


READERS: dict[str, Callable[[IO[bytes], set[str] | None], Table]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".npz": _read_npz,
}
