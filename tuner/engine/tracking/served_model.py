"""The code of the registered model: MLflow loads this file, and the exported classifier beside it. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

if TYPE_CHECKING:
    from models.features import Encoder


class ServedClassifier(PythonModel):
    """Raw columns in, one column of probabilities a class out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the classifier from the artifact `model`, a folder."""
        from models.classifier import Classifier  # late, so that a model is registered without torch

        self._classifier = Classifier.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Class probabilities [N, C] of the raw rows, with the rows' index and the class names as columns."""
        probabilities = self._classifier.predict_proba(_as_trained(model_input, self._classifier.encoder))
        names = [str(name) for name in self._classifier.classes]
        return pd.DataFrame(probabilities, columns=names, index=model_input.index)


def _as_trained(frame: pd.DataFrame, encoder: Encoder) -> pd.DataFrame:
    """`frame` as it was in training: an optional column that was left out is missing, a category is a text.

    MLflow hands over the bare values of columns, so that categories may arrive as the numbers that they are named by.
    """
    absent = {column.name: None for column in encoder.columns if column.missing and column.name not in frame}
    texts = {
        column.name: _texts(frame[column.name], frozenset(column.levels))
        for column in encoder.columns
        if column.kind == "category" and column.name in frame
    }
    return frame.assign(**absent, **texts)


def _texts(values: pd.Series, levels: frozenset[str]) -> pd.Series:
    """The values as the levels are written; where some are missing, pandas has made floats of whole numbers."""

    def text(value: object) -> str:
        if isinstance(value, float) and value.is_integer() and str(value) not in levels:
            value = int(value)
        return str(value)

    return values.map(text, na_action="ignore")


mlflow.models.set_model(ServedClassifier())
