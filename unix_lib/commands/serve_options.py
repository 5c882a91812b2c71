"""The command line of `unix-lib serve`; what it does is imported when it runs."""

from typing import Annotated

import typer

from unix_lib.commands.checkpoint_options import CheckpointPath, Device, ImageTokenizerPath
from unix_lib.commands.screen import console


def serve(
    checkpoint: CheckpointPath,
    *,
    name: Annotated[
        str | None, typer.Option(help="of the model, for clients; default: the checkpoint's folder")
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen at; the default is this machine alone")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8000,
    key_variable: Annotated[
        str | None, typer.Option(help="environment variable with the key clients must have")
    ] = None,
    allow_domain: Annotated[list[str] | None, typer.Option(help="images may be fetched from https://DOMAIN")] = None,
    workers: Annotated[int, typer.Option(min=1, help="worker processes: one per GPU, or a share of the cores")] = 1,
    slots: Annotated[
        int, typer.Option(min=1, help="guided images that a worker draws together; of the rest twice as many")
    ] = 8,
    batch_invariant: Annotated[bool, typer.Option(help="the same bytes whatever is decoded beside")] = True,
    queue: Annotated[int, typer.Option(min=1, help="answers that may wait")] = 1000,
    seconds: Annotated[float, typer.Option(min=0.001, help="that a request has, its wait included")] = 600,
    body_megabytes: Annotated[float, typer.Option(min=0.001, help="of a request")] = 32,
    held_megabytes: Annotated[float, typer.Option(min=0.001, help="of all requests that wait or run")] = 1024,
    images: Annotated[int, typer.Option(min=0, help="images in a request")] = 8,
    megapixels: Annotated[float, typer.Option(min=0.001, help="of an image, by its header")] = 50,
    device: Device = "auto",
    image_tokenizer: ImageTokenizerPath = None,
) -> None:
    """Serve a checkpoint in OpenAI's form: chats of text and images, images from prompts, streams, metrics, a page."""
    from unix_lib.commands import serve as command

    limits = command.Limits(
        body_bytes=round(body_megabytes * 2**20),
        held_bytes=round(held_megabytes * 2**20),
        images=images,
        pixels=round(megapixels * 1e6),
        queue=queue,
        seconds=seconds,
    )
    serving = command.Serving(
        checkpoint=checkpoint,
        name=name or checkpoint.resolve().name,
        image_tokenizer=image_tokenizer,
        host=host,
        port=port,
        key=command.key_from(key_variable),
        domains=tuple(allow_domain or ()),
        device=device,
        workers=workers,
        slots=slots,
        batch_invariant=batch_invariant,
        limits=limits,
    )
    raise typer.Exit(command.run(serving, console))
