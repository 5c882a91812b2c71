"""The rows of the model benchmark: training, image generation and precision, on the CPU or a GPU.

The GPU rows have not been run yet; the code behind them is the same, except for recorded decoding steps.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch

from unix_lib.config.models import MoEPlan, MoTPlan, PlanConfig, SharedPlan, UnixPlan
from unix_lib.models.start import parameter_counts
from unix_lib.speed.decoders import DecoderSize
from unix_lib.speed.generation import (
    alone_and_in_a_batch,
    bytes_per_step,
    loop_images,
    our_images,
    transformers_images,
    weights_read,
)
from unix_lib.speed.measuring import Open, free, peak_memory, take_turns
from unix_lib.speed.training import decoder_steps, qwen_steps

# Dense bf16 FLOP/s and bytes/s of the memory, from the makers' data sheets, by the name that CUDA gives the device:
# cards of one family differ by half.
PEAKS = {
    "NVIDIA H200": (989e12, 4.8e12),
    "NVIDIA H100 80GB HBM3": (989e12, 3.35e12),
    "NVIDIA A100-SXM4-80GB": (312e12, 2.04e12),
}
TRANSFORMERS = "transformers Qwen2"
LOOP = "plain loop, unix"
PRODUCTS = "its matrix products alone"
# PAPER: the base of Uni-X at 3B, Qwen2.5-3B, with the codebook of Chameleon's tokenizer; 12 and 6 separate layers.
SIZE_3B = DecoderSize(36, 2048, 11008, 16, 2, 151_936, 8192, 1024, 32_768, torch.bfloat16)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    measure: str  # what, and in which unit
    size: str
    contender: str
    value: float
    low: float
    high: float
    relative: float | None = None  # times as fast as `shared` in training, as the plain loop in decoding
    memory: int | None = None  # peak, bytes
    share: float | None = None  # of the device's FLOP/s in training, of its memory bandwidth in decoding


def plans(separate: tuple[int, int]) -> dict[str, PlanConfig]:
    """The architectures of the paper."""
    first, last = separate
    return {
        "shared": SharedPlan(preset="shared"),
        f"unix {first}:{last}": UnixPlan(preset="unix", first=first, last=last),
        "mot": MoTPlan(preset="mot"),
        "moe 1/2": MoEPlan(preset="moe", every=2),
    }


def training_rows(
    size: DecoderSize, separate: tuple[int, int], tokens: int, rounds: int, device: torch.device, *, checkpointing: bool
) -> list[Row]:
    """Tokens/s and peak memory of every plan and of transformers' Qwen2, each against `shared`.

    Args:
        separate: first and last separate layers of unix. checkpointing: recompute activations in the backward pass.
    """
    contenders: dict[str, Open] = {
        name: partial(decoder_steps, size, plan, tokens, device, checkpointing=checkpointing)
        for name, plan in plans(separate).items()
    }
    contenders[TRANSFORMERS] = partial(qwen_steps, size, tokens, device, checkpointing=checkpointing)
    times = take_turns(contenders, rounds, device, "training")
    flops, peak = 6.0 * _active_parameters(size), _peaks(device)  # 6 N: matrix products, without attention scores
    rows = []
    for name, taken in times.items():
        speeds = taken.speeds(tokens)
        rows.append(
            Row(
                *("training, tokens/s", f"{_shape(size)}, pack of {tokens:,}", name),
                *speeds,
                relative=taken.over(times["shared"]),
                memory=peak_memory(contenders[name], device),
                share=None if peak is None else speeds[0] * flops / peak[0],
            )
        )
    return rows


def generation_rows(
    size: DecoderSize, separate: tuple[int, int], batch: int, rounds: int, device: torch.device
) -> list[Row]:
    """Image codes/s of our decoding, of transformers' loop and of the plain one, each against the plain one."""
    chosen = plans(separate)
    unix = next(name for name in chosen if name.startswith("unix"))
    graph = device.type == "cuda"
    contenders: dict[str, Open] = {
        f"ours, {name}": partial(our_images, size, chosen[name], batch, device, cuda_graph=graph)
        for name in ("shared", unix)
    }
    if not graph:
        narrow = replace(size, dtype=torch.bfloat16)
        contenders[f"ours, {unix}, bfloat16"] = partial(our_images, narrow, chosen[unix], batch, device)
        growing = partial(our_images, size, chosen[unix], batch, device, batch_invariant=False)
        contenders[f"ours, {unix}, batch_invariant: false"] = growing
    contenders[PRODUCTS] = partial(weights_read, size, chosen[unix], batch, device)
    contenders[f"{TRANSFORMERS}, generate()"] = partial(transformers_images, size, batch, device)
    contenders[LOOP] = partial(loop_images, size, chosen[unix], batch, device)
    times = take_turns(contenders, rounds, device, f"images, batch {batch}")
    peak = _peaks(device)
    with torch.device("meta"):
        read = bytes_per_step(size.decoder(chosen[unix], torch.device("meta")), size, batch)
    rows = []
    for name, taken in times.items():
        speeds = taken.speeds(batch * size.codes_per_image)
        ours = name.startswith("ours")
        rows.append(
            Row(
                *("images, codes/s", _images(size, batch), name),
                *speeds,
                relative=taken.over(times[LOOP]),
                share=None if peak is None or not ours else speeds[0] / batch * read / peak[1],
            )
        )
    return rows


def invariance_rows(size: DecoderSize, separate: tuple[int, int], batch: int, device: torch.device) -> list[Row]:
    """The share of codes that are others in a batch than alone: all codes behind the first that differs are."""
    unix = list(plans(separate).values())[1]
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        model = replace(size, dtype=dtype).decoder(unix, device).eval()
        for batch_invariant in (True, False):
            _, codes = alone_and_in_a_batch(model, size, batch, batch_invariant=batch_invariant)
            name = f"{str(dtype).removeprefix('torch.')}, batch_invariant: {str(batch_invariant).lower()}"
            rows.append(Row("codes that differ in a batch, share", _images(size, batch), name, codes, codes, codes))
        del model
        free(device)
    return rows


def _active_parameters(size: DecoderSize) -> int:
    with torch.device("meta"):
        return parameter_counts(size.decoder(SharedPlan(preset="shared"), torch.device("meta")))["text"]


def _shape(size: DecoderSize) -> str:
    return f"{size.layers} x {size.width}"


def _images(size: DecoderSize, batch: int) -> str:
    rows = size.text_vocabulary + size.codebook
    return f"{_shape(size)}, {batch} x {size.codes_per_image} codes, {rows:,} rows of the embedding"


def _peaks(device: torch.device) -> tuple[float, float] | None:
    """FLOP/s and bytes/s of a GPU that is known."""
    if device.type != "cuda":
        return None
    return PEAKS.get(torch.cuda.get_device_name())
