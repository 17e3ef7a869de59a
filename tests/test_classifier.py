"""The exported model: what it predicts, and that it comes back from its two files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.classifier import Classifier, ModelError
from models.config import Config
from models.features import Encoder
from models.training import Arrays, Slots, loss_and_accuracy, train

torch.set_num_threads(1)

NAMES = ["early", "late", "cancelled"]


def raw(rows: int = 300) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"wind": draw.normal(20, 9, rows), "carrier": draw.choice(["AA", "B6", "Ünited"], rows)})
    frame.loc[::17, "wind"] = np.nan
    return frame


@pytest.fixture(scope="module", params=[(), (9, 40)], ids=str)
def trained(request: pytest.FixtureRequest) -> tuple[Classifier, Arrays, float]:
    """A classifier, the arrays it was trained on, and the validation loss seen in training."""
    frame = raw()
    encoder = Encoder.fit(frame, ["wind", "carrier"])
    y = (frame.wind.fillna(0) > 20).astype(int) + (frame.carrier == "B6")
    X, labels = torch.from_numpy(encoder.transform(frame)), torch.tensor(y.to_numpy("int64"))
    data = Arrays(X, labels, 3, slice(0, 250), slice(250, 300))
    slots = Slots.start(list("ab"), [Config(seed, request.param, batch_size=25) for seed in (1, 2)], encoder.width, 3)
    losses = [epoch[1].val_loss for epoch in train(slots, data, order_seed=0, to_epoch=20, keep_best="val_loss")]
    return Classifier(encoder, slots.best["b"], NAMES), data, min(losses)


def test_probabilities_are_those_of_training(trained: tuple[Classifier, Arrays, float]) -> None:
    classifier, data, loss = trained
    proba = classifier.predict_proba(raw())
    assert proba.shape == (300, 3)
    assert proba.dtype == np.float64
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-12
    held = proba[250:][np.arange(50), data.y[250:].numpy()]
    assert -np.log(held).mean() == pytest.approx(loss, rel=1e-5)
    again, _ = loss_and_accuracy(classifier.inference, data.X[250:], data.y[250:])
    assert again.item() == pytest.approx(loss, rel=1e-5)


def test_rows_are_predicted_one_by_one_whatever_their_order(trained: tuple[Classifier, Arrays, float]) -> None:
    classifier, frame = trained[0], raw()
    proba = classifier.predict_proba(frame)
    shuffled = frame.sample(frac=1, random_state=1)
    assert np.abs(classifier.predict_proba(shuffled) - proba[shuffled.index]).max() < 1e-6
    assert np.abs(classifier.predict_proba(frame.iloc[7:8]) - proba[7]).max() < 1e-6
    assert classifier.predict_proba(frame.iloc[:0]).shape == (0, 3)


def test_it_comes_back_from_its_files_to_the_last_bit(
    trained: tuple[Classifier, Arrays, float], tmp_path: Path
) -> None:
    classifier = trained[0]
    classifier.save(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["model.json", "model.safetensors"]
    loaded = Classifier.load(tmp_path / "new")
    assert loaded.classes == tuple(NAMES)
    assert (loaded.predict_proba(raw()) == classifier.predict_proba(raw())).all()


def test_a_file_that_does_not_fit_is_one_clear_error(trained: tuple[Classifier, Arrays, float], tmp_path: Path) -> None:
    trained[0].save(tmp_path)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text())
    changes: list[tuple[dict[str, object], str]] = [
        ({"version": 2}, "format version 2, and this Caviar reads version 1"),
        ({"classes": NAMES[:2]}, r"holds .* and model\.json describes"),
        ({"network": {**description["network"], "hidden_widths": [5]}}, r"holds .* and model\.json describes"),
        ({"network": {}}, "describes no model"),
        ({"network": {**description["network"], "activation": "gelu"}}, "activation"),
        ({"encoder": {"columns": []}}, "do not fit 0 encoded columns"),
        ({"encoder": {}}, "describes no model"),
    ]
    for change, message in changes:
        path.write_text(json.dumps({**description, **change}))
        with pytest.raises(ModelError, match=message):
            Classifier.load(tmp_path)
    path.write_text(json.dumps(description))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(ModelError, match=r"cannot read .*model.safetensors"):
        Classifier.load(tmp_path)
    path.write_text("[]")
    with pytest.raises(ModelError, match="not the description of a model"):
        Classifier.load(tmp_path)
    with pytest.raises(ModelError, match="cannot read"):
        Classifier.load(tmp_path / "nowhere")


def test_a_stack_or_a_padded_network_is_refused(trained: tuple[Classifier, Arrays, float]) -> None:
    encoder = trained[0].encoder
    slots = Slots.start(["a"], [Config(1, batch_size=25)], encoder.width, 3)
    with pytest.raises(ModelError, match="one unpadded network: 1 of 6 inputs and 16 classes"):
        Classifier(encoder, slots.inference(torch.empty(0, encoder.width)), NAMES)
