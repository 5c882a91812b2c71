"""The command lines of `unix-lib benchmark-...`; what they do is imported when they run."""

from pathlib import Path
from typing import Annotated

import typer

from unix_lib.commands.checkpoint_options import CheckpointPath, ImageTokenizerPath
from unix_lib.commands.screen import console

app = typer.Typer()


@app.command("benchmark-model")
def benchmark_model(
    *,
    training_layers: Annotated[int, typer.Option(min=6)] = 8,
    training_width: Annotated[int, typer.Option(min=64, help="a multiple of 64")] = 256,
    training_vocabulary: Annotated[int, typer.Option(min=16, help="text rows of the embedding")] = 8192,
    pack_tokens: Annotated[int, typer.Option(min=2, help="tokens of the pack that is trained on")] = 4096,
    layers: Annotated[int, typer.Option(min=6, help="of the decoder that generates")] = 12,
    width: Annotated[int, typer.Option(min=64, help="a multiple of 64")] = 512,
    vocabulary: Annotated[int, typer.Option(min=16, help="text rows of the embedding")] = 151_936,
    codes: Annotated[int, typer.Option(min=2, help="codes of an image")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="images generated together")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="times that each contender runs")] = 3,
    gpu_codes: Annotated[int, typer.Option(min=2, help="codes of an image at 3B")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: both where there is a GPU")] = "auto",
) -> None:
    """Time training and decoding beside transformers' own model; one table. Minutes on two cores."""
    from unix_lib.commands import benchmark_model as command

    training = command.size(training_layers, training_width, training_vocabulary, pack_tokens, codes=256)
    generation = command.size(layers, width, vocabulary, codes + 64, codes=codes)
    order = command.Order(training, generation, pack_tokens, batch, rounds, gpu_codes)
    raise typer.Exit(command.run(order, device, console))


@app.command("benchmark-serve")
def benchmark_serve(
    checkpoint: CheckpointPath,
    *,
    clients: Annotated[int, typer.Option(min=1, help="that ask at the same time")] = 64,
    slots: Annotated[int, typer.Option(min=1, help="images drawn together")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="that clients come and stay")] = 120,
    image_tokenizer: ImageTokenizerPath = None,
) -> None:
    """Time a server under load beside the engine that it runs on; one table."""
    from unix_lib.commands import benchmark_serve as command

    raise typer.Exit(
        command.run(checkpoint, image_tokenizer, clients=clients, slots=slots, seconds=seconds, console=console)
    )


@app.command("benchmark-data")
def benchmark_data(
    *,
    vocabulary: Annotated[int, typer.Option(min=300, help="tokens of the BPE")] = 32_768,
    documents: Annotated[int, typer.Option(min=1, help="lengths that are planned")] = 1_000_000,
    photographs: Annotated[int, typer.Option(min=2)] = 96,
    megabytes: Annotated[int, typer.Option(min=1, help="of files that are hashed")] = 2048,
    rounds: Annotated[int, typer.Option(min=1, help="times that each contender runs")] = 3,
    pictures: Annotated[Path | None, typer.Option(help="pictures that near-duplicates are looked for among")] = None,
) -> None:
    """Time samples to packs, plans, images and inventories beside plain loops; one table. Minutes on two cores."""
    from unix_lib.commands import benchmark_data as command

    raise typer.Exit(command.run(vocabulary, documents, photographs, megabytes, pictures, rounds, console))


@app.command("benchmark-saves")
def benchmark_saves(
    *,
    gigabytes: Annotated[
        float, typer.Option(min=0.001, help="of the training state; three times that of memory")
    ] = 4.5,
    folder: Annotated[Path, typer.Option(help="on the disk that is meant")] = Path("results"),
    rounds: Annotated[int, typer.Option(min=1, help="saves each way")] = 3,
) -> None:
    """Time how long saves of a training state hold training up, waiting for the disk and in the background."""
    from unix_lib.commands import benchmark_saves as command

    raise typer.Exit(command.run(gigabytes, folder, rounds, console))
