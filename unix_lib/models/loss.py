"""Cross-entropy over a large vocabulary, a chunk of rows at a time.

The gradients are computed together with the loss, so the logits of a chunk live only for a moment and nothing is
computed twice. The price: gradients can flow through the sum only, not through single losses.

Legend: R rows, D width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 24  # logits held at a time: 64 MB in float32


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        rows = max(1, CHUNK_ELEMENTS // weight.shape[0])
        losses = torch.empty(targets.shape[0], dtype=wide, device=hidden.device)
        needs_hidden, needs_weight, _ = ctx.needs_input_grad
        hidden_gradient = torch.empty_like(hidden) if needs_hidden else None
        weight_gradient = torch.zeros_like(weight, dtype=wide) if needs_weight else None
        for begin in range(0, targets.shape[0], rows):
            chunk = slice(begin, begin + rows)
            log_probability = torch.log_softmax(hidden[chunk] @ weight.T, dim=-1, dtype=wide)
            wanted = targets[chunk, None]
            losses[chunk] = -log_probability.gather(1, wanted).squeeze(1)
            if hidden_gradient is None and weight_gradient is None:
                continue
            gradient = log_probability.exp_()
            gradient.scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=wide))
            gradient = gradient.to(hidden.dtype)
            if hidden_gradient is not None:
                torch.mm(gradient, weight, out=hidden_gradient[chunk])
            if weight_gradient is not None:
                weight_gradient += gradient.T @ hidden[chunk]
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        scale = gradients[0]
        return (
            None if hidden_gradient is None else hidden_gradient * scale.to(hidden_gradient.dtype),
            None if weight_gradient is None else weight_gradient * scale,
            None,
        )


def summed_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies, and each of them.

    Args:
        hidden: (R, D). weight: the head's, (V, D). targets: int64 (R,), ids in 0..V.

    Returns:
        the sum in nats, a scalar with gradient, and the losses, (R,), without; float32 or better. No rows give 0.
    """
    return _SummedCrossEntropy.apply(hidden, weight, targets)
