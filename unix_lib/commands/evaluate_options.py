"""The command line of `unix-lib evaluate`; what it does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from unix_lib.commands.checkpoint_options import ImageTokenizerPath
from unix_lib.commands.screen import console


def evaluate(
    what: Annotated[
        list[str], typer.Argument(help="checkpoints, addresses (http://.../v1), or one YAML file with a list of models")
    ],
    *,
    benchmarks: Annotated[str | None, typer.Option(help="names, groups or families, apart by commas")] = None,
    config: Annotated[Path | None, typer.Option(help="config whose benchmarks and sampling are meant")] = None,
    file: Annotated[list[str] | None, typer.Option(help="<benchmark>=<path> of a file that lies elsewhere")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first this many samples of each")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="s in u + s (c - u); 1 goes without")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="samples computed together")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, or auto")] = None,
    image_tokenizer: ImageTokenizerPath = None,
    csv: Annotated[Path | None, typer.Option(help="also write all scores to this file")] = None,
) -> None:
    """Score checkpoints on benchmarks, without an experiment around them; goes on where it was stopped.

    Benchmarks are those of config/ablation-1.5b.yaml, the paper's, where no other config is named.
    """
    from unix_lib.commands import evaluate as command

    options = {
        "benchmarks": [name.strip() for name in benchmarks.split(",")] if benchmarks else None,
        "config": None if config is None else str(config),
        "files": dict(each.partition("=")[::2] for each in file) if file else None,
        "limit": limit,
        "guidance": guidance,
        "batch_size": batch_size,
        "device": device,
        "image_tokenizer": None if image_tokenizer is None else str(image_tokenizer),
    }
    given = {name: value for name, value in options.items() if value is not None}
    raise typer.Exit(command.run(what, given, csv, console))
