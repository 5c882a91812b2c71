"""The loss over many rows against PyTorch's own, chunk by chunk, and what its gradients need not compute."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from unix_lib.models import loss
from unix_lib.models.loss import _has_kernels, summed_cross_entropy

ROWS, WIDTH, VOCABULARY = 37, 12, 29


def drawn(dtype: torch.dtype = torch.float64, device: str = "cpu", rows: int = ROWS) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    hidden = torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64).to(device, dtype).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator, dtype=torch.float64).to(device, dtype).requires_grad_()
    return hidden, weight, torch.randint(VOCABULARY, (rows,), generator=generator).to(device)


@pytest.mark.parametrize("rows_at_a_time", [1, 5, ROWS, 1000])
def test_losses_and_gradients_equal_pytorchs(rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loss.CHUNK_ELEMENTS, "cpu", rows_at_a_time * VOCABULARY)
    hidden, weight, targets = drawn()
    total, each = summed_cross_entropy(hidden, weight, targets)
    (3 * total).backward()
    assert not each.requires_grad
    plain_hidden, plain_weight, _ = drawn()
    expected = functional.cross_entropy(plain_hidden @ plain_weight.T, targets, reduction="none")
    (3 * expected.sum()).backward()
    torch.testing.assert_close(each, expected.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(total, expected.sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(hidden.grad, plain_hidden.grad, rtol=0, atol=1e-12)
    torch.testing.assert_close(weight.grad, plain_weight.grad, rtol=0, atol=1e-12)


def test_frozen_sides_get_no_gradient_and_change_nothing() -> None:
    both = drawn()
    summed_cross_entropy(*both)[0].backward()
    hidden, weight, targets = drawn()
    summed_cross_entropy(hidden, weight.detach(), targets)[0].backward()
    assert torch.equal(hidden.grad, both[0].grad) and weight.grad is None
    hidden, weight, targets = drawn()
    summed_cross_entropy(hidden.detach(), weight, targets)[0].backward()
    assert torch.equal(weight.grad, both[1].grad) and hidden.grad is None
    with torch.no_grad():
        assert not summed_cross_entropy(*drawn())[0].requires_grad


def test_no_rows_give_zero() -> None:
    hidden, weight, targets = drawn(rows=0)
    total, each = summed_cross_entropy(hidden, weight, targets)
    total.backward()
    assert total == 0 and each.shape == (0,)
    assert not weight.grad.any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available() or not _has_kernels(), reason="no CUDA device or no such kernels")
def test_the_kernels_of_gpus_agree() -> None:
    hidden, weight, targets = drawn(torch.bfloat16, "cuda", rows=512)
    total, each = summed_cross_entropy(hidden, weight, targets)
    total.backward()
    wide_hidden, wide_weight = (side.detach().double().requires_grad_() for side in (hidden, weight))
    expected, expected_each = summed_cross_entropy(wide_hidden, wide_weight, targets)
    expected.backward()
    torch.testing.assert_close(each.double(), expected_each, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(hidden.grad.double(), wide_hidden.grad, rtol=5e-2, atol=1e-2)
    torch.testing.assert_close(weight.grad.double(), wide_weight.grad, rtol=5e-2, atol=5e-2)
