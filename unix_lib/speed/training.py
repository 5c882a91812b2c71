"""Training steps: the plans beside each other and beside transformers' own Qwen2, all on the same pack.

A step is forward, backward and a fused AdamW, as in training. Qwen2 gets the same packing: positions that begin anew in
each document, from which transformers builds its block-diagonal mask, and labels without the documents' first tokens.
"""

from collections.abc import Callable
from typing import Any

import torch

from unix_lib.config.models import PlanConfig
from unix_lib.models.gpu_attention import fastest_kernels
from unix_lib.models.routing import Documents, build_batch, move_batch
from unix_lib.speed.decoders import DecoderSize, pack
from unix_lib.speed.measuring import Run


def decoder_steps(
    size: DecoderSize, plan: PlanConfig, tokens: int, device: torch.device, *, checkpointing: bool
) -> Run:
    """Steps of one of our decoders."""
    model = size.decoder(plan, device)
    batch = move_batch(build_batch([pack(size, tokens)], model.config, fastest_kernels(device)), device)
    return _steps(model, lambda: model(**batch).loss, checkpointing)


def qwen_steps(size: DecoderSize, tokens: int, device: torch.device, *, checkpointing: bool) -> Run:
    """Steps of transformers' Qwen2."""
    model = size.qwen(device)
    batch = move_batch(qwen_batch(pack(size, tokens)), device)
    return _steps(model, lambda: model(**batch, use_cache=False).loss, checkpointing)


def qwen_batch(documents: Documents) -> dict[str, torch.Tensor]:
    """A pack as transformers takes it, (1, T) each."""
    positions = torch.cat([torch.arange(int(length)) for length in documents.document_lengths])[None]
    ids = torch.from_numpy(documents.input_ids).long()[None]
    return {"input_ids": ids, "position_ids": positions, "labels": ids.masked_fill(positions == 0, -100)}


def _steps(model: Any, loss_of: Callable[[], torch.Tensor], checkpointing: bool) -> Run:
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        loss = loss_of()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step
