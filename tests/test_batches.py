"""Which rows are in which minibatch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from models.batches import Batches
from models.permutation import SMALL, Permutation


def epoch(batches: Batches, number: int) -> torch.Tensor:
    """Row numbers [steps, batch size]."""
    return torch.stack(list(batches.epoch(number)))


def test_every_row_is_seen_once_a_pass_and_passes_differ() -> None:
    batches = Batches(slice(10, 113), 200, 20, seed=1)
    first, second = epoch(batches, 0), epoch(batches, 1)
    assert first.shape == (5, 20)
    assert len(set(first.flatten().tolist())) == 100
    assert set(first.flatten().tolist()) <= set(range(10, 113))
    assert not torch.equal(first, second)
    assert torch.equal(first, epoch(Batches(slice(10, 113), 300, 20, seed=1), 0))
    assert not torch.equal(first, epoch(Batches(slice(10, 113), 200, 20, seed=2), 0))


@pytest.mark.parametrize("epoch_rows", [40, 65, 100, 230])
def test_a_virtual_epoch_walks_on_through_the_passes(epoch_rows: int) -> None:
    whole = Batches(slice(0, 103), 103, 20, seed=1)
    part = Batches(slice(0, 103), 103, 20, seed=1, epoch_rows=epoch_rows)
    stream = torch.cat([epoch(whole, number) for number in range(9)])
    walked = torch.cat([epoch(part, number) for number in range(4)])
    assert len(epoch(part, 2)) == epoch_rows // 20
    assert torch.equal(walked, stream[: len(walked)])


def test_too_few_rows_for_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 128 is more than the 100 rows"):
        Batches(slice(0, 100), 500, 128, seed=0)
    with pytest.raises(ValueError, match="batch_size 128 is more than the 64 rows"):
        Batches(slice(0, 400), 500, 128, seed=0, epoch_rows=64)


@pytest.mark.parametrize("size", [1, 2, 1079, SMALL, SMALL + 1, 100_003, 2**18, 2**18 + 1])
def test_a_permutation_has_every_place_once(size: int) -> None:
    found = Permutation(size, np.random.SeedSequence(size))(np.arange(size))
    assert np.array_equal(np.sort(found), np.arange(size))
    some = np.arange(size // 3, size // 2 + 1)
    assert np.array_equal(Permutation(size, np.random.SeedSequence(size))(some), found[some])


def test_a_large_permutation_is_random() -> None:
    """Batch means vary as those of draws without replacement, neighbours are unrelated, places uniform over keys."""
    size, batch = 100_000, 64
    means, correlations = [], []
    for key in range(20):
        order = Permutation(size, np.random.SeedSequence(key))(np.arange(size))
        means.append(order[: size // batch * batch].reshape(-1, batch).mean(1))
        correlations += [np.corrcoef(order[:-lag], order[lag:])[0, 1] for lag in (1, 64, 1024)]
    spread = (size**2 - 1) / 12 / batch * (size - batch) / (size - 1)
    assert np.concatenate(means).var() == pytest.approx(spread, rel=0.04)
    assert np.abs(correlations).max() < 4.5 / size**0.5
    first = [Permutation(size, np.random.SeedSequence(key))(np.array([0]))[0] / size for key in range(2000)]
    assert kstest(first, "uniform").pvalue > 1e-4
