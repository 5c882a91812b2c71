"""The command line of `unix-lib analyze`; what it does is imported when it runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from unix_lib.commands.screen import console

app = typer.Typer(no_args_is_help=True, help="Analyses of what was made elsewhere, without an experiment.")


@app.callback()
def _analyses() -> None:
    """Keeps `conflict` a word of the command while it is the only one."""


@app.command("conflict")
def analyze_conflict(
    checkpoint: Annotated[Path, typer.Argument(help="results/<experiment>/train/..., what `import` made, or a model")],
    pack: Annotated[Path, typer.Argument(help="results/<experiment>/pack/<mixture>-<digest>")],
    *,
    documents: Annotated[int, typer.Option(min=4, help="documents per modality, at most where there are rounds")] = 500,
    reliability: Annotated[float | None, typer.Option(help="take documents until gradients are this reliable")] = None,
    round_documents: Annotated[int, typer.Option(min=4, help="documents per modality of a round")] = 64,
    chunks: Annotated[int, typer.Option(min=4, help="that documents are cut into, a multiple of 4")] = 8,
    splits: Annotated[int, typer.Option(min=2, help="random splits behind the spread")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="of the documents and of the splits")] = 218,
    every_epoch: Annotated[bool, typer.Option("--every-epoch", help="documents of all packed epochs")] = False,
    breakdown: Annotated[bool, typer.Option("--breakdown", help="also each head and each norm")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto")] = "auto",
    output: Annotated[Path | None, typer.Option(help="default: results/analyzed/<checkpoint>-<pack>")] = None,
) -> None:
    """Gradient conflict of a checkpoint on a pack: conflict.csv, its picture, and the tables behind them.

    Stopped in a measurement in rounds (--reliability), the same command goes on where it was.
    """
    from unix_lib.commands import analyze as command

    given: dict[str, Any] = {
        "documents": documents,
        "reliability": reliability,
        "round_documents": round_documents,
        "chunks": chunks,
    }
    given |= {"splits": splits, "seed": seed, "every_epoch": every_epoch, "breakdown": breakdown}
    given["mixture"] = pack.resolve().name
    raise typer.Exit(command.conflict(checkpoint, pack, command.measurement(given), threads, device, output, console))
