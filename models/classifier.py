"""The exported model: raw columns in, class probabilities out; one safetensors file and one JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.config import CHOICES
from models.features import Encoder
from models.inference import Inference
from models.layout import Layout

VERSION = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


class ModelError(ValueError):
    """A stored model that cannot be read."""


class Classifier:
    """An encoder, one network without padding (batch norm folded into its weights), and the names of the classes."""

    def __init__(self, encoder: Encoder, inference: Inference, classes: Sequence[str | int | bool]) -> None:
        layout = inference.layout
        if len(inference.params) != 1 or (layout.inputs, layout.classes) != (encoder.width, len(classes)):
            raise ModelError(
                f"a classifier takes one unpadded network: {len(inference.params)} of {layout.inputs} inputs and "
                f"{layout.classes} classes do not fit {encoder.width} encoded columns and {len(classes)} names"
            )
        self.encoder, self.inference, self.classes = encoder, inference, tuple(classes)

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Class probabilities [N, classes] of raw rows; columns in the order of `classes`, each row sums to 1."""
        X = torch.from_numpy(self.encoder.transform(frame))
        if not len(X):
            return np.empty((0, len(self.classes)))
        proba = self.inference.log_proba(X)[0].double().exp()
        result: NDArray[np.float64] = (proba / proba.sum(1, keepdim=True)).numpy()
        return result

    def save(self, directory: Path) -> None:
        """Write the two files into `directory`, which is made if need be."""
        directory.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        for layer, (W, b) in enumerate(self.inference.layers()):
            tensors |= {f"weight_{layer}": W[0].cpu().contiguous(), f"bias_{layer}": b[0, 0].cpu().contiguous()}
        save_file(tensors, directory / WEIGHTS)
        layout = self.inference.layout
        description = {
            "version": VERSION,
            "classes": list(self.classes),
            "network": {
                "inputs": layout.inputs,
                "hidden_widths": list(layout.widths),
                "activation": self.inference.activation,
            },
            "encoder": self.encoder.to_json(),
        }
        text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
        (directory / DESCRIPTION).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Classifier:
        """The classifier that `save` wrote. ModelError names the file and what is wrong with it."""
        description = _description(directory / DESCRIPTION)
        try:
            tensors = load_file(directory / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot read {directory / WEIGHTS} ({error}): export the model again") from error
        try:
            network, classes = description["network"], description["classes"]
            layout = Layout(int(network["inputs"]), tuple(network["hidden_widths"]), len(classes), batch_norm=False)
            activation, encoder = network["activation"], Encoder.from_json(description["encoder"])
            if activation not in CHOICES["activation"]:
                raise ValueError(f"activation {activation!r} is unknown")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{directory / DESCRIPTION} describes no model ({error!r}): export the model again"
            ) from error
        expected: dict[str, tuple[int, ...]] = {f"weight_{layer}": shape for layer, shape in enumerate(layout.shapes)}
        expected |= {f"bias_{layer}": (out,) for layer, (out, _) in enumerate(layout.shapes)}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if found != expected:
            raise ModelError(f"{directory / WEIGHTS} holds {found}, and {DESCRIPTION} describes {expected}")
        inference = Inference(layout, torch.empty(1, layout.length), activation, len(classes))
        for layer, (W, b) in enumerate(inference.layers()):
            W[0] = tensors[f"weight_{layer}"]
            b[0, 0] = tensors[f"bias_{layer}"]
        return cls(encoder, inference, classes)


def _description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read {path} ({error!r}): it is not the description of a model") from error
    if version != VERSION:
        raise ModelError(f"{path} has format version {version!r}, and this Caviar reads version {VERSION}: update it")
    return description  # type: ignore[no-any-return]
