"""`generate`: images from prompts, or texts from prompts and images, by one checkpoint."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from unix_lib.chat.assistant import Assistant
from unix_lib.checkpoints.open import open_checkpoint
from unix_lib.generate.outputs import OUTPUTS, REJECTED, Images, Outputs, Texts, write_outputs
from unix_lib.generate.wishes import Wish, wishes_of
from unix_lib.inference.requests import TextSampling

GENERATED = Path("results/generated")


@dataclass(frozen=True)
class Order:
    """What both kinds of output have in common on the command line."""

    checkpoint: Path
    image_tokenizer: Path | None
    prompts: list[str]
    prompt_file: Path | None
    count: int
    seed: int
    batch_size: int
    device: str
    cuda_graph: bool
    output: Path | None  # None is a folder of the checkpoint's name below `GENERATED`


def images(order: Order, given: Mapping[str, float | None], console: Console) -> int:
    """Write images; returns 1 when no request could be served.

    Args:
        given: fields of `ImageSampling`; None is as the checkpoint's experiment samples, else as the paper does.
    """
    wishes = wishes_of(order.prompts, [], order.prompt_file, order.seed, order.count)
    assistant = _open(order, with_images=True)
    sampling = assistant.sampling
    # Not validated here: the checks of generation know of 0, the most probable code, and name the options.
    sampling = sampling.model_copy(update={name: value for name, value in given.items() if value is not None})
    return _write(Images(assistant, sampling), wishes, order, console)


def texts(order: Order, image_files: list[Path], sampling: TextSampling, console: Console) -> int:
    """Write and print texts; returns 1 when no request could be served."""
    wishes = wishes_of(order.prompts, image_files, order.prompt_file, order.seed, order.count)
    assistant = _open(order, with_images=any(wish.image is not None for wish in wishes))
    return _write(Texts(assistant, sampling), wishes, order, console)


def _open(order: Order, *, with_images: bool) -> Assistant:
    return Assistant(
        open_checkpoint(
            order.checkpoint,
            order.image_tokenizer,
            order.batch_size,
            order.device,
            with_images=with_images,
            cuda_graph=order.cuda_graph,
        )
    )


def _write(kind: Outputs, wishes: list[Wish], order: Order, console: Console) -> int:
    output = order.output or GENERATED / kind.assistant.checkpoint.folder.name
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    records, rejected = write_outputs(kind, wishes, output)
    for record in records:
        if "text" in record:
            console.print(f"{record['file']}: {record['text']}", highlight=False, markup=False, soft_wrap=True)
    if rejected:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in rejected.most_common())
        where = output / REJECTED
        console.print(f"set aside {rejected.total()} of {len(wishes)} requests: {reasons}; see {where}", soft_wrap=True)
    if not records:
        return 1
    console.print(f"{len(records)} outputs in {output}, described in {output / OUTPUTS}", soft_wrap=True)
    return 0
