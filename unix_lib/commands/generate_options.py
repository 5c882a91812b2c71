"""The command line of `unix-lib generate`; what it does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from unix_lib.commands.checkpoint_options import CheckpointPath, Device, ImageTokenizerPath
from unix_lib.commands.screen import console

app = typer.Typer(no_args_is_help=True, help="Images from prompts, or texts from prompts and images.")

Prompts = Annotated[list[str] | None, typer.Argument(help="prompts")]
PromptFile = Annotated[
    Path | None,
    typer.Option("--prompts", help="file of prompts: one a line, or .jsonl with prompt, image, seed"),
]
Output = Annotated[
    Path | None, typer.Option(help="new folder for the outputs; default: results/generated/<checkpoint>")
]
Count = Annotated[int, typer.Option(min=1, help="outputs per prompt, with seeds that count up")]
Seed = Annotated[int, typer.Option(min=0, help="seed of each prompt's first output")]
BatchSize = Annotated[int, typer.Option(min=1, help="outputs made together")]
CudaGraph = Annotated[bool, typer.Option("--cuda-graph", help="record a decoding step once and replay it (GPU)")]


@app.command("image")
def generate_image(
    checkpoint: CheckpointPath,
    prompts: Prompts = None,
    *,
    prompt_file: PromptFile = None,
    output: Output = None,
    count: Count = 1,
    seed: Seed = 0,
    temperature: Annotated[float | None, typer.Option(help="of the softmax; 0 takes the most probable code")] = None,
    top_k: Annotated[int | None, typer.Option(help="most probable codes kept; 0 keeps all")] = None,
    top_p: Annotated[float | None, typer.Option(help="probability mass kept; 1 keeps all")] = None,
    guidance: Annotated[float | None, typer.Option(help="s in u + s (c - u); 1 goes without")] = None,
    batch_size: BatchSize = 16,
    device: Device = "auto",
    cuda_graph: CudaGraph = False,
    image_tokenizer: ImageTokenizerPath = None,
) -> None:
    """Write PNG images of prompts, with outputs.jsonl beside them.

    What isn't said of temperature, top-k, top-p and guidance is as the checkpoint's experiment samples its benchmarks
    (sampling.json in the checkpoint's folder); a checkpoint without that file is sampled as in the paper.
    """
    from unix_lib.commands import generate as command

    order = command.Order(
        checkpoint=checkpoint,
        image_tokenizer=image_tokenizer,
        prompts=prompts or [],
        prompt_file=prompt_file,
        count=count,
        seed=seed,
        batch_size=batch_size,
        device=device,
        cuda_graph=cuda_graph,
        output=output,
    )
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance_scale": guidance}
    raise typer.Exit(command.images(order, given, console))


@app.command("text")
def generate_text(
    checkpoint: CheckpointPath,
    prompts: Prompts = None,
    *,
    image: Annotated[list[Path] | None, typer.Option(help="an image to speak about; may be repeated")] = None,
    prompt_file: PromptFile = None,
    output: Output = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="longest text, tokens")] = 128,
    count: Count = 1,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(help="of the softmax; 0 takes the most probable token")] = 0.0,
    top_k: Annotated[int, typer.Option(help="most probable tokens kept; 0 keeps all")] = 0,
    top_p: Annotated[float, typer.Option(help="probability mass kept; 1 keeps all")] = 1.0,
    batch_size: BatchSize = 16,
    device: Device = "auto",
    cuda_graph: CudaGraph = False,
    image_tokenizer: ImageTokenizerPath = None,
) -> None:
    """Write texts: a prompt continued, a question about an image answered, an image alone described."""
    from unix_lib.commands import generate as command
    from unix_lib.inference.requests import TextSampling

    order = command.Order(
        checkpoint=checkpoint,
        image_tokenizer=image_tokenizer,
        prompts=prompts or [],
        prompt_file=prompt_file,
        count=count,
        seed=seed,
        batch_size=batch_size,
        device=device,
        cuda_graph=cuda_graph,
        output=output,
    )
    sampling = TextSampling(temperature, top_k, top_p, max_tokens)
    raise typer.Exit(command.texts(order, image or [], sampling, console))
