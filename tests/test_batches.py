"""Which rows are in which minibatch."""

from __future__ import annotations

import pytest
import torch

from models.batches import Batches


def test_every_row_is_seen_once_a_pass_and_passes_differ() -> None:
    batches = Batches(slice(10, 113), 200, 20, seed=1)
    first, second = batches.epoch(0), batches.epoch(1)
    assert first.shape == (5, 20)
    assert len(set(first.flatten().tolist())) == 100
    assert set(first.flatten().tolist()) <= set(range(10, 113))
    assert not torch.equal(first, second)
    assert torch.equal(first, Batches(slice(10, 113), 300, 20, seed=1).epoch(0))
    assert not torch.equal(first, Batches(slice(10, 113), 200, 20, seed=2).epoch(0))


@pytest.mark.parametrize("epoch_rows", [40, 65, 100, 230])
def test_a_virtual_epoch_walks_on_through_the_passes(epoch_rows: int) -> None:
    whole = Batches(slice(0, 103), 103, 20, seed=1)
    part = Batches(slice(0, 103), 103, 20, seed=1, epoch_rows=epoch_rows)
    stream = torch.cat([whole.epoch(number) for number in range(9)])
    walked = torch.cat([part.epoch(number) for number in range(4)])
    assert len(part.epoch(2)) == epoch_rows // 20
    assert torch.equal(walked, stream[: len(walked)])


def test_too_few_rows_for_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 128 is more than the 100 rows"):
        Batches(slice(0, 100), 500, 128, seed=0)
    with pytest.raises(ValueError, match="batch_size 128 is more than the 64 rows"):
        Batches(slice(0, 400), 500, 128, seed=0, epoch_rows=64)
