"""The registered model takes what the exported one takes: whatever pandas reads, with the same answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel

from models.classifier import Classifier
from models.features import Encoder
from models.inference import Inference
from models.layout import Layout
from tests import sweeps
from tuner.engine.tracking.publisher import publish

N = 24
PARQUET = pd.DataFrame(
    {
        "int64": np.arange(N),
        "Int64": pd.array([1, 2, None] * 8, dtype="Int64"),
        "uint8": np.arange(N, dtype=np.uint8),
        "float32": np.linspace(-1, 1, N, dtype=np.float32),
        "Float64": pd.array([0.1, None, 1e300] * 8, dtype="Float64"),
        "bool": [True, False] * 12,
        "boolean": pd.array([True, None, False] * 8, dtype="boolean"),
        "decimal": [Decimal("1.25"), Decimal("2.50")] * 12,
        "category": pd.Categorical(["AA", "UA", None] * 8),
        "number_names": pd.Categorical([1, 2, None] * 8),
        "string": pd.array(["x", None, "y"] * 8, dtype="string"),
        "object": pd.Series([1, "one"] * 12).astype(str).astype(object),
        "datetime64": pd.date_range("2013-01-01", periods=N, freq="h"),
        "zoned": pd.date_range("2013-01-01", periods=N, freq="D", tz="Europe/Berlin"),
        "date": [date(2013, 1, 1), None] * 12,
    }
)


def classifier_for(frame: pd.DataFrame) -> Classifier:
    encoder = Encoder.fit(frame, list(frame), min_count=1)
    layout = Layout(encoder.width, (8,), 2, batch_norm=False)
    params = torch.randn(1, layout.length, generator=torch.Generator().manual_seed(0))
    return Classifier(encoder, Inference(layout, params, "relu", 2), ["a", "b"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Classifier]:
    """What is read from a real Parquet file, and a classifier of it."""
    file = tmp_path_factory.mktemp("data") / "rows.parquet"
    PARQUET.to_parquet(file)
    frame = pd.read_parquet(file)
    return frame, classifier_for(frame)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, trained: tuple[pd.DataFrame, Classifier]) -> PyFuncModel:
    home = tmp_path_factory.mktemp("registered")
    uri = f"sqlite:///{home}/mlflow.db"
    sweeps.write(home / "sweep", 4, 4, model=True)
    trained[1].save(home / "sweep" / "model")
    assert publish(str(home / "sweep"), uri)
    assert MlflowClient(uri, uri).get_model_version_by_alias("delays", "champion").version in ("1", 1)
    return mlflow.pyfunc.load_model("models:/delays@champion")


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda frame: frame,
    "some rows in another order": lambda frame: frame.sample(frac=0.5, random_state=0),
    "nullable": lambda frame: frame.convert_dtypes(),
    "arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "half precision": lambda frame: frame.assign(float32=frame["float32"].astype(np.float16)),
    "integers for floats": lambda frame: frame.assign(float32=np.arange(N), Float64=np.arange(N)),
    "booleans for numbers": lambda frame: frame.assign(int64=frame["bool"]),
    "texts for times": lambda frame: frame.assign(datetime64=frame["datetime64"].astype(str)),
    "nothing but missing": lambda frame: frame.assign(category=None, date=pd.NaT, boolean=None),
    "more columns": lambda frame: frame.assign(more=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_pandas_reads_is_served(
    trained: tuple[pd.DataFrame, Classifier], registered: PyFuncModel, change: str
) -> None:
    frame, classifier = CHANGES[change](trained[0]), trained[1]
    served = registered.predict(frame)
    assert list(served) == ["a", "b"]
    assert served.index.equals(frame.index)
    assert np.array_equal(served.to_numpy(), classifier.predict_proba(frame))


def test_the_columns_are_shown_and_those_that_may_be_missing_may_be_left_out(
    trained: tuple[pd.DataFrame, Classifier], registered: PyFuncModel
) -> None:
    frame, classifier = trained
    shown = registered.metadata.get_input_schema()
    optional = ["Int64", "Float64", "boolean", "category", "number_names", "string", "date"]
    assert shown.input_names() == list(frame)
    assert shown.optional_input_names() == optional
    bare = registered.predict(frame.drop(columns=optional))
    assert np.array_equal(bare.to_numpy(), classifier.predict_proba(frame.assign(**dict.fromkeys(optional))))
    with pytest.raises(MlflowException, match="missing inputs \\['int64'\\]"):
        registered.predict(frame.drop(columns="int64"))


def test_what_does_not_fit_is_refused_by_name(
    trained: tuple[pd.DataFrame, Classifier], registered: PyFuncModel
) -> None:
    with pytest.raises(ValueError, match="'int64' was a number in training"):
        registered.predict(trained[0].assign(int64="many"))
