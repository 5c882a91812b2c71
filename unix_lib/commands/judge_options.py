"""The command line of `unix-lib judge`; what it does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from unix_lib.commands.screen import console

app = typer.Typer(no_args_is_help=True, help="Score images that were made elsewhere.")


@app.command("geneval")
def judge_geneval(
    folder: Annotated[Path, typer.Argument(help="in GenEval's layout: 00000/metadata.jsonl, 00000/samples/*.png ...")],
    *,
    prompts: Annotated[
        Path | None, typer.Option(help="the benchmark's prompts, so that missing folders are known; geneval: its own")
    ] = None,
    images_per_prompt: Annotated[int | None, typer.Option(min=1, help="default: as many as most prompts have")] = None,
    config: Annotated[Path | None, typer.Option(help="a config whose judge judges")] = None,
    name: Annotated[str | None, typer.Option("--judge", help="its name under evaluate.judges")] = None,
    detector: Annotated[str | None, typer.Option(help="Mask2Former of COCO: a folder or hub id")] = None,
    clip: Annotated[str | None, typer.Option(help="CLIP: a folder or hub id")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="images judged together")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, or auto")] = None,
    output: Annotated[Path | None, typer.Option(help="folder of the results; default: results/judged/<folder>")] = None,
) -> None:
    """Judge a folder of images by GenEval's rules; the same command again goes on where it was stopped.

    Writes results.jsonl and results.txt as the benchmark's own scripts do, and scores.csv with intervals. A missing
    image is wrong; what can't be read, or is too much, is set aside with a reason.
    """
    from unix_lib.commands import judge as command

    who = command.Who(config, name, detector, clip, batch_size, device)
    raise typer.Exit(command.geneval(folder, who, prompts, images_per_prompt, output, console))


@app.command("convert-detector")
def judge_convert_detector(
    checkpoint: Annotated[Path, typer.Argument(help="mmdet's mask2former_swin-s-p4-w7-224 of COCO's instances, .pth")],
    output: Annotated[Path, typer.Argument(help="new folder, for a judge's detector.path")],
) -> None:
    """Write the detector behind GenEval's published scores as transformers' model."""
    from unix_lib.judges.mmdet_weights import convert_detector

    convert_detector(checkpoint, output)
    console.print(f"{output}: name it as detector.path of a judge of kind mask2former", soft_wrap=True)
