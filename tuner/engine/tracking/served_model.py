"""The code of the registered model: MLflow loads this file, and the exported classifier beside it. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


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
        optional = [column.name for column in self._classifier.encoder.columns if column.missing]
        left_out = dict.fromkeys(name for name in optional if name not in model_input)
        probabilities = self._classifier.predict_proba(model_input.assign(**left_out))
        names = [str(name) for name in self._classifier.classes]
        return pd.DataFrame(probabilities, columns=names, index=model_input.index)


mlflow.models.set_model(ServedClassifier())
