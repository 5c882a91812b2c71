"""The contenders of the conflict benchmark compute the same gradients."""

import torch

from unix_lib.analyze.conflict import chunk_gradient, projections_of
from unix_lib.config.models import SharedPlan
from unix_lib.speed.conflict import EACH, ONE, TRAINING, conflict_rows, gradients_by_hooks, some_chunks
from unix_lib.speed.decoders import DecoderSize

SIZE = DecoderSize(2, 64, 96, 2, 1, 40, 16, 8, 512)


def test_hooks_tell_chunks_apart() -> None:
    model, chunks = SIZE.decoder(SharedPlan(preset="shared"), torch.device("cpu")).eval(), some_chunks(SIZE)
    weights = [one.weight for one in projections_of(model)]
    of_chunks = [chunk_gradient(model, documents, weights) for documents in chunks]
    expected = [torch.stack(of_weight) for of_weight in zip(*of_chunks, strict=True)]
    for found, gradient in zip(gradients_by_hooks(model, chunks), expected, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-3, atol=1e-4)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_rows() -> None:
    rows = conflict_rows(SIZE, rounds=1)
    assert [row.contender for row in rows] == [EACH, ONE, TRAINING]
    assert rows[2].relative == 1 and all(row.value > 0 for row in rows)
