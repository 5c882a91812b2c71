"""Cross-entropy over a large vocabulary without ever holding all its logits.

On any device a chunk of rows at a time: the gradients are computed together with the loss, so the logits of a chunk
live only for a moment and nothing is computed twice. The price: gradients can flow through the sum only, not through
single losses. On GPUs in half precision cut-cross-entropy's kernels do it, where a version with `cce_exact` is there.

Legend: R rows, D width, V vocabulary.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

# Logits held at a time, 64 MB and 1 GB in float32: a GPU reads the whole head and its gradient again for each chunk.
CHUNK_ELEMENTS = {"cpu": 1 << 24, "cuda": 1 << 28}


def summed_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies, and each of them.

    Args:
        hidden: (R, D). weight: the head's, (V, D). targets: int64 (R,), ids in 0..V.

    Returns:
        the sum in nats, a scalar with gradient, and the losses, (R,), without; float32 or better. No rows give 0.
    """
    if _kernels_fit(hidden) and not torch.compiler.is_compiling():
        from cut_cross_entropy import linear_cross_entropy

        # `cce_exact` drops no small gradients, and accumulates in better than half precision. Not run where written.
        each = linear_cross_entropy(hidden, weight, targets, reduction="none", impl="cce_exact").float()
        return each.sum(), each.detach()
    with_gradient = torch.is_grad_enabled()
    total, each, _, _ = _chunked(
        hidden, weight, targets, with_gradient and hidden.requires_grad, with_gradient and weight.requires_grad
    )
    return total, each.detach()


@cache
def _has_kernels() -> bool:
    if find_spec("cut_cross_entropy") is None:
        return False
    import cut_cross_entropy

    # Release 25.1.1 lacks it; the other kernels drop small gradients.
    return "CCE_EXACT" in getattr(cut_cross_entropy.LinearCrossEntropyImpl, "__members__", {})


def _kernels_fit(hidden: Tensor) -> bool:
    return (
        hidden.is_cuda
        and hidden.dtype in (torch.bfloat16, torch.float16)
        and hidden.shape[0] > 0  # they refuse an empty batch
        and _has_kernels()
    )


@torch.library.custom_op("unix_lib::summed_cross_entropy", mutates_args=())
def _chunked(
    hidden: Tensor, weight: Tensor, targets: Tensor, needs_hidden: bool, needs_weight: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sum, the losses (R,), and the sum's gradients by `hidden` and `weight`, empty where they aren't needed.

    One operation, so that `torch.compile` makes one graph of it whatever the number of rows.
    """
    wide = torch.promote_types(hidden.dtype, torch.float32)
    rows = max(1, CHUNK_ELEMENTS.get(hidden.device.type, CHUNK_ELEMENTS["cpu"]) // weight.shape[0])
    losses = torch.empty(targets.shape[0], dtype=wide, device=hidden.device)
    hidden_gradient = torch.empty_like(hidden) if needs_hidden else hidden.new_empty(0)
    weight_gradient = torch.zeros_like(weight, dtype=wide) if needs_weight else weight.new_empty(0, dtype=wide)
    for begin in range(0, targets.shape[0], rows):
        chunk = slice(begin, begin + rows)
        log_probability = torch.log_softmax(hidden[chunk] @ weight.T, dim=-1, dtype=wide)
        wanted = targets[chunk, None]
        losses[chunk] = -log_probability.gather(1, wanted).squeeze(1)
        if not needs_hidden and not needs_weight:
            continue
        gradient = log_probability.exp_()
        gradient.scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=wide))
        gradient = gradient.to(hidden.dtype)
        if needs_hidden:
            torch.mm(gradient, weight, out=hidden_gradient[chunk])
        if needs_weight:
            weight_gradient += gradient.T @ hidden[chunk]
    return losses.sum(), losses, hidden_gradient, weight_gradient


@_chunked.register_fake
def _(
    hidden: Tensor, weight: Tensor, targets: Tensor, needs_hidden: bool, needs_weight: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    wide = torch.promote_types(hidden.dtype, torch.float32)
    return (
        hidden.new_empty((), dtype=wide),
        hidden.new_empty(targets.shape[0], dtype=wide),
        torch.empty_like(hidden) if needs_hidden else hidden.new_empty(0),
        torch.empty_like(weight, dtype=wide) if needs_weight else weight.new_empty(0, dtype=wide),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *_, ctx.needs_hidden, ctx.needs_weight = inputs
    ctx.set_materialize_grads(False)  # else a zero of the head's size would be made for an output that nobody uses
    ctx.save_for_backward(*output[2:])


def _backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    hidden_gradient, weight_gradient = ctx.saved_tensors
    scale = gradients[0]
    return (
        hidden_gradient * scale.to(hidden_gradient.dtype) if ctx.needs_hidden else None,
        weight_gradient * scale if ctx.needs_weight else None,
        None,
        None,
        None,
    )


_chunked.register_autograd(_backward, setup_context=_keep)
