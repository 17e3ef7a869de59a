"""What a registered model says of itself: its columns, its classes, and two rows to try it with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from models.columns import Kind
from models.features import Column, Encoder


def signature(encoder: Encoder, classes: Sequence[object]) -> ModelSignature:
    """Raw columns in, one probability a class out; columns that had missing values in training may be left out.

    The columns are of any type, for MLflow's others refuse what the encoder takes: int64 is no double to it, a
    category or a time no string. What does not fit is refused by the encoder, which names the column.
    """
    anything = AnyType()  # type: ignore[no-untyped-call]
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(anything, column.name, required=not column.missing) for column in encoder.columns
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("double", str(name)) for name in classes]
    return ModelSignature(Schema(inputs), Schema(outputs))


def example(encoder: Encoder) -> pd.DataFrame:
    """Two typical rows, made from the encoding's own state, so that no record of the training data is published."""
    return pd.DataFrame({column.name: [_typical(column)] * 2 for column in encoder.columns})


def _typical(column: Column) -> Any:
    match column.kind:
        case Kind.NUMBER:
            return column.mean
        case Kind.BOOLEAN:
            return column.mean >= 0.5
        case Kind.DATETIME:
            return pd.Timestamp(column.mean, unit="s").isoformat()
        case _:
            return column.levels[0] if column.levels else "other"
